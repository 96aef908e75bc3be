import { beforeAll, describe, expect, it } from 'vitest';
import { MAX_CLOCK_SKEW_MS, MAX_MEMBERS } from '../../src/dht-space/limits.js';
import { Membership } from '../../src/dht-space/membership.js';
import type { MemberRecord, Sealed } from '../../src/dht-space/records.js';
import { Random, seed } from '../support/random.js';
import type { Identity } from './fixtures.js';
import { identities, member, NOW, SPACE_ID } from './fixtures.js';

const MEMBERS = 12;
let people: readonly Identity[];
let alice: Identity;
let bob: Identity;

beforeAll(async () => {
  people = await identities(MEMBERS);
  [alice, bob] = people as [Identity, Identity];
});

function membershipOf(...records: readonly Sealed<MemberRecord>[]): Membership {
  const membership = new Membership(SPACE_ID);
  for (const record of records) membership.apply(record, NOW);
  return membership;
}

function ids(members: readonly MemberRecord[]): string[] {
  return members.map(({ peer }) => peer).sort();
}

describe('a membership', () => {
  it('says what a record was to it', () => {
    const membership = new Membership(SPACE_ID);
    expect(membership.apply(member(alice), NOW)).toBe('new');
    expect(membership.apply(member(alice), NOW)).toBe('known');
    expect(membership.apply(member(alice, { sequence: 2, points: [] }), NOW)).toBe('changed');
    expect(membership.apply(member(alice), NOW)).toBe('stale');
    expect(membership.apply(member(alice, { sequence: 3, left: true }), NOW)).toBe('left');
    expect(membership.apply(member(alice, { sequence: 2 }), NOW)).toBe('stale');
    expect(membership.apply(member(alice, { sequence: 4 }), NOW)).toBe('new');
  });

  it('takes the higher sequence whatever the epoch, and the higher epoch where sequences are equal', () => {
    const membership = membershipOf(member(alice, { epoch: 9n, sequence: 5 }));
    expect(membership.apply(member(alice, { epoch: 1n, sequence: 5 }), NOW)).toBe('stale');
    expect(membership.apply(member(alice, { epoch: 10n, sequence: 5 }), NOW)).toBe('changed');
    expect(membership.apply(member(alice, { epoch: 1n, sequence: 6 }), NOW)).toBe('changed');
  });

  it('refuses a record of another space', () => {
    const elsewhere = member(alice, { spaceId: '00'.repeat(32) });
    expect(() => new Membership(SPACE_ID).apply(elsewhere, NOW)).toThrow(TypeError);
  });

  it('lists live members, and those of a point', () => {
    const membership = membershipOf(
      member(alice, { points: ['bids', 'mailbox'] }),
      member(bob, { points: [] }),
      member(people[2] as Identity, { sequence: 2, left: true }),
    );
    expect(ids(membership.members(NOW))).toEqual([alice.id, bob.id]);
    expect(ids(membership.withPoint('mailbox', NOW))).toEqual([alice.id]);
    expect(membership.get(bob.id, NOW)?.peer).toBe(bob.id);
  });

  it('forgets members whose records have expired, and names them once', () => {
    const membership = membershipOf(member(alice), member(bob, { expiresMs: NOW + 120_000 }));
    const later = NOW + 60_000 + MAX_CLOCK_SKEW_MS + 1;
    expect(ids(membership.members(later))).toEqual([bob.id]);
    expect(membership.get(alice.id, later)).toBeUndefined();
    expect(membership.digest(later).map(({ peer }) => peer)).toEqual([bob.id]);
    expect(membership.expire(later)).toEqual([alice.id]);
    expect(membership.expire(later)).toEqual([]);
    expect(membership.apply(member(alice), later)).toBe('stale');
  });

  it('keeps a member that fell silent away until a newer record of it arrives', () => {
    const membership = membershipOf(member(alice));
    expect(membership.markDead(alice.id, NOW)).toBe(true);
    expect(membership.markDead(alice.id, NOW)).toBe(false);
    expect(membership.members(NOW)).toEqual([]);
    expect(membership.apply(member(alice), NOW)).toBe('known');
    expect(membership.apply(member(alice, { sequence: 2 }), NOW)).toBe('new');
  });

  it('takes a silent member back when its link is back, but not one that left', () => {
    const membership = membershipOf(member(alice), member(bob, { left: true }));
    membership.markDead(alice.id, NOW);
    expect(membership.markAlive(alice.id, NOW)).toBe(true);
    expect(ids(membership.members(NOW))).toEqual([alice.id]);
    expect(membership.markAlive(bob.id, NOW)).toBe(false);
  });

  it('does not hand silent members to newcomers, nor ask for them again', () => {
    const membership = membershipOf(member(alice), member(bob));
    membership.markDead(alice.id, NOW);
    expect(membership.difference([], NOW).newer.map(({ record }) => record.peer)).toEqual([bob.id]);
    const others = membershipOf(member(alice), member(bob)).digest(NOW);
    expect(membership.difference(others, NOW)).toEqual({ newer: [], wanted: [] });
  });

  it('takes no more members than the limit, and somebody new when somebody left', () => {
    const membership = new Membership(SPACE_ID);
    const { record } = member(alice);
    const unsigned = (peer: string, changes: Partial<MemberRecord> = {}) => ({
      record: { ...record, peer, ...changes },
      bytes: new Uint8Array(0),
    });
    for (let i = 0; i < MAX_MEMBERS; i++) expect(membership.apply(unsigned(`peer ${i}`), NOW)).toBe('new');
    expect(membership.apply(unsigned('one more'), NOW)).toBe('full');
    expect(membership.apply(unsigned('peer 0', { sequence: 2 }), NOW)).toBe('changed');
    expect(membership.apply(unsigned('peer 1', { sequence: 2, left: true }), NOW)).toBe('left');
    expect(membership.apply(unsigned('one more'), NOW)).toBe('new');
  });
});

describe('members that exchange differences', () => {
  /** What happens on a link when two members compare. */
  function compare(a: Membership, b: Membership): void {
    const { newer, wanted } = a.difference(b.digest(NOW), NOW);
    const answered = b.difference([], NOW).newer.filter(({ record }) => wanted.includes(record.peer));
    for (const record of newer) b.apply(record, NOW);
    for (const record of answered) a.apply(record, NOW);
  }

  it(`know the same in the end, whatever came first (SEED=${seed})`, () => {
    const random = new Random(seed);
    for (let round = 0; round < 20; round++) {
      const records = people.flatMap((person) =>
        random.list(4, () =>
          member(person, {
            epoch: BigInt(random.int(2)),
            sequence: random.int(4),
            left: random.int(4) === 0,
          }),
        ),
      );
      const nodes = people.map(() => new Membership(SPACE_ID));
      for (const record of records) random.pick(nodes).apply(record, NOW);
      let exchanges = 0;
      while (new Set(nodes.map(fingerprint)).size > 1) {
        compare(random.pick(nodes), random.pick(nodes));
        exchanges += 1;
        expect(exchanges, 'convergence').toBeLessThan(MEMBERS * 50);
      }
      const all = new Membership(SPACE_ID);
      for (const record of records) all.apply(record, NOW);
      expect(fingerprint(nodes[0] as Membership)).toBe(fingerprint(all));
    }
  });

  function fingerprint(membership: Membership): string {
    const versions = membership
      .digest(NOW)
      .map(({ peer, epoch, sequence }) => `${peer} ${epoch} ${sequence}`);
    return versions.sort().join('\n');
  }
});
