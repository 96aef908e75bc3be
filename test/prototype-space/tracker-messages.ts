import type { ParticipantRecord, PointOffer, TrackerRequest } from '../../src/prototype-space/protocol.js';

export type Registration = Extract<TrackerRequest, { readonly request: 'register' }>;

/** A request without what every request has. */
export type Ask = TrackerRequest extends infer R
  ? R extends TrackerRequest
    ? Omit<R, 'member' | 'sequence'>
    : never
  : never;

/** A member id, an instance or half a relay key that begins with these digits. */
export function hex(digits: string, length = 32): string {
  return digits.padEnd(length, '0');
}

export function offer(name: string, more: Partial<PointOffer> = {}): PointOffer {
  const outlet = { number: 1, exchange: `outlet.${name}`, everything: `outlet.${name}.everything` };
  return { name, type: 'topic', arguments: '{}', outlet, ...more };
}

export const record: ParticipantRecord = {
  member: hex('b'),
  endpoint: { host: 'amqp.brandcorp.example', port: 5671, tls: true, virtualHost: 'relays' },
  password: 'i0eKvnDsCUvFHhxJ7NeSnEUjm7BAmgA-xVdVl7b7fqU',
  outlet: { number: 3, exchange: 'e', everything: 'f' },
};

/** The digits stand for the member, which has a host and a relay key of its own. */
export function registration(
  digits: string,
  points: readonly PointOffer[] = [],
  more: Partial<Registration> = {},
): Registration {
  return {
    request: 'register',
    member: hex(digits),
    sequence: 1,
    endpoint: { host: `${digits}.example`, port: 5672, tls: false, virtualHost: 'relays' },
    relayKey: hex(digits, 64),
    points,
    ...more,
  };
}
