import { describe, expect, it } from 'vitest';
import {
  decodeInterest,
  encodeInterest,
  interestDigest,
  routingKeyToken,
  toldInterest,
} from '../../src/dht-space/interest-wire.js';
import type { Participant } from '../../src/dht-space/participant.js';
import { secretDirect } from '../../src/dht-space/secret-table.js';
import { Pattern as PatternMessage } from '../../src/dht-space/wire/control.js';
import type { Interest, PointType } from '../../src/overlay/index.js';
import { EVERYTHING, interestKey } from '../../src/overlay/index.js';
import { pattern, routable } from '../overlay/messages.js';

const SPACE_ID = '07'.repeat(32);

const tokenOf = (key: string, peer = 'peer-a', point = 'mailbox', spaceId = SPACE_ID): string =>
  routingKeyToken(key, spaceId, point, peer);

/** What the other side holds after it was told. */
function afterTheWire(type: PointType, interest: Interest): Interest {
  const told = toldInterest(type, interest, (key) => tokenOf(key));
  const bytes = PatternMessage.encode(encodeInterest(type, told));
  return decodeInterest(type, PatternMessage.decode(bytes));
}

const noPattern = { routingKey: '', arguments: '', token: new Uint8Array(0), everything: false };

describe('interest on the wire', () => {
  it.each<[PointType, Interest]>([
    ['topic', pattern('a.*.#')],
    ['topic', pattern('')],
    ['fanout', pattern('')],
    ['headers', pattern('', { 'x-match': 'any', kind: 'bid', price: 5n, nested: { list: [1, null] } })],
    ['headers', pattern('')],
    ['topic', EVERYTHING],
    ['headers', EVERYTHING],
    ['fanout', EVERYTHING],
  ])('of a %s point arrives as it was: %o', (type, interest) => {
    expect(interestKey(afterTheWire(type, interest))).toBe(interestKey(interest));
  });

  it('of a direct point shows neither the routing key nor anything that is the same for two participants', () => {
    const told = afterTheWire('direct', pattern('margaret'));
    expect(told).toEqual({ routingKey: tokenOf('margaret'), arguments: {} });
    expect(JSON.stringify(told)).not.toContain('margaret');
    const tokens = [
      tokenOf('margaret'),
      tokenOf('margaret', 'peer-b'),
      tokenOf('margaret', 'peer-a', 'bids'),
      tokenOf('margaret', 'peer-a', 'mailbox', '08'.repeat(32)),
      tokenOf('margareT'),
      // Point and peer cannot run into each other.
      tokenOf('margaret', 'a', 'mailbox\0peer-'),
    ];
    expect(new Set(tokens).size).toBe(tokens.length);
  });

  it('has tokens and digests that others can compute: HMAC-SHA-256 and SHA-256', () => {
    expect(tokenOf('margaret')).toBe('ef0649cafafe28814837fd8bd8b56aa94b9210a38f5fc6fb1b395dd2ea5050a1');
    expect(interestDigest(pattern('a.*'))).toBe(9200517109377978623n);
    expect(interestDigest(EVERYTHING)).toBe(16406829232824261652n);
  });

  it.each<[string, PointType, object]>([
    ['a token that is too short', 'direct', { token: new Uint8Array(31) }],
    ['a token that is too long', 'direct', { token: new Uint8Array(33) }],
    ['everything of a direct point', 'direct', { everything: true }],
    ['a direct pattern in clear', 'direct', { routingKey: 'margaret' }],
    ['a routing key longer than AMQP has', 'topic', { routingKey: 'é'.repeat(128) }],
    ['arguments that are no JSON', 'headers', { arguments: '{' }],
    ['arguments that are not canonical', 'headers', { arguments: '{ "a": 1 }' }],
    ['arguments that nest too deep', 'headers', { arguments: `${'{"a":'.repeat(40)}1${'}'.repeat(40)}` }],
    ['an x-match that means nothing', 'headers', { arguments: '{"x-match":"some"}' }],
  ])('refuses %s', (_, type, change) => {
    expect(() => decodeInterest(type, { ...noPattern, ...change })).toThrow();
  });
});

describe('a publisher of a direct point', () => {
  const participant = (peer: string): Participant => ({ link: { peer } }) as unknown as Participant;
  const [alice, bob] = [participant('peer-a'), participant('peer-b')];

  function match(key: string, ...told: readonly (readonly [Participant, string])[]): Participant[] {
    const table = secretDirect(SPACE_ID, 'mailbox').createTable<Participant>();
    for (const [who, token] of told) expect(table.add(pattern(token), who)).toBe(true);
    const found = new Set<Participant>();
    table.match(routable(key), found);
    return [...found];
  }

  it('finds who wants a key that it knows', () => {
    const told = [
      [alice, tokenOf('margaret')],
      [alice, tokenOf('carol')],
      [bob, tokenOf('margaret', 'peer-b')],
      [bob, tokenOf('dave', 'peer-b')],
    ] as const;
    expect(match('margaret', ...told)).toEqual([alice, bob]);
    expect(match('dave', ...told)).toEqual([bob]);
    expect(match('', ...told)).toEqual([]);
  });

  it('sends nothing to who repeats the token of another participant', () => {
    expect(match('margaret', [bob, tokenOf('margaret', 'peer-a')])).toEqual([]);
    // Nor to one that took the token for the key.
    expect(match('margaret', [bob, tokenOf(tokenOf('margaret'), 'peer-b')])).toEqual([]);
  });

  it('holds a token once for each participant, and forgets it', () => {
    const table = secretDirect(SPACE_ID, 'mailbox').createTable<Participant>();
    const token = pattern(tokenOf('margaret'));
    expect([table.add(token, alice), table.add(token, alice), table.add(token, bob)]).toEqual([
      true,
      false,
      true,
    ]);
    expect([table.remove(token, alice), table.remove(token, alice)]).toEqual([true, false]);
    const found = new Set<Participant>();
    table.match(routable('margaret'), found);
    expect(found.size).toBe(0);
  });
});
