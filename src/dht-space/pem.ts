import { createPrivateKey } from 'node:crypto';
import { privateKeyFromRaw } from '@libp2p/crypto/keys';
import type { Ed25519PrivateKey } from '@libp2p/interface';

/** Octets of the secret that an Ed25519 key is made of (RFC 8032 §5.1.5); libp2p puts the public key behind it. */
const SECRET_BYTES = 32;

/** A node's key as other programs write and read it: PKCS #8 in PEM (RFC 8410 §7, RFC 7468 §10). */
export function toPem(key: Ed25519PrivateKey): string {
  const raw = Buffer.from(key.raw);
  const jwk = {
    kty: 'OKP',
    crv: 'Ed25519',
    d: raw.subarray(0, SECRET_BYTES).toString('base64url'),
    x: raw.subarray(SECRET_BYTES).toString('base64url'),
  };
  return createPrivateKey({ key: jwk, format: 'jwk' }).export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** @throws Error when the text is no such key; the text is not shown */
export function fromPem(text: string): Ed25519PrivateKey {
  const { d, x } = jwkIn(text);
  const raw = Buffer.concat([Buffer.from(d, 'base64url'), Buffer.from(x, 'base64url')]);
  const key = privateKeyFromRaw(raw);
  if (key.type !== 'Ed25519') throw new TypeError(`${key.type} where Ed25519 was read`);
  return key;
}

function jwkIn(text: string): { readonly d: string; readonly x: string } {
  let found: string;
  try {
    const key = createPrivateKey(text);
    const { d, x } = key.asymmetricKeyType === 'ed25519' ? key.export({ format: 'jwk' }) : {};
    if (d !== undefined && x !== undefined) return { d, x };
    found = `a key of type ${key.asymmetricKeyType}`;
  } catch {
    found = 'none that can be read without a passphrase';
  }
  throw new Error(`expected an unencrypted Ed25519 private key in PEM (PKCS #8), found ${found}`);
}
