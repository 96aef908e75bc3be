import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto';
import { MAX_GRANT_BYTES } from './limits.js';

const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** A grant as it is shown to a peer that may be a stranger: only members of the space can read it, and who asks. */
export function sealGrant(token: string, rendezvous: string, asker: string, asked: string): Uint8Array {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, keyOf(rendezvous), nonce).setAAD(parties(asker, asked));
  return Buffer.concat([nonce, cipher.update(token), cipher.final(), cipher.getAuthTag()]);
}

/** Undefined for what is meant for another space, or was sealed by somebody else. */
export function openGrant(
  sealed: Uint8Array,
  rendezvous: string,
  asker: string,
  asked: string,
): string | undefined {
  const end = sealed.length - TAG_BYTES;
  if (end <= NONCE_BYTES || sealed.length > MAX_GRANT_BYTES + NONCE_BYTES + TAG_BYTES) return undefined;
  const decipher = createDecipheriv(CIPHER, keyOf(rendezvous), sealed.subarray(0, NONCE_BYTES), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(parties(asker, asked)).setAuthTag(sealed.subarray(end));
  try {
    return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES, end)), decipher.final()]).toString();
  } catch {
    return undefined;
  }
}

function keyOf(rendezvous: string): Buffer {
  return createHmac('sha256', Buffer.from(rendezvous, 'hex')).update('xspace-lookup').digest();
}

function parties(asker: string, asked: string): Buffer {
  return Buffer.from(`${asker}\0${asked}`);
}
