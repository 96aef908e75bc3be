import { describe, expect, it } from 'vitest';
import { assertSamePoint } from '../../src/overlay/index.js';
import { LEASE_MS } from '../../src/prototype-space/limits.js';
import type { PointOffer } from '../../src/prototype-space/protocol.js';
import { relayPassword } from '../../src/prototype-space/relay-password.js';
import type { Ask, Registration } from './tracker-messages.js';
import { hex, offer, registration } from './tracker-messages.js';
import { join, MEMBER, OWNER, recordOf, Space, threeMembers } from './tracker-space.js';

describe('joining', () => {
  it('tells who is there with a password of its own, and them who came', () => {
    const space = new Space();
    const [bids, mine] = [
      offer('bids'),
      offer('bids', { outlet: { number: 9, exchange: 'x', everything: 'y' } }),
    ];
    expect(space.register('a', [bids])).toEqual({
      reply: 'ok',
      points: [{ point: 'bids', participants: [] }],
    });
    expect(space.register('b')).toEqual({ reply: 'ok', points: [] });
    expect(space.ask('b', join(mine))).toEqual({
      reply: 'ok',
      points: [{ point: 'bids', participants: [recordOf('a', 'b', bids)] }],
    });
    expect(space.told()).toEqual([
      ['a', { event: 'joined', point: 'bids', participant: recordOf('b', 'a', mine) }],
    ]);
  });

  it('again with the same offer is no news, and with another one is', () => {
    const space = threeMembers();
    space.ask('b', join(offer('bids')));
    expect(space.told()).toEqual([]);
    const moved = offer('bids', { outlet: { number: 2, exchange: 'x', everything: 'y' } });
    space.ask('b', join(moved));
    expect(space.told()).toEqual([
      ['a', { event: 'joined', point: 'bids', participant: recordOf('b', 'a', moved) }],
    ]);
  });

  it.each<[string, Partial<PointOffer>]>([
    ['of another type', { type: 'direct' }],
    ['with other arguments', { arguments: '{"x":1}' }],
  ])('a point %s is refused in the words of the overlay, and changes nothing', (_, other) => {
    const space = threeMembers();
    const { version } = space.state;
    let text = '';
    try {
      const point = { name: 'bids', type: 'topic', arguments: {} } as const;
      const args = other.arguments === undefined ? {} : { x: 1 };
      assertSamePoint('market', point, { ...point, type: other.type ?? 'topic', arguments: args });
    } catch (error) {
      text = (error as Error).message;
    }
    const conflict = { reply: 'error', code: 'conflict', text, point: 'bids' };
    expect(text).toContain("exchange point 'bids' in space 'market'");
    expect(space.ask('c', join(offer('bids', other)))).toEqual(conflict);
    expect(space.register('c', [offer('new'), offer('bids', other)])).toEqual(conflict);
    expect(space.register('d', [offer('new'), offer('bids', other)])).toEqual(conflict);
    expect([space.told(), space.state.version, space.participants('mail')]).toEqual([
      [],
      version,
      ['b', 'c'],
    ]);
  });

  it('a point as the only one in it may make it another one', () => {
    const space = new Space();
    space.register('a', [offer('bids')]);
    expect(space.ask('a', join(offer('bids', { type: 'direct' })))).toMatchObject({ reply: 'ok' });
    expect(space.participants('bids', { type: 'direct' })).toEqual(['a']);
  });
});

describe('leaving', () => {
  it('tells who is in that point, and the last one takes the point along', () => {
    const space = threeMembers();
    expect(space.ask('b', { request: 'leave', point: 'mail' })).toEqual({ reply: 'ok' });
    expect(space.told()).toEqual([['c', { event: 'left', point: 'mail', member: hex('b') }]]);
    space.ask('c', { request: 'leave', point: 'mail' });
    expect(space.ask('a', join(offer('mail', { type: 'fanout' })))).toMatchObject({ reply: 'ok' });
  });

  it('a point that one is not in has no effect', () => {
    const space = threeMembers();
    expect(space.ask('a', { request: 'leave', point: 'mail' })).toEqual({ reply: 'ok' });
    expect(space.told()).toEqual([]);
  });

  it('the space is told once to each that shared a point', () => {
    const space = threeMembers();
    space.ask('a', join(offer('mail')));
    space.told();
    expect(space.ask('b', { request: 'unregister' })).toEqual({ reply: 'ok' });
    const gone = { event: 'gone', member: hex('b'), reason: 'it has left the space' };
    expect(space.told()).toEqual([
      ['a', gone],
      ['c', gone],
    ]);
    expect(space.ask('b', { request: 'renew' })).toMatchObject({ code: 'unknown-member' });
  });
});

describe('registering again', () => {
  it('with the same says nothing to others, and tells all participants anew', () => {
    const space = threeMembers();
    const { version } = space.state;
    expect(space.register('a', [offer('bids')])).toEqual({
      reply: 'ok',
      points: [{ point: 'bids', participants: [recordOf('b', 'a', offer('bids'))] }],
    });
    expect([space.told(), space.state.version]).toEqual([[], version]);
  });

  it('is a full statement: points that are not named are left', () => {
    const space = threeMembers();
    space.register('b', [offer('mail'), offer('new')]);
    expect(space.told()).toEqual([['a', { event: 'left', point: 'bids', member: hex('b') }]]);
  });

  it('from elsewhere, or with another relay key, tells the others so', () => {
    const space = threeMembers();
    const { endpoint } = registration('9');
    space.register('a', [offer('bids')], { endpoint });
    const participant = { ...recordOf('a', 'b', offer('bids')), endpoint };
    expect(space.told()).toEqual([['b', { event: 'joined', point: 'bids', participant }]]);
    space.register('a', [offer('bids')], { endpoint, relayKey: hex('7', 64) });
    const password = relayPassword(hex('7', 64), hex('b'));
    expect(space.told()).toEqual([
      ['b', { event: 'joined', point: 'bids', participant: { ...participant, password } }],
    ]);
  });

  const { endpoint } = registration('a');
  it.each<[string, Partial<Registration>, string, string[]]>([
    ['with its endpoint takes its place', { endpoint }, 'user-a', []],
    ['with its endpoint, after a restart, too', { endpoint, instance: hex('2') }, 'user-a', []],
    ['with its endpoint in one node stands beside it', { endpoint, instance: hex('1') }, 'user-a', ['a']],
    ['with its endpoint for another user stands beside it', { endpoint }, 'user-d', ['a']],
    ['at another port stands beside it', { endpoint: { ...endpoint, port: 9 } }, 'user-a', ['a']],
  ])('as another member %s', (_, more, user, left) => {
    const space = new Space();
    space.register('a', [offer('bids')], { instance: hex('1') });
    space.register('b', [offer('bids')]);
    space.told();
    expect(space.register('d', [offer('bids', { type: 'topic' })], more, user)).toMatchObject({
      reply: 'ok',
    });
    const told = space.told();
    expect(space.participants('bids')).toEqual([...left, 'b', 'd']);
    const reason = `another member of user '${user}' has registered with the same endpoint, a.example:5672`;
    const replaced = [
      ['a', { event: 'dropped', reason }],
      ['b', { event: 'gone', member: hex('a'), reason }],
    ];
    expect(told.filter(([, { event }]) => event !== 'joined')).toEqual(left.length > 0 ? [] : replaced);
    expect(told.at(-1)).toMatchObject(['b', { event: 'joined', participant: { member: hex('d') } }]);
  });

  it('in the place of the only participant may make the point another one', () => {
    const space = new Space();
    space.register('a', [offer('bids')]);
    const direct = offer('bids', { type: 'direct' });
    expect(space.register('d', [direct], { endpoint }, 'user-a')).toMatchObject({ reply: 'ok' });
    expect(space.participants('bids', { type: 'direct' })).toEqual(['d']);
  });
});

describe('a request', () => {
  const everything: [string, Ask][] = [
    ['register', registration('a')],
    ['renew', { request: 'renew', relayKey: hex('7', 64) }],
    ['join', join(offer('new'))],
    ['leave', { request: 'leave', point: 'bids' }],
    ['unregister', { request: 'unregister' }],
    ['delete-point', { request: 'delete-point', point: 'bids' }],
  ];

  /** That the request is answered so, and that nothing came of it. */
  function expectRefused(space: Space, ask: Ask, options: object, code: string, text: string): void {
    const before = space.state.snapshot();
    expect(space.ask('a', ask, options)).toMatchObject({
      reply: 'error',
      code,
      text: expect.stringContaining(text),
    });
    expect([space.told(), space.state.snapshot()]).toEqual([[], before]);
    space.ask('b', { request: 'leave', point: 'bids' });
    expect(space.told()).toMatchObject([['a', { event: 'left' }]]);
  }

  it.each(everything)('%s of another user for a member is refused', (_, ask) => {
    expectRefused(
      threeMembers(),
      ask,
      { user: 'mallory' },
      'refused',
      `member '${hex('a')}' is another user's`,
    );
  });

  it.each(everything)('%s that was made before is refused', (_, ask) => {
    const space = threeMembers();
    space.ask('a', { request: 'renew' }, { sequence: 500 });
    for (const sequence of [0, 499, 500]) {
      const text = `field 'sequence': expected more than 500, found ${sequence}`;
      expectRefused(space, ask, { sequence }, 'replayed', text);
      space.ask('b', join(offer('bids')));
      space.told();
    }
  });

  it.each(everything)('%s of a user without permission is refused', (_, ask) => {
    for (const permission of ['write', 'read'] as const) {
      const space = threeMembers();
      space.permits.set('user-a', { ...OWNER, [permission]: false });
      const text = `user 'user-a' has no ${permission} permission for exchange 'market' in vhost '/'`;
      expectRefused(space, ask, {}, 'refused', text);
    }
  });

  it.each(everything.slice(1))('%s of a member that is not known asks it to register', (_, ask) => {
    expect(new Space().ask('e', ask)).toMatchObject({ code: 'unknown-member' });
  });

  it('that is refused for what it asks renews the lease all the same', () => {
    const space = threeMembers();
    space.nowMs += LEASE_MS - 1;
    space.ask('a', join(offer('mail', { type: 'direct' })));
    space.nowMs += 1;
    space.sweep();
    expect(space.participants('bids')).toEqual(['a']);
  });

  it('has its events sent where the newest one came from', () => {
    const space = threeMembers();
    const request = { request: 'renew', member: hex('a'), sequence: 10_000 } as const;
    space.state.handle(request, { user: 'user-a', permits: MEMBER, replyTo: 'elsewhere' }, space.nowMs);
    space.ask('b', { request: 'leave', point: 'bids' });
    expect(space.told()).toMatchObject([['elsewhere', { event: 'left' }]]);
  });
});

describe('a relay key', () => {
  it('that is another one gives each peer another password, once', () => {
    const space = threeMembers();
    space.ask('a', join(offer('mail')));
    space.told();
    const relayKey = hex('7', 64);
    expect(space.ask('b', { request: 'renew', relayKey })).toEqual({ reply: 'ok' });
    const event = { event: 'password', member: hex('b') };
    expect(space.told()).toEqual([
      ['a', { ...event, password: relayPassword(relayKey, hex('a')) }],
      ['c', { ...event, password: relayPassword(relayKey, hex('c')) }],
    ]);
    space.ask('b', { request: 'renew', relayKey });
    expect(space.told()).toEqual([]);
  });
});

describe('deleting a point', () => {
  it('takes configure permission', () => {
    const space = threeMembers();
    const text = "user 'user-a' has no configure permission for exchange 'market' in vhost '/'";
    expect(space.ask('a', { request: 'delete-point', point: 'bids' })).toEqual({
      reply: 'error',
      code: 'refused',
      text,
    });
    expect(space.participants('bids')).toEqual(['a', 'b']);
  });

  it('tells all that are in it, whether or not the deleter is, and says by whom', () => {
    for (const deleter of ['a', 'c']) {
      const space = threeMembers();
      space.permits.set(`user-${deleter}`, OWNER);
      expect(space.ask(deleter, { request: 'delete-point', point: 'bids' })).toEqual({ reply: 'ok' });
      const reason = `user 'user-${deleter}' has deleted exchange point 'bids' of space 'market'`;
      const event = { event: 'point-deleted', point: 'bids', reason };
      expect(space.told()).toEqual(['a', 'b'].filter((one) => one !== deleter).map((one) => [one, event]));
      expect(space.register('d', [offer('bids', { type: 'headers' })])).toMatchObject({ reply: 'ok' });
    }
  });
});

it('deleting the space tells everybody and forgets everything', () => {
  const space = threeMembers();
  expect(space.state.deleteSpace('over')).toEqual(
    ['a', 'b', 'c'].map((to) => ({ to, event: { event: 'space-deleted', reason: 'over' } })),
  );
  expect([space.state.memberCount, space.state.snapshot()]).toEqual([0, []]);
});
