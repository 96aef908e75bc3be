import { describe, expect, it } from 'vitest';
import {
  LEASE_MS,
  MAX_MEMBERS,
  MAX_POINTS,
  MAX_POINTS_PER_MEMBER,
  MAX_SPACE_BYTES,
} from '../../src/prototype-space/limits.js';
import { encodeMessage } from '../../src/prototype-space/parse-messages.js';
import type { TrackerReply } from '../../src/prototype-space/protocol.js';
import { TrackerState } from '../../src/prototype-space/tracker-state.js';
import type { Ask } from './tracker-messages.js';
import { hex, offer, registration } from './tracker-messages.js';
import { join, MEMBER, Space, threeMembers } from './tracker-space.js';

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
