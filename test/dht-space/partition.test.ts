import '../../src/dht-space/promise-polyfill.js';
import { setImmediate as turn } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Grant } from '../../src/dht-space/grant.js';
import type { GrantTerms } from '../../src/dht-space/grant-issue.js';
import { DEAD_AFTER_MS } from '../../src/dht-space/limits.js';
import type { PointSession, PointType } from '../../src/overlay/index.js';
import { SpaceError } from '../../src/overlay/index.js';
import { outgoing } from '../overlay/messages.js';
import { eventually } from '../support/eventually.js';
import { Random, seed } from '../support/random.js';
import { FakeMember } from './fake-member.js';
import { FakeOverlay } from './fake-overlay.js';
import type { Identity } from './fixtures.js';
import { identities, manifest, NOW } from './fixtures.js';
import { DAY_MS, issued } from './grant-fixtures.js';

const ROUNDS = 4;
let people: readonly Identity[];

beforeAll(async () => {
  people = await identities(6);
});

interface Town {
  readonly overlay: FakeOverlay;
  readonly clock: { nowMs: number };
  readonly members: readonly FakeMember[];
  /** Of the members, as far as the space is granted. */
  readonly grants: readonly Grant[];
}

/** Members of one space, all linked. The first owns it; of a granted one the others have grants for everything. */
async function startTown(
  count: number,
  access: 'open' | 'granted',
  random = new Random(seed),
): Promise<Town> {
  const overlay = new FakeOverlay(random);
  const clock = { nowMs: NOW };
  const [owner] = people as [Identity];
  const space = manifest(owner, { access, expiresMs: NOW + 30 * DAY_MS });
  const members: FakeMember[] = [];
  const grants: Grant[] = [];
  for (const person of people.slice(0, count)) {
    const terms: Partial<GrantTerms> = {
      points: ['*'],
      rights: ['publish', 'subscribe', 'administer'],
      routingKeys: ['#'],
    };
    const grant = await issued(owner, person.id, terms);
    const member = await FakeMember.start(overlay, person, space, { clock, grant });
    const [first] = members;
    if (first !== undefined) member.meet(first);
    members.push(member);
    grants.push(grant);
  }
  await linked(members);
  return { overlay, clock, members, grants };
}

async function linked(members: readonly FakeMember[]): Promise<void> {
  await eventually(() => {
    for (const { space } of members) expect(space.status().linked).toBe(members.length - 1);
  });
}

function digests(members: readonly FakeMember[]): number {
  return new Set(members.map(({ space }) => JSON.stringify(space.status().digest))).size;
}

/** Time goes by for all, and everybody looks after its spaces. */
async function pass({ clock, members }: Town, ms: number): Promise<void> {
  clock.nowMs += ms;
  for (const { space, links } of members) {
    for (const link of links) link.tick(clock.nowMs);
    if (!space.gone) space.tick(clock.nowMs);
  }
  for (let turns = 0; turns < 5; turns += 1) await turn();
}

async function split(town: Town): Promise<void> {
  town.overlay.split(town.members.slice(0, town.members.length / 2).map(({ node }) => node));
  await eventually(() => town.members.every(({ space }) => space.status().linked < town.members.length - 1));
  await pass(town, DEAD_AFTER_MS);
}

async function heal(town: Town): Promise<void> {
  town.overlay.heal();
  for (const { links } of town.members) for (const link of links) link.wake();
  await linked(town.members);
  await eventually(async () => {
    await pass(town, 10);
    expect(digests(town.members)).toBe(1);
  });
}

function point(name: string, type: PointType = 'topic') {
  return { name, type, arguments: {} };
}

describe('a space whose members were parted', () => {
  it('has the older of two definitions of a point at all, and the loser says why', async () => {
    const town = await startTown(4, 'open');
    const [a, , c, d] = town.members as [FakeMember, FakeMember, FakeMember, FakeMember];
    await split(town);
    await a.join(point('bids', 'topic'));
    await pass(town, 1);
    await c.join(point('bids', 'fanout'), '');
    await eventually(() => expect(digests(town.members)).toBe(2));
    await heal(town);
    const reason = expect.stringMatching(/exchangetype.*topic.*fanout|exchangetype.*fanout.*topic/);
    await eventually(() => {
      const points = [{ name: 'bids', type: 'topic', participants: 1 }];
      expect(d.space.status().points).toEqual(points);
      expect(c.space.status().points).toEqual([{ ...points[0], conflict: reason }]);
    });
    expect(() => c.session?.publish(outgoing('', 'x'))).toThrow(
      expect.objectContaining({ code: 'conflict' }),
    );
    expect(c.log.about('this alias lost against another definition').map(({ fields }) => fields)).toEqual([
      { space: 'market', point: 'bids', author: a.node.id, reason },
    ]);
    // Whoever lost may join again, as the point is.
    await c.session?.leave();
    await c.join(point('bids', 'topic'));
    await eventually(() => expect(d.space.status().points[0]?.participants).toBe(2));
  });

  it('has no point any more that was deleted on one side, also where the other side used it and defined it anew', async () => {
    const town = await startTown(4, 'open');
    const [a, b, c, d] = town.members as [FakeMember, FakeMember, FakeMember, FakeMember];
    await Promise.all([a, c].map((member) => member.join(point('used'))));
    const { session: second } = await d.space.takePart(
      point('redefined'),
      receiver,
      AbortSignal.timeout(1000),
    );
    await eventually(() => expect(b.space.status().points).toHaveLength(2));
    await split(town);
    await second.leave();
    await d.space.takePart(point('redefined', 'fanout'), receiver, AbortSignal.timeout(1000));
    await pass(town, 1);
    await b.space.deletePoint('used');
    await b.space.deletePoint('redefined');
    await eventually(() => expect(a.session?.status().state).toBe('left'));
    expect(c.session?.status().state).toBe('joined');
    await heal(town);
    expect(town.members.flatMap(({ space }) => space.status().points)).toEqual([]);
    expect(c.session?.status().state).toBe('left');
    // The names are free again.
    await c.join(point('used', 'fanout'), '');
    await eventually(() =>
      expect(a.space.status().points).toEqual([{ name: 'used', type: 'fanout', participants: 1 }]),
    );
    expect(digests(town.members)).toBe(1);
  });

  it('keeps a point that was defined anew after it was deleted, and whoever was away loses the alias of the one before', async () => {
    const town = await startTown(4, 'open');
    const [a, b, c] = town.members as [FakeMember, FakeMember, FakeMember];
    await c.join(point('bids'));
    await eventually(() => expect(a.space.status().points).toHaveLength(1));
    await split(town);
    await a.space.deletePoint('bids');
    await eventually(() => expect(b.space.status().points).toEqual([]));
    await b.join(point('bids'));
    await heal(town);
    expect(b.session?.status().state).toBe('joined');
    expect(c.session?.status().state).toBe('left');
    await eventually(() =>
      expect(c.space.status().points).toEqual([{ name: 'bids', type: 'topic', participants: 1 }]),
    );
  });

  it('forgets no deletion while somebody may come back who has not heard of it', async () => {
    const town = await startTown(2, 'open');
    const [a, b] = town.members as [FakeMember, FakeMember];
    await b.join(point('bids'));
    await eventually(() => expect(a.space.status().points).toHaveLength(1));
    await split(town);
    await a.space.deletePoint('bids');
    // Much longer than a definition is good for.
    for (let hours = 0; hours < 24; hours += 1) await pass(town, 3_600_000);
    await heal(town);
    expect(b.session?.status().state).toBe('left');
  });

  it('goes by the words of nobody whose grant was revoked meanwhile, and deletes what an administrator deleted', async () => {
    const town = await startTown(4, 'granted');
    const [owner, b, c, d] = town.members as [FakeMember, FakeMember, FakeMember, FakeMember];
    await b.join(point('kept'));
    await d.join(point('gone'));
    await eventually(() =>
      expect(town.members.every(({ space }) => space.status().points.length === 2)).toBe(true),
    );
    await split(town);
    await owner.space.revoke([{ grant: town.grants[2]?.claims.id ?? '', expiresMs: NOW + DAY_MS }]);
    await eventually(() => expect(b.space.status().revocations).toBe(1));
    await c.space.deletePoint('kept');
    await c.join(point('by the revoked'));
    await d.space.deletePoint('gone');
    town.overlay.heal();
    for (const { links } of town.members) for (const link of links) link.wake();
    const rest = [owner, b, d];
    await eventually(async () => {
      await pass(town, 10);
      expect(digests(rest)).toBe(1);
      expect(d.space.status()).toMatchObject({
        members: rest.map(({ node }) => node.id).sort(),
        revocations: 1,
      });
    });
    await eventually(() =>
      expect(d.space.status().points).toEqual([{ name: 'kept', type: 'topic', participants: 1 }]),
    );
    expect(b.session?.status().state).toBe('joined');
  });

  it('keeps to a deletion that the owner has heard of, also when the grant of who deleted is revoked later', async () => {
    const town = await startTown(4, 'granted');
    const [owner, b, c, d] = town.members as [FakeMember, FakeMember, FakeMember, FakeMember];
    await d.join(point('bids'));
    await eventually(() => expect(owner.space.status().points).toHaveLength(1));
    town.overlay.split([d.node]);
    await eventually(() => expect(owner.space.status().linked).toBe(2));
    await b.space.deletePoint('bids');
    await eventually(() => expect(c.space.status().points).toEqual([]));
    await owner.space.revoke([{ grant: town.grants[1]?.claims.id ?? '', expiresMs: NOW + DAY_MS }]);
    await eventually(() => expect(c.space.status().revocations).toBe(1));
    await b.stop();
    await pass({ ...town, members: [owner, c, d] }, DEAD_AFTER_MS);
    town.overlay.heal();
    for (const { links } of [owner, c, d]) for (const link of links) link.wake();
    await eventually(() => expect(d.session?.status().state).toBe('left'));
    expect(digests([owner, c])).toBe(1);
  });

  it(`is the same at all again, whatever was defined, left and deleted on both sides (SEED=${seed})`, async () => {
    const random = new Random(seed);
    for (let round = 0; round < ROUNDS; round += 1) {
      const town = await startTown(4, random.pick(['open', 'granted'] as const), random);
      const before = await act(town, random, 8);
      await split(town);
      const aliases = [...before, ...(await act(town, random, 16))];
      await heal(town);
      const points = town.members[0]?.space.status().points ?? [];
      for (const { name, type, session } of aliases) {
        if (session.status().state !== 'joined') continue;
        expect(points).toContainEqual(expect.objectContaining({ name, type }));
      }
    }
  });
});

const receiver = { receive: () => {}, deleted: () => {} };

interface Alias {
  readonly member: FakeMember;
  readonly name: string;
  readonly type: PointType;
  readonly session: PointSession;
}

/** Everybody joins, leaves and deletes as it likes; what is refused is refused. */
async function act(town: Town, random: Random, count: number): Promise<Alias[]> {
  const aliases: Alias[] = [];
  for (let acts = 0; acts < count; acts += 1) {
    const member = random.pick(town.members);
    const name = random.pick(['asks', 'bids']);
    const type = random.pick(['topic', 'fanout', 'headers'] as const);
    const what = random.pick(['join', 'join', 'leave', 'delete']);
    try {
      if (what === 'leave') await aliases.findLast((alias) => alias.member === member)?.session.leave();
      else if (what === 'delete') await member.space.deletePoint(name);
      else {
        const wanted = { name, type, arguments: {} };
        const { session } = await member.space.takePart(wanted, receiver, AbortSignal.timeout(1000));
        aliases.push({ member, name, type, session });
      }
    } catch (error) {
      if (!(error instanceof SpaceError)) throw error;
    }
    await pass(town, random.int(3));
  }
  return aliases;
}
