import { setImmediate as turn } from 'node:timers/promises';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { CONTROL_PART_BYTES, MAX_CLOCK_SKEW_MS, MEMBER_VALIDITY_MS } from '../../src/dht-space/limits.js';
import type { Link } from '../../src/dht-space/link.js';
import type { MemberRecord, Sealed, SpaceManifest } from '../../src/dht-space/records.js';
import { seal } from '../../src/dht-space/records.js';
import { eventually } from '../support/eventually.js';
import { Random, seed } from '../support/random.js';
import { FakeMember } from './fake-member.js';
import { FakeOverlay } from './fake-overlay.js';
import type { Identity } from './fixtures.js';
import { identities, manifest } from './fixtures.js';

const HOUR_MS = 3_600_000;
let people: readonly Identity[];

beforeAll(async () => {
  people = await identities(40);
});

/** Members of one space that do not know each other yet. */
async function startMembers(count: number): Promise<{ members: FakeMember[]; clock: { nowMs: number } }> {
  const clock = { nowMs: Date.now() };
  const overlay = new FakeOverlay(new Random(seed));
  const space: Sealed<SpaceManifest> = manifest(people[0] as Identity, {
    createdMs: clock.nowMs,
    expiresMs: clock.nowMs + HOUR_MS,
  });
  const members: FakeMember[] = [];
  for (const person of people.slice(0, count))
    members.push(await FakeMember.start(overlay, person, space, { clock }));
  return { members, clock };
}

function knownTo({ space }: FakeMember): string[] {
  return space.members.others.map(({ peer }) => peer).sort();
}

function idsOf(members: readonly FakeMember[]): string[] {
  return members.map(({ node }) => node.id).sort();
}

function recordOf(
  person: Identity,
  spaceId: string,
  nowMs: number,
  changes: Partial<MemberRecord> = {},
): Sealed<MemberRecord> {
  const record = {
    kind: 'member-record',
    spaceId,
    peer: person.id,
    epoch: 1n,
    sequence: nowMs,
    addresses: [],
    points: [],
    expiresMs: nowMs + MEMBER_VALIDITY_MS,
    left: false,
  } as const;
  return seal({ ...record, ...changes }, person.key);
}

describe('the members of a space', () => {
  it('all know and link each other when each has met one', async () => {
    const { members } = await startMembers(6);
    for (const [index, one] of members.entries()) if (index > 0) one.meet(members[index - 1] as FakeMember);
    await eventually(() => {
      for (const one of members) {
        const others = members.filter((other) => other !== one);
        expect(knownTo(one)).toEqual(idsOf(others));
        for (const { node } of others) expect(one.links.get(node.id)?.session).toBeDefined();
      }
    });
  });

  it('hear where a member is reached since, once', async () => {
    const { members, clock } = await startMembers(3);
    const [a, b, c] = members as [FakeMember, FakeMember, FakeMember];
    b.meet(a);
    c.meet(b);
    await eventually(() => expect(members.map((one) => knownTo(one).length)).toEqual([2, 2, 2]));
    const known = ({ space }: FakeMember) => space.members.others.find(({ peer }) => peer === a.node.id);
    const before = known(c)?.sequence ?? 0;
    const moved = vi.spyOn(c.links.get(a.node.id) as Link, 'moved');

    a.node.addresses = ['/ip4/192.0.2.7/tcp/4672'];
    a.space.tick(clock.nowMs);
    await eventually(() => {
      for (const one of [b, c]) expect(known(one)?.addresses).toEqual(a.node.addresses);
    });
    const told = known(c)?.sequence ?? 0;
    expect(told).toBeGreaterThan(before);
    for (let tick = 0; tick < 3; tick += 1) a.space.tick(clock.nowMs);
    a.space.members.tell(['later']);
    await eventually(() => expect(known(c)?.points).toEqual(['later']));
    expect(known(c)?.sequence).toBe(told + 1);
    expect(moved).toHaveBeenCalledTimes(1);
  });

  it('hear of points and of who leaves, and link those no more', async () => {
    const { members } = await startMembers(3);
    const [a, b, c] = members as [FakeMember, FakeMember, FakeMember];
    b.meet(a);
    c.meet(a);
    await eventually(() => expect(members.map((one) => knownTo(one).length)).toEqual([2, 2, 2]));
    await b.join();
    await eventually(() =>
      expect([a, c].map(({ space }) => space.hasParticipant('bids'))).toEqual([true, true]),
    );
    b.space.leave();
    await eventually(() => expect([knownTo(a), knownTo(c)]).toEqual([[c.node.id], [a.node.id]]));
    expect([...(a.links.get(b.node.id)?.spaces ?? [])]).toEqual([]);
    expect([a, c].map(({ space }) => space.hasParticipant('bids'))).toEqual([false, false]);
  });

  it('renew their records in time, and forget who does not', async () => {
    const { members, clock } = await startMembers(2);
    const [a, b] = members as [FakeMember, FakeMember];
    b.meet(a);
    const silent = people[30] as Identity;
    await eventually(() => expect(knownTo(a)).toEqual([b.node.id]));
    a.space.members.learn([recordOf(silent, a.space.spaceId, clock.nowMs).bytes]);
    await eventually(() => expect(knownTo(b)).toContain(silent.id));
    const endMs = clock.nowMs + MEMBER_VALIDITY_MS + MAX_CLOCK_SKEW_MS;
    while (clock.nowMs <= endMs) {
      clock.nowMs += MEMBER_VALIDITY_MS / 5;
      for (const { space } of members) space.tick(clock.nowMs);
      for (let turns = 0; turns < 20; turns += 1) await turn();
    }
    expect([knownTo(a), knownTo(b)]).toEqual([[b.node.id], [a.node.id]]);
    expect(a.log.about('member record has expired').map(({ fields }) => fields.peer)).toEqual([silent.id]);
    expect(a.links.get(silent.id)?.spaces.size ?? 0).toBe(0);
  });

  it('compare what they know, so that news which nobody handed on gets around', async () => {
    const { members, clock } = await startMembers(2);
    const [a, b] = members as [FakeMember, FakeMember];
    b.meet(a);
    await eventually(() => expect(knownTo(a)).toEqual([b.node.id]));
    const link = b.links.get(a.node.id) ?? expect.fail();
    // Told by the very link, it is not told back.
    b.space.members.learn([recordOf(people[30] as Identity, a.space.spaceId, clock.nowMs).bytes], link);
    expect(knownTo(a)).toEqual([b.node.id]);
    clock.nowMs += 20_000;
    a.space.tick(clock.nowMs);
    await eventually(() => expect(knownTo(a)).toContain((people[30] as Identity).id));
  });

  it('go on above what others remember of an earlier start of them', async () => {
    const { members, clock } = await startMembers(2);
    const [a, b] = members as [FakeMember, FakeMember];
    const ahead = recordOf(people[1] as Identity, a.space.spaceId, clock.nowMs, {
      epoch: 77n,
      sequence: clock.nowMs + HOUR_MS,
      points: ['old'],
    });
    a.space.members.learn([ahead.bytes]);
    expect(a.space.hasParticipant('old')).toBe(true);
    b.meet(a);
    await eventually(() => expect(a.space.hasParticipant('old')).toBe(false));
    expect(knownTo(a)).toEqual([b.node.id]);
  });

  it('are told in as many messages as it takes', async () => {
    const { members, clock } = await startMembers(2);
    const [a, b] = members as [FakeMember, FakeMember];
    const points = Array.from({ length: 900 }, (_, i) => `${i}`.padStart(50, '.'));
    const records = people
      .slice(2, 32)
      .map((person) => recordOf(person, a.space.spaceId, clock.nowMs, { points }).bytes);
    expect(records.reduce((sum, { length }) => sum + length, 0)).toBeGreaterThan(2 * CONTROL_PART_BYTES);
    a.space.members.learn(records);
    a.meet(b);
    await eventually(() => expect(knownTo(b)).toHaveLength(31));
    expect([a, b].map(({ log }) => log.about('link lost'))).toEqual([[], []]);
  });

  it('are told anew by all when they left and came back, however the news of that overtake each other', async () => {
    const { members, clock } = await startMembers(3);
    const [a, b, c] = members as [FakeMember, FakeMember, FakeMember];
    b.meet(a);
    c.meet(a);
    for (const one of members) await one.join();
    await eventually(() => expect(a.session?.status().participants).toHaveLength(2));
    // b leaves and comes back; c tells a of its return before b itself tells of anything.
    const link = a.links.get(b.node.id) ?? expect.fail();
    const session = link.session ?? expect.fail();
    const told: unknown[] = [];
    const { send } = session.control;
    session.control.send = (message) => {
      told.push(message.attach?.point);
      send.call(session.control, message);
    };
    const version = (sequence: number, left: boolean) =>
      recordOf(people[1] as Identity, a.space.spaceId, clock.nowMs, {
        sequence: clock.nowMs + sequence,
        left,
        points: ['bids'],
      }).bytes;
    a.space.members.learn([version(200, false)], a.links.get(c.node.id));
    expect(told).not.toContain('bids');
    a.space.members.learn([version(100, true)], link);
    expect(told).toContain('bids');
    expect(knownTo(a)).toContain(b.node.id);
    expect([...link.spaces]).toEqual([a.space.spaceId]);
  });
});
