import { setImmediate as turn } from 'node:timers/promises';
import { beforeAll, expect, it } from 'vitest';
import type { Sealed, SpaceManifest } from '../../src/dht-space/records.js';
import type { PointDefinition } from '../../src/overlay/index.js';
import { eventually } from '../support/eventually.js';
import { Random, seed } from '../support/random.js';
import { heldMemory } from './collect-garbage.js';
import { FakeMember } from './fake-member.js';
import { FakeOverlay } from './fake-overlay.js';
import type { Identity } from './fixtures.js';
import { identities, manifest, point } from './fixtures.js';
import { LogStub } from './log-stub.js';

const MIB = 1_048_576;
const NEWCOMERS = 120;
let people: readonly Identity[];

beforeAll(async () => {
  people = await identities(NEWCOMERS + 2);
});

class World {
  readonly clock = { nowMs: Date.now() };
  readonly overlay = new FakeOverlay(new Random(seed));
  readonly #manifest: Sealed<SpaceManifest> = manifest(people[0] as Identity, {
    createdMs: this.clock.nowMs,
    expiresMs: this.clock.nowMs + 3_600_000,
  });

  start(number: number, log = new LogStub()): Promise<FakeMember> {
    return FakeMember.start(this.overlay, people[number] as Identity, this.#manifest, {
      clock: this.clock,
      log,
    });
  }
}

async function startPair(): Promise<[FakeMember, FakeMember]> {
  const world = new World();
  const [a, b] = [await world.start(0), await world.start(1)];
  b.meet(a);
  for (const one of [a, b]) await one.join();
  await eventually(() =>
    expect([a, b].map(({ session }) => session?.status().participants[0]?.interest)).toEqual([1, 1]),
  );
  return [a, b];
}

const named = (name: string): PointDefinition => ({ name, type: 'topic', arguments: {} });

it('a space is not left while somebody is joining another point of it', async () => {
  const [a, b] = await startPair();
  a.space.declared = false;
  const search = Promise.withResolvers<void>();
  a.directory.delay = search.promise;
  const first = a.session ?? expect.fail();
  const joining = a.join(named('mailbox'));
  await first.leave();
  expect(a.space.gone).toBe(false);
  search.resolve();
  const session = await joining;
  await b.join(named('mailbox'));
  await eventually(() => expect(session.status().participants).toHaveLength(1));
  a.publish('to the mailbox');
  await eventually(() => expect(b.received).toEqual(['to the mailbox']));
  await session.leave();
  expect(a.space.gone).toBe(true);
});

it('a join of a space that is deleted meanwhile is not found', async () => {
  const [a] = await startPair();
  const search = Promise.withResolvers<void>();
  a.directory.delay = search.promise;
  const joining = a.join(named('mailbox'));
  await a.space.deleteSpace();
  search.resolve();
  await expect(joining).rejects.toMatchObject({ name: 'SpaceError', code: 'not-found' });
});

it('a node in more points than its record takes is refused the next one, and the others go on', async () => {
  const [a, b] = await startPair();
  const name = (i: number): string => `${i}`.padStart(255, '.');
  let joined = 0;
  const joinAll = async (): Promise<void> => {
    for (; joined < 2000; joined += 1)
      await a.space.takePart(
        named(name(joined)),
        { receive: () => {}, deleted: () => {} },
        AbortSignal.timeout(1000),
      );
  };
  await expect(joinAll()).rejects.toMatchObject({
    name: 'SpaceError',
    code: 'refused',
    message: expect.stringContaining('too many points'),
  });
  expect(joined).toBeGreaterThan(100);
  b.publish('still here');
  await eventually(() => expect(a.received).toEqual(['still here']));
  await a.session?.leave();
  await a.join(named(name(joined)));
});

it('a point that lost against another definition neither tells of itself in new sessions nor takes part in them', async () => {
  const [a, b] = await startPair();
  const [record] = a.directory.put;
  const earlier = point(people[5] as Identity, {
    spaceId: a.space.spaceId,
    createdMs: (record?.record.createdMs ?? 0) - 1000,
    expiresMs: (record?.record.expiresMs ?? 0) - 1000,
    arguments: '{"a":1}',
  });
  b.space.onDefinitions({
    spaceId: Buffer.from(b.space.spaceId, 'hex'),
    points: [earlier.bytes],
    manifest: new Uint8Array(0),
  });
  expect(() => b.publish('too late')).toThrow("inequivalent arg 'a'");
  await eventually(() => expect(a.session?.status().state).toBe('conflicted'));
  a.node.breakConnections();
  await eventually(() => expect(a.log.about('linked').length).toBeGreaterThan(1));
  for (let turns = 0; turns < 50; turns += 1) await turn();
  expect([a, b].map(({ session }) => session?.status().participants)).toEqual([[], []]);
});

it('what a newcomer is handed keeps to its limit, and names at least one member', async () => {
  const [a] = await startPair();
  const points = Array.from(
    { length: 300 },
    (_, i) =>
      point(people[1] as Identity, {
        name: `${i}`,
        spaceId: a.space.spaceId,
        createdMs: Date.now(),
        expiresMs: Date.now() + 60_000,
      }).bytes,
  );
  a.space.onDefinitions({
    spaceId: Buffer.from(a.space.spaceId, 'hex'),
    points,
    manifest: new Uint8Array(0),
  });
  const everything = a.space.found(1_000_000);
  expect([everything.members.length, everything.points.length]).toEqual([2, 301]);
  const some = a.space.found(10_000);
  expect(some.members.length).toBe(2);
  expect(some.points.length).toBeGreaterThan(10);
  const bytes = [some.manifest, ...some.members, ...some.points].reduce((sum, { length }) => sum + length, 0);
  expect(bytes).toBeLessThan(10_000);
});

it('members that come and go leave nothing behind', async () => {
  const world = new World();
  const a = await world.start(0);
  await a.join();
  const comeAndGo = async (from: number, to: number): Promise<void> => {
    for (let number = from; number < to; number += 1) {
      const newcomer = await world.start(number);
      newcomer.meet(a);
      await newcomer.join();
      await eventually(() => expect(a.session?.status().participants[0]?.interest).toBe(1));
      a.publish(`${number}`);
      await eventually(() => expect(newcomer.received).toEqual([`${number}`]));
      await newcomer.stop();
      await eventually(() => expect(a.session?.status().participants).toEqual([]));
    }
    // Links that nothing is shared on are given up after a while, and records of those who left run out.
    world.clock.nowMs += 600_000;
    for (const link of [...a.links]) link.tick(world.clock.nowMs);
    a.space.tick(world.clock.nowMs);
    await eventually(() => expect([...a.links]).toEqual([]));
    a.log.entries.length = 0;
  };
  await comeAndGo(2, 42);
  const before = await heldMemory();
  await comeAndGo(42, NEWCOMERS + 2);
  const after = await heldMemory();
  expect(after.heapBytes - before.heapBytes).toBeLessThan(MIB / 2);
});
