import { multiaddr } from '@multiformats/multiaddr';
import type { PointType } from '../overlay/index.js';
import { RecordError } from './envelope.js';
import {
  MANIFEST_VALIDITY_MS,
  MAX_ADDRESSES_PER_MEMBER,
  MAX_CLOCK_SKEW_MS,
  MAX_NAME_BYTES,
  MAX_POINTS_PER_MEMBER,
  MEMBER_VALIDITY_MS,
  POINT_TOMBSTONE_VALIDITY_MS,
  POINT_VALIDITY_MS,
} from './limits.js';
import type {
  MemberRecord,
  PointRecord,
  RecordKind,
  RecordOf,
  SpaceManifest,
  SpaceRecord,
} from './records.js';
import { MemberRecord as MemberMessage } from './wire/member-record.js';
import { PointRecord as PointMessage } from './wire/point-record.js';
import { SpaceManifest as ManifestMessage } from './wire/space-manifest.js';

const SPACE_ID_BYTES = 32;
const POINT_TYPES: ReadonlySet<string> = new Set<PointType>(['direct', 'fanout', 'topic', 'headers']);
const ACCESS = ['open', 'granted'] as const;

/** How one kind of record is written, read and checked. The signer stands in for the field that names it. */
interface Format<R extends SpaceRecord> {
  /** How long it is good for, at most. */
  validityMs(record: R): number;
  signer(record: R): string;
  encode(record: R): Uint8Array;
  decode(payload: Uint8Array, signer: string): R;
  /** @throws RecordError `malformed` */
  check(record: R): void;
}

const MANIFEST: Format<SpaceManifest> = {
  validityMs: () => MANIFEST_VALIDITY_MS,
  signer: (record) => record.owner,
  encode: (record) =>
    ManifestMessage.encode({
      ...record,
      access: ACCESS.indexOf(record.access) + 1,
      revocations: [...(record.revocations ?? [])],
    }),
  decode(payload, owner) {
    const message = ManifestMessage.decode(payload);
    const { space, generation, createdMs, access, sequence, expiresMs, deleted, revocations } = message;
    const word = ACCESS[access - 1];
    if (word === undefined) throw unknownValue('access', access);
    return {
      kind: 'space-manifest',
      ...{ space, owner, generation, createdMs, access: word, sequence, expiresMs, deleted },
      ...(revocations.length > 0 && { revocations }),
    };
  },
  check(record) {
    checkName('space', record.space);
    checkCount('generation', record.generation);
    checkCount('createdMs', record.createdMs);
    for (const { grant, expiresMs } of record.revocations ?? []) {
      checkName('revocations', grant);
      checkCount('revocations', expiresMs);
    }
  },
};

const POINT: Format<PointRecord> = {
  validityMs: ({ deleted }) => (deleted ? POINT_TOMBSTONE_VALIDITY_MS : POINT_VALIDITY_MS),
  signer: (record) => record.author,
  encode(record) {
    const spaceId = Uint8Array.from(spaceIdToBytes(record.spaceId));
    return PointMessage.encode({
      ...record,
      spaceId,
      arguments: Uint8Array.from(Buffer.from(record.arguments)),
      grant: record.grant ?? '',
    });
  },
  decode(payload, author) {
    const { spaceId, name, type, arguments: text, createdMs, ...rest } = PointMessage.decode(payload);
    if (!POINT_TYPES.has(type)) throw unknownValue('type', type);
    const { sequence, expiresMs, closed, deleted, grant } = rest;
    const definition = { name, type: type as PointType, arguments: utf8('arguments', text) };
    const times = { createdMs, sequence, expiresMs };
    return {
      kind: 'point-record',
      spaceId: spaceIdFromBytes(spaceId),
      ...definition,
      ...times,
      author,
      closed,
      deleted,
      ...(grant !== '' && { grant }),
    };
  },
  check(record) {
    checkName('name', record.name);
    checkCount('createdMs', record.createdMs);
    if (!POINT_TYPES.has(record.type)) throw unknownValue('type', record.type);
    if (!isJsonObject(record.arguments)) throw malformed('arguments are not the JSON text of a table');
  },
};

const MEMBER: Format<MemberRecord> = {
  validityMs: () => MEMBER_VALIDITY_MS,
  signer: (record) => record.peer,
  encode(record) {
    const spaceId = Uint8Array.from(spaceIdToBytes(record.spaceId));
    const addresses = record.addresses.map((address) => Uint8Array.from(multiaddr(address).bytes));
    const grants = [...(record.grants ?? [])];
    return MemberMessage.encode({ ...record, spaceId, addresses, points: [...record.points], grants });
  },
  decode(payload, peer) {
    const message = MemberMessage.decode(payload);
    const { spaceId, epoch, sequence, expiresMs, addresses, points, left, grants } = message;
    const texts = addresses.flatMap(addressText);
    const version = { epoch, sequence, expiresMs };
    return {
      kind: 'member-record',
      spaceId: spaceIdFromBytes(spaceId),
      peer,
      ...version,
      addresses: texts,
      points,
      left,
      ...(grants.length > 0 && { grants }),
    };
  },
  check(record) {
    if (record.addresses.length > MAX_ADDRESSES_PER_MEMBER) throw malformed('too many addresses');
    if (record.points.length > MAX_POINTS_PER_MEMBER) throw malformed('too many points');
    for (const point of record.points) checkName('points', point);
  },
};

const FORMATS: { readonly [K in RecordKind]: Format<RecordOf<K>> } = {
  'space-manifest': MANIFEST,
  'point-record': POINT,
  'member-record': MEMBER,
};

export function payloadTypeOf(kind: RecordKind): string {
  return `/xspace/${kind}`;
}

export function signerOf(record: SpaceRecord): string {
  return format(record.kind).signer(record);
}

/** @throws RecordError `malformed` */
export function encodePayload(record: SpaceRecord): Uint8Array {
  checkForm(record);
  return format(record.kind).encode(record);
}

/** @throws RecordError `malformed` */
export function decodePayload<K extends RecordKind>(
  kind: K,
  payload: Uint8Array,
  signer: string,
): RecordOf<K> {
  try {
    const record = FORMATS[kind].decode(payload, signer);
    checkForm(record);
    return record as RecordOf<K>;
  } catch (cause) {
    if (cause instanceof RecordError) throw cause;
    throw new RecordError('malformed', `not a ${kind}`, { cause });
  }
}

/** @throws RecordError `expired` or `not-yet-valid` */
export function checkTimes(record: SpaceRecord, now: number): void {
  if (now > record.expiresMs + MAX_CLOCK_SKEW_MS)
    throw new RecordError('expired', `expired ${now - record.expiresMs} ms ago`);
  const created = record.kind === 'member-record' ? 0 : record.createdMs;
  if (created > now + MAX_CLOCK_SKEW_MS) {
    throw new RecordError('not-yet-valid', `created ${created - now} ms in the future`);
  }
  const remainingMs = record.expiresMs - now;
  if (remainingMs > format(record.kind).validityMs(record) + MAX_CLOCK_SKEW_MS) {
    throw new RecordError('not-yet-valid', `good for ${remainingMs} ms, which is too long`);
  }
}

export function spaceIdToBytes(spaceId: string): Uint8Array {
  return Buffer.from(spaceId, 'hex');
}

/** @throws RecordError `malformed` when these are not 32 bytes */
export function spaceIdFromBytes(bytes: Uint8Array): string {
  if (bytes.length !== SPACE_ID_BYTES)
    throw malformed(`a space id has ${SPACE_ID_BYTES} bytes, not ${bytes.length}`);
  return Buffer.from(bytes).toString('hex');
}

/** The table is exhaustive by type; which entry a record has is known at run time only. */
function format(kind: RecordKind): Format<SpaceRecord> {
  return FORMATS[kind] as unknown as Format<SpaceRecord>;
}

function checkForm(record: SpaceRecord): void {
  checkCount('sequence', record.sequence);
  checkCount('expiresMs', record.expiresMs);
  format(record.kind).check(record);
}

function checkName(field: string, name: string): void {
  const bytes = Buffer.byteLength(name);
  if (bytes === 0 || bytes > MAX_NAME_BYTES)
    throw malformed(`${field} has ${bytes} bytes, not 1 to ${MAX_NAME_BYTES}`);
  // Protobuf decoding takes any octets for text. Names that are none would be other names once they are encoded again.
  if (Buffer.from(name).toString() !== name) throw malformed(`${field} is not UTF-8`);
}

function checkCount(field: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) throw malformed(`${field} is not a whole number`);
}

function utf8(field: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new RecordError('malformed', `${field} is not UTF-8`, { cause });
  }
}

/** Nothing for an address that is not understood here: the others may do. Its text has to be an address again. */
function addressText(bytes: Uint8Array): string[] {
  try {
    const text = multiaddr(bytes).toString();
    multiaddr(text);
    return [text];
  } catch {
    return [];
  }
}

function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

/** A later version may have more values; none at all is one in no version. */
function unknownValue(field: string, value: string | number): RecordError {
  const code = value === '' || value === 0 ? 'malformed' : 'unsupported';
  return new RecordError(code, `${field} ${JSON.stringify(value).slice(0, MAX_NAME_BYTES)} is not known`);
}

function malformed(message: string): RecordError {
  return new RecordError('malformed', message);
}
