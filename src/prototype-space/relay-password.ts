import { createHmac } from 'node:crypto';

/**
 * The password that a member's relay logs in with at another member: HMAC-SHA256 of the relay's member id under the
 * other's relay key, in base64url. Whoever knows one password learns nothing of the others.
 *
 * @param relayKey of the member that is logged in at, in hexadecimal
 * @param relay the member id of the one that logs in
 */
export function relayPassword(relayKey: string, relay: string): string {
  return createHmac('sha256', Buffer.from(relayKey, 'hex')).update(relay).digest('base64url');
}
