import { createHash } from 'node:crypto';
import { RecordError } from './envelope.js';
import { MAX_CLAIMS, MAX_CLAIMS_BYTES } from './limits.js';
import type { RecordOf, Sealed } from './records.js';
import { compareManifests, comparePoints, isLive, isVoid, openIfUsable, renewsPoint } from './records.js';
import { Claims } from './wire/claims.js';

export type ClaimKind = 'space-manifest' | 'point-record';
export type Claim<K extends ClaimKind> = Sealed<RecordOf<K>>;

/** How the records under one key of the DHT meet: spaces by their name, points by their space and name. */
export interface ClaimRules<K extends ClaimKind> {
  readonly kind: K;
  readonly namespace: string;
  keyOf(record: RecordOf<K>): string;
  /** Two records of one claim renew each other; records of different claims compete, and both are kept. */
  sameClaim(a: RecordOf<K>, b: RecordOf<K>): boolean;
  /** Below 0 when `a` is preferred. */
  compare(a: RecordOf<K>, b: RecordOf<K>): number;
  /** Below 0 when `a` stays where there is no room for both. */
  outlasts(a: RecordOf<K>, b: RecordOf<K>): number;
  /** Whether a record makes others void. Of several, they are one claim. */
  isTombstone(record: RecordOf<K>): boolean;
  /** Whether a record counts no more because of a tombstone. */
  isVoid(record: RecordOf<K>, tombstone: RecordOf<K>): boolean;
}

export const SPACE_CLAIMS: ClaimRules<'space-manifest'> = {
  kind: 'space-manifest',
  namespace: 'xspace-spaces',
  keyOf: ({ space }) => spaceKey(space),
  sameClaim: (a, b) => a.owner === b.owner,
  compare: compareManifests,
  // Sequences begin with the time: names that were given up make room.
  outlasts: (a, b) => b.sequence - a.sequence,
  // Owners delete what is their own only: that renews it.
  isTombstone: () => false,
  isVoid: () => false,
};

export const POINT_CLAIMS: ClaimRules<'point-record'> = {
  kind: 'point-record',
  namespace: 'xspace-points',
  keyOf: ({ spaceId, name }) => pointKey(spaceId, name),
  sameClaim: renewsPoint,
  compare: comparePoints,
  outlasts: comparePoints,
  isTombstone: ({ deleted }) => deleted,
  isVoid,
};

export function spaceKey(space: string): string {
  return `/${SPACE_CLAIMS.namespace}/${createHash('sha256').update(space).digest('hex')}`;
}

export function pointKey(spaceId: string, name: string): string {
  return `/${POINT_CLAIMS.namespace}/${createHash('sha256').update(spaceId, 'hex').update(name).digest('hex')}`;
}

/**
 * The newest record of each claim, the preferred first; of what is over the limits, what outlasts others stays, and a
 * tombstone in any case. The result does not depend on the order of the records.
 */
export function mergeClaims<K extends ClaimKind>(
  rules: ClaimRules<K>,
  records: readonly Claim<K>[],
): readonly Claim<K>[] {
  const newest: Claim<K>[] = [];
  for (const candidate of records) {
    const place = newest.findIndex(({ record }) => rules.sameClaim(record, candidate.record));
    const rival = newest[place];
    if (rival === undefined) newest.push(candidate);
    else if (compareSealed(rules, candidate, rival) < 0) newest[place] = candidate;
  }
  const tombstone = newest.find(({ record }) => rules.isTombstone(record));
  const living = newest.filter((claim) => claim !== tombstone && !isVoidBy(rules, claim, tombstone));
  living.sort((a, b) => rules.outlasts(a.record, b.record) || compareSealed(rules, a, b));
  const last = tombstone === undefined ? [] : [tombstone];
  const kept: Claim<K>[] = [];
  let bytes = tombstone?.bytes.length ?? 0;
  for (const claim of living) {
    bytes += claim.bytes.length;
    if (kept.length + last.length < MAX_CLAIMS && bytes <= MAX_CLAIMS_BYTES) kept.push(claim);
  }
  kept.sort((a, b) => compareSealed(rules, a, b));
  return [...kept, ...last];
}

function isVoidBy<K extends ClaimKind>(
  rules: ClaimRules<K>,
  { record }: Claim<K>,
  tombstone: Claim<K> | undefined,
): boolean {
  return tombstone !== undefined && rules.isVoid(record, tombstone.record);
}

export function encodeClaims(claims: readonly Sealed<RecordOf<ClaimKind>>[]): Uint8Array {
  return Claims.encode({ envelopes: claims.map(({ bytes }) => Uint8Array.from(bytes)) });
}

export function sameClaims(
  a: readonly Sealed<RecordOf<ClaimKind>>[],
  b: readonly Sealed<RecordOf<ClaimKind>>[],
): boolean {
  return Buffer.compare(encodeClaims(a), encodeClaims(b)) === 0;
}

/**
 * The verified claims of a value, those left out that have expired or that only later versions understand.
 *
 * @throws RecordError when anything else is wrong with one of them
 */
export function decodeClaims<K extends ClaimKind>(
  rules: ClaimRules<K>,
  value: Uint8Array,
  now: number,
): readonly Claim<K>[] {
  const claims: Claim<K>[] = [];
  for (const bytes of decodeEnvelopes(value)) {
    const claim = openIfUsable(rules.kind, bytes, now);
    if (claim !== undefined) claims.push(claim);
  }
  return claims;
}

export function liveClaims<K extends ClaimKind>(
  claims: readonly Claim<K>[],
  now: number,
): readonly Claim<K>[] {
  return claims.filter(({ record }) => isLive(record, now));
}

function decodeEnvelopes(value: Uint8Array): readonly Uint8Array[] {
  if (value.length > 2 * MAX_CLAIMS_BYTES)
    throw new RecordError('too-large', `${value.length} bytes of claims`);
  try {
    return Claims.decode(value).envelopes;
  } catch (cause) {
    throw new RecordError('malformed', 'not a set of claims', { cause });
  }
}

/** A total order: two records that an owner signed under one sequence are told apart by their bytes. */
function compareSealed<K extends ClaimKind>(rules: ClaimRules<K>, a: Claim<K>, b: Claim<K>): number {
  return rules.compare(a.record, b.record) || Buffer.compare(a.bytes, b.bytes);
}
