import { describe, expect, it } from 'vitest';
import { assertSamePoint } from '../../src/overlay/index.js';
import type { Permits } from '../../src/prototype-space/home-broker.js';
import {
  LEASE_MS,
  MAX_MEMBERS,
  MAX_POINTS,
  MAX_POINTS_PER_MEMBER,
  MAX_SPACE_BYTES,
} from '../../src/prototype-space/limits.js';
import { encodeMessage } from '../../src/prototype-space/parse-messages.js';
import type {
  PointOffer,
  TrackerEvent,
  TrackerReply,
  TrackerRequest,
} from '../../src/prototype-space/protocol.js';
import { relayPassword } from '../../src/prototype-space/relay-password.js';
import { TrackerState } from '../../src/prototype-space/tracker-state.js';
import type { Ask, Registration } from './tracker-messages.js';
import { hex, offer, registration } from './tracker-messages.js';

const MEMBER: Permits = { configure: false, write: true, read: true };
const OWNER: Permits = { configure: true, write: true, read: true };

/** A space whose members are named by one digit, and are told things at the address of that name. */
class Space {
  state = new TrackerState({ space: 'market', virtualHost: '/' });
  nowMs = 1_000;
  permits = new Map<string, Permits>();
  #sequence = 100;
  /** What members were told, since it was asked last. */
  #told: (readonly [member: string, event: TrackerEvent])[] = [];

  /** By the user of the member's name, or another one. */
  ask(member: string, ask: Ask, options: { user?: string; sequence?: number } = {}): TrackerReply {
    const { user = `user-${member}`, sequence = ++this.#sequence } = options;
    const request = { ...ask, member: hex(member), sequence } as TrackerRequest;
    const permits = this.permits.get(user) ?? MEMBER;
    const { reply, events } = this.state.handle(request, { user, permits, replyTo: member }, this.nowMs);
    this.#told.push(...events.map(({ to, event }) => [to, event] as const));
    return reply;
  }

  register(
    member: string,
    points: readonly PointOffer[] = [],
    more: Partial<Registration> = {},
    user?: string,
  ) {
    const { member: _, sequence, ...rest } = registration(member, points, more);
    return this.ask(member, rest, { ...(user !== undefined && { user }), ...(sequence > 1 && { sequence }) });
  }

  sweep(): void {
    const events = this.state.sweep(this.nowMs, (user) => this.permits.get(user) ?? MEMBER);
    this.#told.push(...events.map(({ to, event }) => [to, event] as const));
  }

  told(): (readonly [member: string, event: TrackerEvent])[] {
    return this.#told.splice(0);
  }

  /** The members that somebody who is in no point would be told for one. */
  participants(point: string, options: Partial<PointOffer> = {}): string[] {
    const { points = [] } = this.register('f', [offer(point, options)]) as {
      points?: { participants: { member: string }[] }[];
    };
    this.ask('f', { request: 'unregister' });
    this.told();
    return (points[0]?.participants ?? []).map(({ member }) => member.replace(/0+$/, ''));
  }

  restarted(): Space {
    const again = new Space();
    again.#sequence = this.#sequence;
    again.state.restore(this.state.snapshot(), again.nowMs);
    return again;
  }
}

function join(point: PointOffer): Ask {
  return { request: 'join', point };
}

function recordOf(member: string, told: string, point: PointOffer) {
  const { endpoint, relayKey } = registration(member);
  return {
    member: hex(member),
    endpoint,
    password: relayPassword(relayKey, hex(told)),
    outlet: point.outlet,
  };
}

/** Three members, of which a and b share `bids`, and b and c `mail`. */
function threeMembers(): Space {
  const space = new Space();
  space.register('a', [offer('bids')]);
  space.register('b', [offer('bids'), offer('mail')]);
  space.register('c', [offer('mail')]);
  space.told();
  return space;
}

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

describe('a sweep', () => {
  it('drops members whose lease has run out, and tells them and who shared a point', () => {
    const space = threeMembers();
    space.nowMs += LEASE_MS - 1;
    space.ask('a', { request: 'renew' });
    space.ask('c', { request: 'renew' });
    space.sweep();
    expect(space.told()).toEqual([]);
    space.nowMs += 1;
    space.sweep();
    const reason = 'its lease has run out';
    expect(space.told()).toEqual([
      ['b', { event: 'dropped', reason }],
      ['a', { event: 'gone', member: hex('b'), reason }],
      ['c', { event: 'gone', member: hex('b'), reason }],
    ]);
    expect(space.ask('b', { request: 'renew' })).toMatchObject({ code: 'unknown-member' });
  });

  it.each(['write', 'read'] as const)(
    'drops all members of a user that has lost %s permission',
    (permission) => {
      const space = new Space();
      for (const member of ['a', 'b']) space.register(member, [offer('bids')], {}, 'alice');
      space.register('c', [offer('bids')]);
      space.told();
      space.permits.set('alice', { ...MEMBER, [permission]: false });
      space.sweep();
      const reason = `user 'alice' has no ${permission} permission for exchange 'market' in vhost '/'`;
      expect(space.told().filter(([member]) => member === 'c')).toEqual(
        ['a', 'b'].map((member) => ['c', { event: 'gone', member: hex(member), reason }]),
      );
      expect(space.state.memberCount).toBe(1);
    },
  );

  it('drops nobody whose lease was extended because the tracker stood still', () => {
    const space = threeMembers();
    space.nowMs += 10 * LEASE_MS;
    space.state.extendLeases(space.nowMs);
    space.sweep();
    expect([space.told(), space.state.memberCount]).toEqual([[], 3]);
  });
});

describe('restored', () => {
  it('members keep their place for a lease, are told nothing, and have to register before anything else', () => {
    const space = threeMembers().restarted();
    expect(space.participants('bids')).toEqual(['a', 'b']);
    space.register('d', [offer('bids')]);
    expect(space.told()).toEqual([]);
    for (const ask of [
      { request: 'renew' },
      { request: 'leave', point: 'bids' },
      join(offer('bids')),
    ] as Ask[]) {
      expect(space.ask('a', ask)).toMatchObject({ code: 'unknown-member' });
    }
    expect(space.register('a', [offer('bids')])).toMatchObject({
      points: [{ participants: [{ member: hex('b') }, { member: hex('d') }] }],
    });
    // What b, c and d have of it is as it was.
    expect(space.told()).toEqual([]);
    expect(space.ask('a', { request: 'renew' })).toEqual({ reply: 'ok' });
    space.nowMs += LEASE_MS;
    space.ask('a', { request: 'renew' });
    space.ask('d', { request: 'renew' });
    space.sweep();
    expect(space.participants('bids')).toEqual(['a', 'd']);
  });

  it('members may leave the space at once', () => {
    const space = threeMembers().restarted();
    expect(space.ask('a', { request: 'unregister' })).toEqual({ reply: 'ok' });
    expect(space.participants('bids')).toEqual(['b']);
  });

  it('members are still their users’ only, and requests from before are old', () => {
    const space = threeMembers().restarted();
    expect(space.register('a', [], {}, 'mallory')).toMatchObject({ code: 'refused' });
    expect(space.ask('a', { ...registration('a') }, { sequence: 101 })).toMatchObject({ code: 'replayed' });
  });

  it('is what was there, a second time too', () => {
    const space = threeMembers();
    space.register('d', [offer('bids')], { instance: hex('1') });
    const snapshot = space.state.snapshot();
    expect(space.restarted().state.snapshot()).toEqual(snapshot);
    expect(space.restarted().restarted().state.snapshot()).toEqual(snapshot);
    const again = space.restarted();
    again.state.restore(snapshot, again.nowMs);
    expect([again.state.snapshot(), again.participants('bids')]).toEqual([snapshot, ['a', 'b', 'd']]);
  });

  it('is nothing at all where members do not agree', () => {
    const [a, b] = [new Space(), new Space()];
    a.register('a', [offer('bids')]);
    b.register('b', [offer('bids', { type: 'direct' })]);
    const state = new TrackerState({ space: 'market', virtualHost: '/' });
    expect(() => state.restore([...a.state.snapshot(), ...b.state.snapshot()], 0)).toThrow("'exchangetype'");
    expect(state.snapshot()).toEqual([]);
  });

  it('the same goes for members that may have missed what they were told', () => {
    const space = threeMembers();
    space.state.awaitRegistrations(space.nowMs);
    expect(space.ask('a', { request: 'renew' })).toMatchObject({ code: 'unknown-member' });
    space.register('a', [offer('bids')]);
    expect(space.ask('a', { request: 'renew' })).toEqual({ reply: 'ok' });
  });
});

describe('limits', () => {
  function expectLimit(reply: TrackerReply, text: string): void {
    expect(reply).toMatchObject({ reply: 'error', code: 'limit', text: expect.stringContaining(text) });
  }

  it('of members: one more is refused, and one in place of another is not', () => {
    const space = new Space();
    for (let i = 0; i < MAX_MEMBERS; i++) space.register(`${i.toString(16)}d`, [], {}, 'alice');
    expect(space.state.memberCount).toBe(MAX_MEMBERS);
    expectLimit(space.register('a'), `${MAX_MEMBERS} members`);
    const { endpoint } = registration('0d');
    expect(space.register('a', [], { endpoint }, 'alice')).toMatchObject({ reply: 'ok' });
    expect(space.register('a', [], {}, 'alice')).toMatchObject({ reply: 'ok' });
  });

  it('of points, in the space and of a member: what is there can be joined, and goes on', () => {
    const space = new Space();
    const points = Array.from({ length: MAX_POINTS }, (_, i) => offer(`p${i}`));
    expect(space.register('a', points)).toMatchObject({ reply: 'ok' });
    expectLimit(space.ask('a', join(offer('more'))), `${MAX_POINTS_PER_MEMBER} points`);
    expectLimit(space.register('a', [...points, offer('more')]), `${MAX_POINTS_PER_MEMBER} points`);
    expectLimit(space.register('b', [offer('more')]), `room for ${MAX_POINTS} points`);
    expect(space.register('b', [offer('p1')])).toMatchObject({ reply: 'ok' });
    expectLimit(space.ask('b', join(offer('more'))), `room for ${MAX_POINTS} points`);
    space.ask('a', { request: 'leave', point: 'p0' });
    expect(space.ask('b', join(offer('more')))).toMatchObject({ reply: 'ok' });
  });

  it('of octets: no reply and no state is larger than twice of it, and room comes back', () => {
    const space = new Space();
    const large = (name: string) => offer(name, { arguments: JSON.stringify({ x: 'x'.repeat(60_000) }) });
    const members: string[] = [];
    for (let i = 0; i < MAX_SPACE_BYTES / 60_000; i++) {
      const member = `${i.toString(16)}d`;
      if (space.register(member, [large('bids')]).reply === 'ok') members.push(member);
    }
    expect(members.length).toBeGreaterThan(100);
    expectLimit(space.register('a', [large('bids')]), 'octets of JSON');
    expect(space.register('a', [offer('small')])).toMatchObject({ reply: 'ok' });
    expectLimit(space.ask('a', join(large('bids'))), 'octets of JSON');
    expect(Buffer.byteLength(JSON.stringify(space.state.snapshot()))).toBeLessThan(2 * MAX_SPACE_BYTES);
    for (const member of members) space.ask(member, { request: 'unregister' });
    expect(space.ask('a', join(large('bids')))).toMatchObject({ reply: 'ok' });
  });

  it('of octets, with as many participants as can be: members can read the reply', () => {
    const space = new Space();
    const points = Array.from({ length: 15 }, (_, i) => offer(`p${i}`));
    const members = Array.from({ length: 1_000 }, (_, i) => registration(`${i.toString(16)}d`, points));
    space.state.restore(
      members.map((member) => ({ ...member, user: 'alice' })),
      space.nowMs,
    );
    const reply = space.register('0d', points, {}, 'alice');
    expect(reply).toMatchObject({ reply: 'ok' });
    expect(encodeMessage(reply).length).toBeLessThan(2 * MAX_SPACE_BYTES);
  });
});
