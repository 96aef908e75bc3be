import { MAX_DELEGATIONS, MAX_GRANT_PATTERNS, MAX_GRANT_VALIDITY_MS, MAX_NAME_BYTES } from './limits.js';

export type Right = 'publish' | 'subscribe' | 'administer';

export const RIGHTS: readonly Right[] = ['publish', 'subscribe', 'administer'];

/** Whom a grant is for that its first user makes its own. */
export const BEARER = 'bearer';

/** What a grant says; docs/grants.md has the names on the wire. Times in milliseconds since 1970. */
export interface GrantClaims {
  /** Peer id of the signer: the owner of the space, or the subject of `parent`. */
  readonly issuer: string;
  /** Peer id of the holder, or {@link BEARER}. */
  readonly subject: string;
  readonly space: string;
  /** Peer id of the space's owner. */
  readonly owner: string;
  /** Names of points; `*` stands for any characters, none included. */
  readonly points: readonly string[];
  readonly rights: readonly Right[];
  /** Topic patterns that the routing key of a message has to match, whatever the point's type. */
  readonly routingKeys: readonly string[];
  readonly issuedMs: number;
  readonly expiresMs: number;
  readonly id: string;
  /** How often it may be handed down. */
  readonly delegable: number;
  /** A secret of the space's members, by which they find each other; 32 octets in hex. */
  readonly rendezvous: string;
  /** The grant that this one was delegated from. */
  readonly parent?: string;
  /** Of a bearer grant: the issuer's private key, 32 octets in hex. */
  readonly key?: string;
}

/**
 * - `malformed`: no grant at all
 * - `bad-signature`: its signer did not sign it
 * - `foreign`: of another space or owner, or not signed by the owner in the end
 * - `too-wide`: delegated without leave, or beyond what was delegated
 * - `other-holder`: somebody else's
 */
export type GrantErrorCode =
  | 'missing'
  | 'malformed'
  | 'bad-signature'
  | 'foreign'
  | 'too-wide'
  | 'other-holder'
  | 'expired'
  | 'not-yet-valid'
  | 'revoked'
  | 'too-narrow';

/** Why a grant does not count; the text is for whoever presented it. */
export class GrantError extends Error {
  override readonly name = 'GrantError';
  readonly code: GrantErrorCode;

  constructor(code: GrantErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

const SECRET_BYTES = 32;
const ID_FORM = /^[A-Za-z0-9_-]{16,32}$/;
/** Far below the limit of numbers, and beyond all dates. */
const MAX_SECONDS = 1e11;

export function encodeClaims(claims: GrantClaims): string {
  return JSON.stringify({
    iss: claims.issuer,
    sub: claims.subject,
    space: claims.space,
    owner: claims.owner,
    points: claims.points,
    rights: claims.rights,
    routing_keys: claims.routingKeys,
    iat: Math.floor(claims.issuedMs / 1000),
    exp: Math.floor(claims.expiresMs / 1000),
    jti: claims.id,
    delegable: claims.delegable,
    rendezvous: toBase64url(claims.rendezvous),
    ...(claims.parent !== undefined && { parent: claims.parent }),
    ...(claims.key !== undefined && { key: toBase64url(claims.key) }),
  });
}

/** @throws GrantError `malformed`, naming the claim */
export function decodeClaims(payload: { readonly [claim: string]: unknown }): GrantClaims {
  const subject = text(payload, 'sub');
  const issuedMs = seconds(payload, 'iat') * 1000;
  const expiresMs = seconds(payload, 'exp') * 1000;
  if (expiresMs <= issuedMs || expiresMs - issuedMs > MAX_GRANT_VALIDITY_MS) {
    throw malformed('exp', 'a time after iat, by at most ten years');
  }
  const delegable = payload.delegable;
  if (
    typeof delegable !== 'number' ||
    !Number.isInteger(delegable) ||
    delegable < 0 ||
    delegable > MAX_DELEGATIONS
  ) {
    throw malformed('delegable', `a whole number from 0 to ${MAX_DELEGATIONS}`);
  }
  const id = text(payload, 'jti');
  if (!ID_FORM.test(id)) throw malformed('jti', '16 to 32 characters of base64url');
  if ((payload.key !== undefined) !== (subject === BEARER))
    throw malformed('key', 'it in bearer grants only');
  return {
    issuer: text(payload, 'iss'),
    subject,
    space: text(payload, 'space'),
    owner: text(payload, 'owner'),
    points: texts(payload, 'points', 1),
    rights: rights(payload),
    routingKeys: texts(payload, 'routing_keys', 0),
    issuedMs,
    expiresMs,
    id,
    delegable,
    rendezvous: secret(payload, 'rendezvous'),
    ...(payload.parent !== undefined && { parent: grantText(payload, 'parent') }),
    ...(payload.key !== undefined && { key: secret(payload, 'key') }),
  };
}

type Payload = { readonly [claim: string]: unknown };

function text(payload: Payload, claim: string): string {
  const value = grantText(payload, claim);
  if (!isName(value, 1)) throw malformed(claim, `1 to ${MAX_NAME_BYTES} bytes of text`);
  return value;
}

function grantText(payload: Payload, claim: string): string {
  const value = payload[claim];
  if (typeof value !== 'string') throw malformed(claim, 'a text');
  return value;
}

function texts(payload: Payload, claim: string, minBytes: number): readonly string[] {
  const value = payload[claim];
  const isList = Array.isArray(value) && value.length > 0 && value.length <= MAX_GRANT_PATTERNS;
  if (!isList || !value.every((item) => typeof item === 'string' && isName(item, minBytes))) {
    throw malformed(claim, `1 to ${MAX_GRANT_PATTERNS} texts of up to ${MAX_NAME_BYTES} bytes`);
  }
  return value as readonly string[];
}

function isName(value: string, minBytes: number): boolean {
  const bytes = Buffer.from(value);
  // Half a surrogate pair would be another text once it was encoded.
  return bytes.length >= minBytes && bytes.length <= MAX_NAME_BYTES && bytes.toString() === value;
}

function rights(payload: Payload): readonly Right[] {
  const value = payload.rights;
  const isList = Array.isArray(value) && value.length > 0 && new Set(value).size === value.length;
  if (!isList || !value.every((item) => RIGHTS.includes(item))) {
    throw malformed('rights', `some of ${RIGHTS.join(', ')}, each once`);
  }
  return value as readonly Right[];
}

function seconds(payload: Payload, claim: string): number {
  const value = payload[claim];
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > MAX_SECONDS) {
    throw malformed(claim, 'seconds since 1970');
  }
  return value;
}

function secret(payload: Payload, claim: string): string {
  const value = grantText(payload, claim);
  const bytes = Buffer.from(value, 'base64url');
  if (bytes.length !== SECRET_BYTES || bytes.toString('base64url') !== value) {
    throw malformed(claim, `${SECRET_BYTES} octets as base64url`);
  }
  return bytes.toString('hex');
}

function toBase64url(hex: string): string {
  return Buffer.from(hex, 'hex').toString('base64url');
}

function malformed(claim: string, expected: string): GrantError {
  return new GrantError('malformed', `no grant: claim '${claim}': expected ${expected}`);
}
