import { createHash } from 'node:crypto';
import type { Ed25519PrivateKey } from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import type { PointType } from '../overlay/index.js';
import { RecordError, signEnvelope, verifyEnvelope } from './envelope.js';
import { MAX_CLOCK_SKEW_MS, MAX_SIGNED_RECORD_BYTES } from './limits.js';
import { checkTimes, decodePayload, encodePayload, payloadTypeOf, signerOf } from './record-payload.js';

/** A space exists, says its owner. Its id is {@link spaceIdOf} it. */
export interface SpaceManifest {
  readonly kind: 'space-manifest';
  readonly space: string;
  /** Peer id of the owner, who is the signer. */
  readonly owner: string;
  /** How often the space was deleted and declared anew: it is another space each time. */
  readonly generation: number;
  readonly createdMs: number;
  readonly access: 'open' | 'granted';
  readonly sequence: number;
  readonly expiresMs: number;
  /** The owner has deleted this generation of the space; the manifest stays as a tombstone until it expires. */
  readonly deleted: boolean;
  /** Of a granted space: grants that count no more. Left out where there are none. */
  readonly revocations?: readonly Revocation[];
}

/** The end of a grant before its time, and of what was delegated from it. */
export interface Revocation {
  /** The grant's id. */
  readonly grant: string;
  /** When the grant would have ended: nobody needs to know of it any more after that. */
  readonly expiresMs: number;
}

/** What a point is, says one of its participants. Participants renew it in turn, under their own names. */
export interface PointRecord {
  readonly kind: 'point-record';
  readonly spaceId: string;
  readonly name: string;
  readonly type: PointType;
  /** The point's arguments as canonical JSON; equal arguments have equal texts. */
  readonly arguments: string;
  /** Of a deleted point: when it was deleted. */
  readonly createdMs: number;
  /** Peer id of the signer. */
  readonly author: string;
  readonly sequence: number;
  readonly expiresMs: number;
  /** The last participant has left; the name is free again. */
  readonly closed: boolean;
  /** Somebody deleted the point for everybody: what was defined by this name until then is void. Closed as well. */
  readonly deleted: boolean;
  /** In a granted space: what lets the author sign this. Left out where that is the owner. */
  readonly grant?: string;
}

/** A node is a member of a space, says that node. */
export interface MemberRecord {
  readonly kind: 'member-record';
  readonly spaceId: string;
  /** Peer id of the member, who is the signer. */
  readonly peer: string;
  /** 64 random bits, drawn at every start of the member. */
  readonly epoch: bigint;
  readonly sequence: number;
  /** Multiaddrs. */
  readonly addresses: readonly string[];
  /** Names of the points it takes part in. */
  readonly points: readonly string[];
  readonly expiresMs: number;
  readonly left: boolean;
  /** In a granted space: what lets the peer be a member. Left out where that is the owner. */
  readonly grants?: readonly string[];
}

export type { RecordErrorCode } from './envelope.js';
export { RecordError } from './envelope.js';
export { spaceIdFromBytes, spaceIdToBytes } from './record-payload.js';

export type SpaceRecord = SpaceManifest | PointRecord | MemberRecord;
export type RecordKind = SpaceRecord['kind'];
export type RecordOf<K extends RecordKind> = Extract<SpaceRecord, { readonly kind: K }>;

/** A verified record with the envelope it came in, which can be handed on as it is. */
export interface Sealed<R extends SpaceRecord> {
  readonly record: R;
  readonly bytes: Uint8Array;
}

/**
 * Signs a record.
 *
 * @throws RecordError `malformed` or `too-large`; TypeError when the key is not that of its owner, author or peer
 */
export function seal<R extends SpaceRecord>(record: R, privateKey: Ed25519PrivateKey): Sealed<R> {
  const payload = encodePayload(record);
  const signer = peerIdFromPrivateKey(privateKey).toString();
  if (signerOf(record) !== signer) throw new TypeError(`${signer} cannot sign for ${signerOf(record)}`);
  return { record, bytes: signEnvelope(payloadTypeOf(record.kind), payload, privateKey) };
}

/**
 * Verifies size, signature, form and times. The bytes are copied.
 *
 * @throws RecordError
 */
export function open<K extends RecordKind>(kind: K, bytes: Uint8Array, now: number): Sealed<RecordOf<K>> {
  const own = Uint8Array.from(bytes.subarray(0, MAX_SIGNED_RECORD_BYTES + 1));
  const { signer, payload } = verifyEnvelope(payloadTypeOf(kind), own);
  const record = decodePayload(kind, payload, signer);
  checkTimes(record, now);
  return { record, bytes: own };
}

/**
 * As `open`, but undefined for a record that whoever handed it over is not to blame for: it has run out on its way here,
 * or says what only later versions understand.
 *
 * @param by peer id of who handed it over; from its signer no record comes that has run out, unless clocks are apart
 * @throws RecordError
 */
export function openIfUsable<K extends RecordKind>(
  kind: K,
  bytes: Uint8Array,
  now: number,
  by?: string,
): Sealed<RecordOf<K>> | undefined {
  try {
    return open(kind, bytes, now);
  } catch (error) {
    if (!(error instanceof RecordError)) throw error;
    if (error.code === 'expired' && by === verifyEnvelope(payloadTypeOf(kind), bytes).signer) {
      const text = `its own record ${error.message}: its clock or that of this node is wrong`;
      throw new RecordError('clock-skew', text, { cause: error });
    }
    if (error.code === 'expired' || error.code === 'unsupported') return;
    throw error;
  }
}

/** Whether a record opened or sealed earlier is still good; it may have been kept for a while. */
export function isLive(record: SpaceRecord, now: number): boolean {
  return now <= record.expiresMs + MAX_CLOCK_SKEW_MS;
}

/**
 * Names are labels, keys are identity: SHA-256 over the domain, the space's name, its owner's peer id, and the generation
 * in decimal unless it is 0, each preceded by its length in bytes as a 32-bit big-endian number. Lower-case hex.
 */
export function spaceIdOf({
  space,
  owner,
  generation,
}: Pick<SpaceManifest, 'space' | 'owner' | 'generation'>): string {
  const hash = createHash('sha256');
  for (const part of ['xspace-space-id', space, owner, ...(generation > 0 ? [`${generation}`] : [])]) {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(Buffer.byteLength(part));
    hash.update(length).update(part);
  }
  return hash.digest('hex');
}

/** Same type and arguments, so that an app notices no difference. */
export function sameDefinition(a: PointRecord, b: PointRecord): boolean {
  return a.type === b.type && a.arguments === b.arguments;
}

/** Records of one point name that renew each other: one definition, or the deletion of all of them. */
export function renewsPoint(a: PointRecord, b: PointRecord): boolean {
  if (a.deleted || b.deleted) return a.deleted === b.deleted;
  return a.createdMs === b.createdMs && sameDefinition(a, b);
}

/** Whether a record of a point name counts no more, because the name was deleted since it was defined. */
export function isVoid(record: PointRecord, tombstone: PointRecord): boolean {
  return tombstone.deleted && !record.deleted && record.createdMs <= tombstone.createdMs;
}

/**
 * Which of two records of one point name holds, the same on every node: below 0 when it is `a`. Renewals of one
 * definition go by sequence. Definitions that compete go by age, whoever signed the renewal; one that was closed
 * loses against any that was not. A deletion holds against everything that was defined before it.
 */
export function comparePoints(a: PointRecord, b: PointRecord): number {
  if (renewsPoint(a, b)) {
    if (a.createdMs !== b.createdMs) return b.createdMs - a.createdMs;
    return b.sequence - a.sequence || Number(b.closed) - Number(a.closed) || compareText(a.author, b.author);
  }
  if (isVoid(b, a)) return -1;
  if (isVoid(a, b)) return 1;
  return (
    Number(a.deleted) - Number(b.deleted) ||
    Number(a.closed) - Number(b.closed) ||
    a.createdMs - b.createdMs ||
    compareText(a.type, b.type) ||
    compareText(a.arguments, b.arguments)
  );
}

export function preferred(a: PointRecord, b: PointRecord): PointRecord {
  return comparePoints(a, b) <= 0 ? a : b;
}

/** Which of two manifests of one space name comes first: the owner's last word; then what exists, owners by age. */
export function compareManifests(a: SpaceManifest, b: SpaceManifest): number {
  if (a.owner === b.owner)
    return b.generation - a.generation || b.sequence - a.sequence || b.expiresMs - a.expiresMs;
  return Number(a.deleted) - Number(b.deleted) || a.createdMs - b.createdMs || compareText(a.owner, b.owner);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
