import type { JsonWebKey, KeyObject } from 'node:crypto';
import { createPrivateKey, createPublicKey, diffieHellman, generateKeyPairSync } from 'node:crypto';
import type { ICryptoInterface } from '@chainsafe/libp2p-noise';
import { defaultCrypto } from '@chainsafe/libp2p-noise/crypto';

/** Made here, by the octets that noise knows them by. */
const privateKeys = new WeakMap<object, KeyObject>();

/**
 * What noise computes with. By default X25519 keys come to OpenSSL as DER, which takes OpenSSL 3 ten times as long to parse
 * as the key takes to use: 3.5 ms per handshake, both sides together. A JWK holds the key itself.
 */
export const noiseCrypto: ICryptoInterface = {
  ...defaultCrypto,

  generateX25519KeyPair() {
    const { publicKey, privateKey } = newKeyPair();
    const secret = octets(privateKey.d);
    privateKeys.set(secret, createPrivateKey({ key: privateKey, format: 'jwk' }));
    return { publicKey: octets(publicKey.x), privateKey: secret };
  },

  generateX25519SharedKey(privateBytes, publicBytes) {
    const privateKey = privateKeys.get(privateBytes);
    if (privateKey === undefined) return defaultCrypto.generateX25519SharedKey(privateBytes, publicBytes);
    const x = Buffer.from(publicBytes.subarray()).toString('base64url');
    const publicKey = createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'X25519', x } });
    return diffieHellman({ privateKey, publicKey });
  },
};

/**
 * Exported as it is generated. To export a generated key afterwards hangs Node 20 for good, now and then: it holds the key's lock
 * when it allocates, and if that collects what had generated the key, this takes the same lock.
 */
function newKeyPair(): Record<'publicKey' | 'privateKey', JsonWebKey> {
  const pair: object = generateKeyPairSync('x25519', {
    publicKeyEncoding: { type: 'spki', format: 'jwk' },
    privateKeyEncoding: { type: 'pkcs8', format: 'jwk' },
  });
  // Node's types know of no keys that are exported like this.
  return pair as Record<'publicKey' | 'privateKey', JsonWebKey>;
}

function octets(base64url = ''): Uint8Array {
  return Buffer.from(base64url, 'base64url');
}
