import { peerIdFromString } from '@libp2p/peer-id';
import { isSignedBy } from './ed25519.js';
import type { GrantClaims } from './grant-claims.js';
import { BEARER, decodeClaims, GrantError } from './grant-claims.js';
import { coversName, RoutingKeys } from './grant-patterns.js';
import { GRANT_CLOCK_SKEW_MS, MAX_DELEGATIONS, MAX_GRANT_BYTES } from './limits.js';

/** The media type of a grant, in the header of the JWS: no other token of the same key passes for one. */
export const GRANT_TYPE = 'xspace-grant+jwt';
export const GRANT_ALGORITHM = 'EdDSA';

/** A grant of which everything was verified that does not change: form, signatures, and that nothing was added on the way. */
export interface Grant {
  readonly token: string;
  readonly claims: GrantClaims;
  /** Ids of this grant and of those that it was delegated from: the revocation of any of them is its end. */
  readonly ids: readonly string[];
}

/**
 * Reads and verifies a grant, from its last signature up to the owner's.
 *
 * @throws GrantError
 */
export function readGrant(token: string): Grant {
  const grant = readChain(token, 0);
  if (grant.claims.subject === BEARER) assertBearer(grant);
  return grant;
}

/**
 * Whether a grant counts at this time.
 *
 * @param revoked whether the grant of this id was revoked
 * @throws GrantError `expired`, `not-yet-valid` or `revoked`
 */
export function assertInForce({ claims, ids }: Grant, nowMs: number, revoked: (id: string) => boolean): void {
  const revokedId = ids.find(revoked);
  if (revokedId !== undefined) throw new GrantError('revoked', `grant ${revokedId} was revoked`);
  if (nowMs > claims.expiresMs + GRANT_CLOCK_SKEW_MS) {
    const text = `grant ${claims.id} expired at ${iso(claims.expiresMs)}, and this node's clock says ${iso(nowMs)}`;
    throw new GrantError('expired', text);
  }
  const aheadMs = claims.issuedMs - nowMs;
  if (aheadMs > GRANT_CLOCK_SKEW_MS) {
    const ahead = `${Math.round(aheadMs / 1000)} s in the future by this node's clock, which says ${iso(nowMs)}`;
    const text = `grant ${claims.id} was issued ${ahead}: the clocks are more than 5 minutes apart`;
    throw new GrantError('not-yet-valid', text);
  }
}

function readChain(token: string, depth: number): Grant {
  if (token.length > MAX_GRANT_BYTES) {
    throw new GrantError(
      'malformed',
      `no grant: ${token.length} characters, the limit is ${MAX_GRANT_BYTES}`,
    );
  }
  if (depth > MAX_DELEGATIONS) {
    throw new GrantError('too-wide', `the grant was delegated more than ${MAX_DELEGATIONS} times`);
  }
  const { claims, assertSigned } = decode(token);
  if (claims.parent === undefined) {
    if (claims.issuer !== claims.owner) {
      const text = `the grant is signed by ${claims.issuer}, which is not the owner ${claims.owner}`;
      throw new GrantError('foreign', text);
    }
    assertSigned();
    return { token, claims, ids: [claims.id] };
  }
  // The owner's signature first: without one, a long chain costs no more to refuse than a short one.
  const parent = readChain(claims.parent, depth + 1);
  assertNarrower(claims, parent.claims);
  assertSigned();
  return { token, claims, ids: [...new Set([claims.id, ...parent.ids])] };
}

/** RFC 7515 §5.2, for one algorithm: nothing in the token chooses how it is verified. */
function decode(token: string): { readonly claims: GrantClaims; readonly assertSigned: () => void } {
  const parts = token.split('.');
  const [header = '', payload = '', signature = ''] = parts;
  if (parts.length !== 3) throw malformed('expected a compact JWS of three parts');
  assertHeader(json('header', header));
  const claims = decodeClaims(json('payload', payload));
  const publicKey = publicKeyOf(claims.issuer);
  for (const peer of [claims.owner, ...(claims.subject === BEARER ? [] : [claims.subject])])
    publicKeyOf(peer);
  const signed = Buffer.from(`${header}.${payload}`);
  const seal = octets('signature', signature);
  const assertSigned = () => {
    if (isSignedBy(publicKey, signed, seal)) return;
    throw new GrantError('bad-signature', `the grant is not signed by ${claims.issuer}, as it says`);
  };
  return { claims, assertSigned };
}

function assertHeader(header: { readonly [name: string]: unknown }): void {
  if (header.alg !== GRANT_ALGORITHM) throw malformed(`alg: expected '${GRANT_ALGORITHM}'`);
  if (header.typ !== GRANT_TYPE) throw malformed(`typ: expected '${GRANT_TYPE}'`);
  // RFC 7515 §4.1.11: whoever does not understand what is critical refuses; nothing critical is understood here.
  if (header.crit !== undefined || header.b64 !== undefined) {
    const what = JSON.stringify(header.crit ?? 'b64').slice(0, 80);
    throw malformed(`crit: ${what} has to be understood, and is not`);
  }
}

/** A delegated grant gives nothing that its parent does not give. */
function assertNarrower(child: GrantClaims, parent: GrantClaims): void {
  const refuse = (text: string): never => {
    throw new GrantError('too-wide', `the grant was delegated by ${child.issuer}, ${text}`);
  };
  if (child.issuer !== parent.subject) refuse(`who does not hold the grant ${parent.id}`);
  if (
    child.space !== parent.space ||
    child.owner !== parent.owner ||
    child.rendezvous !== parent.rendezvous
  ) {
    refuse('for another space');
  }
  if (child.delegable >= parent.delegable) refuse(`who may delegate it ${parent.delegable} times`);
  if (child.issuedMs < parent.issuedMs) refuse(`whose own grant begins at ${iso(parent.issuedMs)}`);
  if (child.expiresMs > parent.expiresMs) refuse(`whose own grant ends at ${iso(parent.expiresMs)}`);
  const right = child.rights.find((one) => !parent.rights.includes(one));
  if (right !== undefined) refuse(`who may not ${right}`);
  const point = child.points.find((one) => !parent.points.some((pattern) => coversName(pattern, one)));
  if (point !== undefined) refuse(`whose points do not include '${point}'`);
  const keys = new RoutingKeys(parent.routingKeys);
  const key = child.routingKeys.find((one) => !keys.covers(one));
  if (key !== undefined) refuse(`whose routing keys do not include '${key}'`);
}

/** Whoever bears it signs with the key in it: it has to be the one that its parent is for. */
function assertBearer({ claims }: Grant): void {
  if (claims.parent === undefined)
    throw malformed("claim 'parent': expected the grant to the key of the bearer");
}

function publicKeyOf(peer: string): Uint8Array {
  try {
    const { publicKey } = peerIdFromString(peer);
    if (publicKey?.type === 'Ed25519') return publicKey.raw;
  } catch {
    // Named below.
  }
  throw malformed(`'${peer.slice(0, 80)}' is no peer id of an Ed25519 key`);
}

function json(part: string, encoded: string): { readonly [name: string]: unknown } {
  const bytes = octets(part, encoded);
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return value as { readonly [name: string]: unknown };
    }
  } catch {
    // Named below.
  }
  throw malformed(`the ${part} is no JSON object`);
}

/** One token has one writing. */
function octets(part: string, encoded: string): Buffer {
  const bytes = Buffer.from(encoded, 'base64url');
  if (bytes.length === 0 || bytes.toString('base64url') !== encoded)
    throw malformed(`the ${part} is not base64url`);
  return bytes;
}

function malformed(text: string): GrantError {
  return new GrantError('malformed', `no grant: ${text}`);
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
