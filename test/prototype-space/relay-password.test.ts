import { expect, it } from 'vitest';
import { relayPassword } from '../../src/prototype-space/relay-password.js';

it('a relay password is HMAC-SHA256 in base64url, as RFC 4231 has it', () => {
  // RFC 4231 §4.3, test case 2: the key is the text Jefe.
  const digest = Buffer.from('5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843', 'hex');
  expect(relayPassword('4a656665', 'what do ya want for nothing?')).toBe(digest.toString('base64url'));
});
