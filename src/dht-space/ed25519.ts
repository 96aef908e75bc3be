import type { KeyObject } from 'node:crypto';
import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import type { Ed25519PrivateKey } from '@libp2p/interface';

/** Of a raw public key, and of the seed that a raw private key begins with. */
export const ED25519_BYTES = 32;
const JWK = { kty: 'OKP', crv: 'Ed25519' };

/** Signing and verifying by Node.js itself, which does both synchronously: what comes over a stream stays in order. */
export function signBytes(bytes: Uint8Array, key: Ed25519PrivateKey): Uint8Array {
  return sign(null, bytes, privateKeyObject(key));
}

export function isSignedBy(publicKey: Uint8Array, bytes: Uint8Array, signature: Uint8Array): boolean {
  const key = createPublicKey({ format: 'jwk', key: { ...JWK, x: base64url(publicKey) } });
  return verify(null, bytes, key, signature);
}

/** What a node derives its secrets from, and whoever has it is the node. */
export function seedOf(key: Ed25519PrivateKey): Uint8Array {
  return key.raw.subarray(0, ED25519_BYTES);
}

export function privateKeyObject(key: Ed25519PrivateKey): KeyObject {
  const secret = { d: base64url(seedOf(key)), x: base64url(key.publicKey.raw) };
  return createPrivateKey({ format: 'jwk', key: { ...JWK, ...secret } });
}

function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url');
}
