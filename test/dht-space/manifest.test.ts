import { beforeAll, describe, expect, it } from 'vitest';
import { HeldManifest } from '../../src/dht-space/held-manifest.js';
import { MAX_EARLIER_GENERATIONS } from '../../src/dht-space/limits.js';
import { declaredManifest, earlierIds } from '../../src/dht-space/manifest.js';
import type { SpaceManifest } from '../../src/dht-space/records.js';
import { spaceIdOf } from '../../src/dht-space/records.js';
import type { Identity } from './fixtures.js';
import { identities, manifest, NOW } from './fixtures.js';

let owner: Identity;
let other: Identity;

beforeAll(async () => {
  [owner, other] = (await identities(2)) as [Identity, Identity];
});

function declared(
  earlier: readonly SpaceManifest[],
  { access = 'open', nowMs = NOW + 1000 }: { access?: SpaceManifest['access']; nowMs?: number } = {},
): SpaceManifest {
  return declaredManifest({ space: 'market', access, nowMs }, earlier, [], owner.key).record;
}

describe('a space that its owner declares', () => {
  it('for the first time is of generation 0, and as old as that', () => {
    expect(declared([])).toMatchObject({ generation: 0, createdMs: NOW + 1000, deleted: false });
  });

  it('again stays what it is, and as old, whatever else is remembered of it', () => {
    const known = [3, 1].map((sequence) => manifest(owner, { generation: 4, sequence }).record);
    const before = manifest(owner, { generation: 3, sequence: 9, deleted: true, createdMs: NOW - 1 }).record;
    expect(declared([...known, before])).toMatchObject({ generation: 4, createdMs: NOW });
  });

  it('after it was deleted is another one: newer, with an id of its own, and with the access that is asked for', () => {
    const revocations = [{ grant: 'g', expiresMs: NOW + 3_600_000 }];
    const deleted = manifest(owner, {
      access: 'granted',
      sequence: 2 * NOW,
      deleted: true,
      revocations,
    }).record;
    const anew = declared([manifest(owner, { access: 'granted' }).record, deleted]);
    expect(anew).toMatchObject({ generation: 1, access: 'open', createdMs: NOW + 1000, deleted: false });
    expect(anew.sequence).toBeGreaterThan(deleted.sequence);
    expect(anew.revocations).toEqual(revocations);
    expect(spaceIdOf(anew)).not.toBe(spaceIdOf(deleted));
    expect(earlierIds(anew)).toEqual([spaceIdOf(deleted)]);
  });

  it('is refused another access than it has', () => {
    const granted = manifest(owner, { access: 'granted' }).record;
    expect(() => declared([granted])).toThrow("'granted', not 'open'");
  });

  it('often remembers so many ids from before', () => {
    const { record } = manifest(owner, { generation: 100 });
    const ids = earlierIds(record);
    expect(ids).toHaveLength(MAX_EARLIER_GENERATIONS);
    expect(ids[0]).toBe(spaceIdOf({ ...record, generation: 99 }));
  });
});

describe('the manifest that a member holds', () => {
  it('gives way to a newer one of the same space, and to no older one', () => {
    const { held, changes } = holding({ generation: 2, sequence: 5 });
    const [older, newer] = [4, 6].map((sequence) => manifest(owner, { generation: 2, sequence }));
    for (const { bytes } of [older, newer, older] as [
      typeof held.sealed,
      typeof held.sealed,
      typeof held.sealed,
    ])
      expect(held.learn(bytes, NOW)).toBe(true);
    expect([held.sealed.record.sequence, held.tombstone, changes()]).toEqual([6, undefined, 1]);
  });

  it('stands beside a later space of the name, which says that this one is gone', () => {
    const { held, changes } = holding({ generation: 2, sequence: 5 });
    const later = manifest(owner, { generation: 3, sequence: 1 });
    expect(held.learn(later.bytes, NOW)).toBe(false);
    expect(held.tombstone).toEqual(later);
    expect(held.sealed.record.generation).toBe(2);
    held.learn(manifest(owner, { generation: 2, sequence: 9 }).bytes, NOW);
    expect([held.tombstone, changes()]).toEqual([later, 1]);
  });

  it('is not touched by an earlier space of the name, deleted or not', () => {
    const { held, changes } = holding({ generation: 2, sequence: 5 });
    for (const deleted of [false, true]) {
      const earlier = manifest(owner, { generation: 1, sequence: 99, deleted });
      expect(held.learn(earlier.bytes, NOW)).toBe(false);
    }
    expect([held.tombstone, changes()]).toEqual([undefined, 0]);
  });

  it("is not replaced by another owner's, or by one of another name", () => {
    const { held } = holding({});
    for (const foreign of [manifest(other, { sequence: 9 }), manifest(owner, { space: 'fair', sequence: 9 })])
      expect(() => held.learn(foreign.bytes, NOW)).toThrow('another space');
  });
});

function holding(changes: Partial<SpaceManifest>): { held: HeldManifest; changes: () => number } {
  let count = 0;
  const changed = () => {
    count += 1;
  };
  const held = new HeldManifest(manifest(owner, changes), changed, () => {});
  return { held, changes: () => count };
}
