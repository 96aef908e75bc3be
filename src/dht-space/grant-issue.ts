import { createHmac, randomBytes } from 'node:crypto';
import { generateKeyPair, generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import type { Ed25519PrivateKey } from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { CompactSign } from 'jose';
import { privateKeyObject, seedOf } from './ed25519.js';
import type { Grant } from './grant.js';
import { GRANT_ALGORITHM, GRANT_TYPE, readGrant } from './grant.js';
import type { GrantClaims, Right } from './grant-claims.js';
import { BEARER, encodeClaims, GrantError } from './grant-claims.js';

const ID_BYTES = 16;

/** What a new grant is to give. */
export interface GrantTerms {
  /** Peer id, or {@link BEARER}. */
  readonly to: string;
  readonly points: readonly string[];
  readonly rights: readonly Right[];
  readonly routingKeys: readonly string[];
  readonly expiresMs: number;
  readonly delegable: number;
}

/**
 * Signs a grant for a space of the signer's own.
 *
 * @throws GrantError where the terms are none that a grant can have
 */
export async function issueGrant(
  { space, nowMs, ...terms }: GrantTerms & { readonly space: string; readonly nowMs: number },
  key: Ed25519PrivateKey,
): Promise<Grant> {
  const owner = peerIdOf(key);
  const base = { space, owner, rendezvous: rendezvousOf(space, key) };
  return issue({ ...base, ...terms, issuedMs: nowMs }, key);
}

/** Hands down part of a grant. @throws GrantError `too-wide` where the terms exceed it */
export async function delegateGrant(
  parent: Grant,
  { nowMs, ...terms }: GrantTerms & { readonly nowMs: number },
  key: Ed25519PrivateKey,
): Promise<Grant> {
  const { space, owner, rendezvous } = parent.claims;
  // Not before the grant that it comes from, by whichever clock that was signed.
  const issuedMs = Math.max(nowMs, parent.claims.issuedMs);
  return issue({ space, owner, rendezvous, ...terms, issuedMs, parent: parent.token }, key);
}

/**
 * The grant as this holder can show it to others: a bearer grant is made its own by the key in it, so that nobody who
 * sees it in use can use it.
 *
 * @throws GrantError `other-holder` where it is somebody else's
 */
export async function redeem({ token, claims }: Grant, holder: string): Promise<Grant> {
  if (claims.subject === holder) return readGrant(token);
  const { parent, key: seed, delegable, expiresMs, issuedMs } = claims;
  if (claims.subject !== BEARER || parent === undefined || seed === undefined) {
    const text = `grant ${claims.id} is for ${claims.subject}; this node is ${holder}`;
    throw new GrantError('other-holder', text);
  }
  const key = await generateKeyPairFromSeed('Ed25519', Uint8Array.from(Buffer.from(seed, 'hex')));
  const { key: _, ...shared } = claims;
  // The same each time, so that redeeming it again is no other grant.
  const id = createHmac('sha256', Buffer.from(seed, 'hex')).update(holder).digest().subarray(0, ID_BYTES);
  return sign(
    { ...shared, subject: holder, id: id.toString('base64url'), delegable, expiresMs, issuedMs },
    key,
  );
}

/** What members of a space of this name and owner find each other by; only the owner can compute it. */
function rendezvousOf(space: string, ownerKey: Ed25519PrivateKey): string {
  return createHmac('sha256', seedOf(ownerKey)).update('xspace-rendezvous\0').update(space).digest('hex');
}

type Unsigned = Omit<GrantClaims, 'id' | 'issuer' | 'subject' | 'key'> & Pick<GrantTerms, 'to'>;

async function issue({ to, ...claims }: Unsigned, key: Ed25519PrivateKey): Promise<Grant> {
  const id = randomBytes(ID_BYTES).toString('base64url');
  const issuer = peerIdOf(key);
  if (to !== BEARER) return sign({ ...claims, issuer, subject: to, id }, key);
  const bearer = await generateKeyPair('Ed25519');
  const subject = peerIdOf(bearer);
  const parent = await sign({ ...claims, issuer, subject, id, delegable: claims.delegable + 1 }, key);
  const seed = Buffer.from(seedOf(bearer)).toString('hex');
  const shared = { ...claims, parent: parent.token, id };
  return sign({ ...shared, issuer: subject, subject: BEARER, key: seed }, bearer);
}

/** Reads what it has signed, so that nothing goes out that others refuse. */
async function sign(claims: GrantClaims, key: Ed25519PrivateKey): Promise<Grant> {
  const token = await new CompactSign(new TextEncoder().encode(encodeClaims(claims)))
    .setProtectedHeader({ alg: GRANT_ALGORITHM, typ: GRANT_TYPE })
    .sign(privateKeyObject(key));
  return readGrant(token);
}

function peerIdOf(key: Ed25519PrivateKey): string {
  return peerIdFromPrivateKey(key).toString();
}
