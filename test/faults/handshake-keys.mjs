// Makes as many keys as that many handshakes do.
import { noiseCrypto } from '../../dist/dht-space/noise-crypto.js';

for (let count = Number(process.argv[2]); count > 0; count -= 1) {
  const [one, other] = [noiseCrypto.generateX25519KeyPair(), noiseCrypto.generateX25519KeyPair()];
  noiseCrypto.generateX25519SharedKey(one.privateKey, other.publicKey);
}
