import { defaultCrypto } from '@chainsafe/libp2p-noise/crypto';
import { expect, it } from 'vitest';
import { noiseCrypto } from '../../src/dht-space/noise-crypto.js';

it('shares the same secret with whoever computes as noise does by default', () => {
  for (let pair = 0; pair < 20; pair += 1) {
    const ours = noiseCrypto.generateX25519KeyPair();
    const theirs = defaultCrypto.generateX25519KeyPair();
    const secret = defaultCrypto.generateX25519SharedKey(theirs.privateKey, ours.publicKey);
    expect(ours.publicKey).toHaveLength(32);
    expect(noiseCrypto.generateX25519SharedKey(ours.privateKey, theirs.publicKey)).toEqual(secret);
    // Keys as octets only, wherever they come from.
    const copy = Uint8Array.from(ours.privateKey);
    expect(noiseCrypto.generateX25519SharedKey(copy, theirs.publicKey)).toEqual(secret);
  }
});

it('takes no public key that leads to a secret everybody knows', () => {
  const { privateKey } = noiseCrypto.generateX25519KeyPair();
  expect(() => noiseCrypto.generateX25519SharedKey(privateKey, new Uint8Array(32))).toThrow();
});
