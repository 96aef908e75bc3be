import type { KeyObject } from 'node:crypto';
import { createPublicKey, diffieHellman, generateKeyPairSync } from 'node:crypto';
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
    const pair = generateKeyPairSync('x25519');
    const privateKey = octets(pair.privateKey.export({ format: 'jwk' }).d);
    privateKeys.set(privateKey, pair.privateKey);
    return { publicKey: octets(pair.publicKey.export({ format: 'jwk' }).x), privateKey };
  },

  generateX25519SharedKey(privateBytes, publicBytes) {
    const privateKey = privateKeys.get(privateBytes);
    if (privateKey === undefined) return defaultCrypto.generateX25519SharedKey(privateBytes, publicBytes);
    const x = Buffer.from(publicBytes.subarray()).toString('base64url');
    const publicKey = createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'X25519', x } });
    return diffieHellman({ privateKey, publicKey });
  },
};

function octets(base64url = ''): Uint8Array {
  return Buffer.from(base64url, 'base64url');
}
