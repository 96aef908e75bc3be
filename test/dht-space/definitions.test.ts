import '../../src/dht-space/promise-polyfill.js';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { DefinitionsHost } from '../../src/dht-space/definitions.js';
import { Definitions } from '../../src/dht-space/definitions.js';
import {
  MAX_CLOCK_SKEW_MS,
  MAX_POINT_TOMBSTONES,
  MAX_POINTS_PER_SPACE,
  POINT_TOMBSTONE_VALIDITY_MS,
  POINT_VALIDITY_MS,
} from '../../src/dht-space/limits.js';
import type { PointRecord, Sealed } from '../../src/dht-space/records.js';
import { Refusals } from '../../src/dht-space/refusals.js';
import { SpaceGrants } from '../../src/dht-space/space-grants.js';
import type { PointDefinition } from '../../src/overlay/index.js';
import { EmptyDirectory } from './fake-member.js';
import type { Identity } from './fixtures.js';
import { identities, manifest, NOW, point, SPACE_ID } from './fixtures.js';
import { LogStub } from './log-stub.js';

const BIDS: PointDefinition = { name: 'bids', type: 'topic', arguments: {} };
let self: Identity;
let other: Identity;
let nowMs: number;
let directory: EmptyDirectory;
let participants: string[];
/** What holds, one after the other. */
let defined: string[];
/** What others are told. */
let news: string[];
let create: () => Definitions;
let definitions: Definitions;

beforeAll(async () => {
  [self, other] = (await identities(2)) as [Identity, Identity];
});

beforeEach(() => {
  nowMs = NOW;
  directory = new EmptyDirectory();
  participants = [];
  defined = [];
  news = [];
  const host: DefinitionsHost = {
    name: 'market',
    spaceId: SPACE_ID,
    grants: new SpaceGrants(manifest(self).record, {
      self: self.id,
      now: () => nowMs,
      refusals: new Refusals(new LogStub()),
      tokensOf: () => [],
    }),
    hasParticipant: (name) => participants.includes(name),
    defined: ({ record }) => void defined.push(describeRecord(record)),
    news: ({ record }) => void news.push(describeRecord(record)),
  };
  create = () =>
    new Definitions(host, {
      directory: directory.asDirectory,
      links: { now: () => nowMs } as never,
      node: { id: self.id, privateKey: self.key } as never,
      logger: new LogStub(),
    });
  definitions = create();
});

function describeRecord({ name, type, closed, deleted, sequence }: PointRecord): string {
  return `${name} ${type} ${sequence}${closed ? ' closed' : ''}${deleted ? ' deleted' : ''}`;
}

const define = async (wanted = BIDS): Promise<Sealed<PointRecord>> =>
  (await definitions.define(wanted, AbortSignal.timeout(1000))) ?? expect.fail('this node may not define it');

describe('the definitions of a space', () => {
  it('begin with whoever is first, and are put where others find them', async () => {
    const { record, bytes } = await define();
    expect(record).toMatchObject({ ...BIDS, arguments: '{}', author: self.id, closed: false });
    expect([defined, news]).toEqual([['bids topic 1'], ['bids topic 1']]);
    expect(directory.put.map((sealed) => sealed.bytes)).toEqual([bytes]);
    expect([...definitions.records]).toEqual([bytes]);
    expect(await define()).toMatchObject({ bytes });
  });

  it('are those of others where there are any: handed over, or found in the DHT', async () => {
    const theirs = point(other);
    definitions.learn([theirs.bytes]);
    expect((await define()).bytes).toEqual(theirs.bytes);
    directory.stored = point(other, { name: 'mailbox', type: 'direct' });
    expect((await define({ ...BIDS, name: 'mailbox', type: 'direct' })).record.author).toBe(other.id);
    expect(directory.put).toEqual([]);
  });

  it('do not agree with another type or other arguments', async () => {
    definitions.learn([point(other).bytes]);
    const conflict = { code: 'conflict', message: expect.stringContaining("'exchangetype'") };
    await expect(define({ ...BIDS, type: 'fanout' })).rejects.toMatchObject(conflict);
    await expect(define({ ...BIDS, arguments: { a: 1 } })).rejects.toMatchObject({ code: 'conflict' });
  });

  it('are too large for a record at some point, which is the definer’s fault', async () => {
    const large = { ...BIDS, arguments: { text: 'x'.repeat(65_500) } };
    await expect(define(large)).rejects.toMatchObject({
      code: 'invalid-argument',
      message: expect.stringContaining("point 'bids'"),
    });
    expect([...definitions.records]).toEqual([]);
  });

  it('are news when they say something else, and not when they say it anew', () => {
    definitions.learn([point(other).bytes]);
    definitions.learn([point(other).bytes, point(self, { sequence: 2 }).bytes]);
    definitions.learn([point(other, { sequence: 1 }).bytes]);
    definitions.learn([point(other, { createdMs: NOW - 1, type: 'fanout' }).bytes]);
    definitions.learn([point(other, { createdMs: NOW + 1, type: 'headers' }).bytes]);
    expect(defined).toEqual(['bids topic 1', 'bids topic 2', 'bids fanout 1']);
    // Also the one that does not hold: somewhere else it may.
    expect(news).toEqual(['bids topic 1', 'bids fanout 1', 'bids headers 1']);
  });

  it('end with their last participant, and the name is free for another definition', async () => {
    await define();
    await definitions.release('bids', false);
    expect([defined, directory.closed]).toEqual([['bids topic 1'], []]);
    await definitions.release('bids', true);
    expect([defined.at(-1), news.at(-1)]).toEqual(['bids topic 2 closed', 'bids topic 2 closed']);
    expect(directory.closed).toEqual(['bids']);
    await definitions.release('bids', true);
    expect(directory.closed).toEqual(['bids']);
    expect((await define({ ...BIDS, type: 'fanout' })).record.type).toBe('fanout');
  });

  it('are opened again when somebody still takes part', async () => {
    const { record } = await define();
    definitions.learn([point(other, { ...record, author: other.id, sequence: 2, closed: true }).bytes]);
    definitions.reopen(BIDS);
    expect(news.slice(1)).toEqual(['bids topic 2 closed', 'bids topic 3']);
  });

  it('can be deleted for everybody, and nothing brings those back', async () => {
    const { bytes } = await define();
    await definitions.delete('bids');
    expect([defined.at(-1), news.at(-1)]).toEqual(Array(2).fill('bids topic 2 closed deleted'));
    expect(directory.put.at(-1)?.record).toMatchObject({ deleted: true });
    definitions.learn([bytes]);
    expect(defined).toHaveLength(2);
    await expect(definitions.delete('bids')).rejects.toMatchObject({ code: 'not-found' });
    await expect(definitions.delete('of no such name')).rejects.toMatchObject({ code: 'not-found' });
  });

  it('can be made anew by a name that was deleted, however the clocks are', async () => {
    const ahead = point(other, { createdMs: NOW + MAX_CLOCK_SKEW_MS, type: 'direct' });
    definitions.learn([ahead.bytes]);
    await definitions.delete('bids');
    const { record } = await define();
    expect(record).toMatchObject({ type: 'topic', createdMs: NOW + MAX_CLOCK_SKEW_MS + 1 });
    expect(definitions.inForce.map(({ deleted }) => deleted)).toEqual([false, true]);
  });

  it('stay deleted long after any of them would have run out', async () => {
    await define();
    await definitions.delete('bids');
    nowMs = NOW + POINT_TOMBSTONE_VALIDITY_MS;
    definitions.expire(nowMs);
    expect(definitions.inForce).toHaveLength(1);
    definitions.learn([point(other, { expiresMs: nowMs }).bytes]);
    expect(definitions.isOpen('bids')).toBe(false);
    nowMs += MAX_CLOCK_SKEW_MS + 1;
    definitions.expire(nowMs);
    expect(definitions.inForce).toEqual([]);
  });

  it('are the same whatever order they were heard of in, also when one of them was closed', () => {
    const older = { type: 'fanout', createdMs: NOW - 1 } as const;
    const records = [
      point(other, older),
      point(other, { ...older, sequence: 2, closed: true }),
      point(self),
    ].map(({ bytes }) => bytes);
    const [opened, closed, younger] = records as [Uint8Array, Uint8Array, Uint8Array];
    for (const order of [
      [opened, closed, younger],
      [opened, younger, closed],
      [younger, closed, opened],
    ]) {
      const fresh = create();
      for (const bytes of order) fresh.learn([bytes]);
      expect(fresh.inForce.map(({ type }) => type)).toEqual(['topic']);
    }
  });

  it('are forgotten when they have run out and nobody takes part', () => {
    definitions.learn([
      point(other, { expiresMs: NOW + POINT_VALIDITY_MS }).bytes,
      point(other, { name: 'mailbox' }).bytes,
    ]);
    participants = ['bids'];
    nowMs = NOW + POINT_VALIDITY_MS + MAX_CLOCK_SKEW_MS + 1;
    definitions.expire(nowMs);
    expect([...definitions.records]).toHaveLength(1);
    participants = [];
    definitions.expire(nowMs);
    expect([...definitions.records]).toEqual([]);
  });

  it('that have run out on their way are nobody’s fault, and those that are wrong are', () => {
    definitions.learn([point(other, { expiresMs: NOW - MAX_CLOCK_SKEW_MS - 1 }).bytes]);
    expect(defined).toEqual([]);
    const elsewhere = point(other, { spaceId: '09'.repeat(32) }).bytes;
    expect(() => definitions.learn([elsewhere])).toThrow('a point of another space');
    expect(() => definitions.learn([Buffer.from('garbage')])).toThrow();
  });

  it('are so many, and those of others above that are not remembered', () => {
    const records = Array.from(
      { length: MAX_POINTS_PER_SPACE + 1 },
      (_, i) => point(other, { name: `point ${i}` }).bytes,
    );
    definitions.learn(records);
    expect([...definitions.records]).toHaveLength(MAX_POINTS_PER_SPACE);
    definitions.learn([point(other, { name: 'point 0', sequence: 2 }).bytes]);
    expect(defined.at(-1)).toBe('point 0 topic 2');
  });

  it('that were deleted are so many, those of the longest ago are forgotten, and leave room for others', () => {
    const deleted = { closed: true, deleted: true };
    const records = Array.from(
      { length: MAX_POINT_TOMBSTONES + 1 },
      (_, i) => point(other, { ...deleted, name: `point ${i}`, createdMs: NOW - i }).bytes,
    );
    definitions.learn(records);
    expect(definitions.records).toHaveLength(MAX_POINT_TOMBSTONES);
    expect(definitions.wasDeletedSince(`point ${MAX_POINT_TOMBSTONES}`, 1)).toBe(false);
    expect(definitions.wasDeletedSince('point 0', NOW)).toBe(true);
    definitions.learn([point(other).bytes]);
    expect(definitions.isOpen('bids')).toBe(true);
  });
});
