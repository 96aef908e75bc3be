import { createHash, createHmac } from 'node:crypto';
import type { FieldTable, Interest, PointType } from '../overlay/index.js';
import {
  canonicalTable,
  EVERYTHING,
  exchangeType,
  interestKey,
  parseCanonicalTable,
} from '../overlay/index.js';
import { MAX_NAME_BYTES } from './limits.js';
import { spaceIdToBytes } from './records.js';
import { PeerFault } from './refusals.js';
import type { Pattern as WirePattern } from './wire/control.js';

const NO_ARGUMENTS: FieldTable = Object.freeze(Object.create(null));
const TOKEN_BYTES = 32;

/**
 * What a participant shows of a routing key of a direct point, in hex: HMAC-SHA-256 with the routing key as key over
 * the point and the participant. Whoever publishes with the key can compute it; nobody can read the key from it, or
 * use it as another participant.
 */
export function routingKeyToken(routingKey: string, spaceId: string, point: string, peer: string): string {
  const data = Buffer.concat([spaceIdToBytes(spaceId), Buffer.from(`${point}\0${peer}`)]);
  return createHmac('sha256', routingKey).update(data).digest('hex');
}

/** As it goes over the wire, and as its receiver keeps it: for direct points the token takes the routing key's place. */
export function toldInterest(
  type: PointType,
  interest: Interest,
  token: (routingKey: string) => string,
): Interest {
  if (interest === EVERYTHING || type !== 'direct') return interest;
  return { routingKey: token(interest.routingKey), arguments: NO_ARGUMENTS };
}

export function encodeInterest(type: PointType, told: Interest): WirePattern {
  const pattern: WirePattern = {
    routingKey: '',
    arguments: '',
    token: new Uint8Array(0),
    everything: told === EVERYTHING,
  };
  if (told === EVERYTHING) return pattern;
  if (type === 'direct') pattern.token = Buffer.from(told.routingKey, 'hex');
  else if (type === 'topic') pattern.routingKey = told.routingKey;
  else if (type === 'headers') pattern.arguments = canonicalTable(told.arguments);
  return pattern;
}

/** @throws Error when the pattern is not one of such a point */
export function decodeInterest(type: PointType, pattern: WirePattern): Interest {
  if (type === 'direct') {
    // Whoever gets everything learns all routing keys.
    if (pattern.everything) throw new Error('everything is asked for at a direct point');
    if (pattern.token.length !== TOKEN_BYTES) throw new Error(`a token of ${pattern.token.length} bytes`);
    return { routingKey: Buffer.from(pattern.token).toString('hex'), arguments: NO_ARGUMENTS };
  }
  if (pattern.everything) return EVERYTHING;
  const routingKey = type === 'topic' ? pattern.routingKey : '';
  const keyBytes = Buffer.byteLength(routingKey);
  if (keyBytes > MAX_NAME_BYTES) throw new PeerFault('oversize', `a routing key of ${keyBytes} bytes`);
  const table = type === 'headers' ? parseCanonicalTable(pattern.arguments) : NO_ARGUMENTS;
  const decoded = { routingKey, arguments: table };
  const problem = exchangeType(type).problemWith(decoded);
  if (problem !== undefined) throw new Error(problem);
  return decoded;
}

/** One item's part in the digest of an interest: items are XORed, so that order does not matter. */
export function interestDigest(told: Interest): bigint {
  return createHash('sha256').update(interestKey(told)).digest().readBigUInt64BE(0);
}
