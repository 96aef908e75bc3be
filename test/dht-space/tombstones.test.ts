import { describe, expect, it } from 'vitest';
import { MAX_CLOCK_SKEW_MS, MAX_TOMBSTONES } from '../../src/dht-space/limits.js';
import type { Sealed, SpaceManifest } from '../../src/dht-space/records.js';
import { Tombstones } from '../../src/dht-space/tombstones.js';

const NOW_MS = 1_000_000;

function deleted(expiresMs = NOW_MS): Sealed<SpaceManifest> {
  const record: SpaceManifest = {
    kind: 'space-manifest',
    space: 'fair',
    owner: 'somebody',
    generation: 0,
    createdMs: 1,
    access: 'open',
    sequence: 2,
    expiresMs,
    deleted: true,
  };
  return { record, bytes: new Uint8Array([1]) };
}

describe('a tombstone', () => {
  it('is found until it has run out', () => {
    const tombstones = new Tombstones();
    const manifest = deleted();
    tombstones.keep('a', manifest);
    expect(tombstones.find('a', NOW_MS)).toBe(manifest);
    expect(tombstones.find('b', NOW_MS)).toBeUndefined();
    expect(tombstones.find('a', NOW_MS + MAX_CLOCK_SKEW_MS + 1)).toBeUndefined();
  });

  it('is gone when the space is there again', () => {
    const tombstones = new Tombstones();
    tombstones.keep('a', deleted());
    tombstones.lift('a');
    expect(tombstones.find('a', NOW_MS)).toBeUndefined();
  });

  it('makes room for newer ones when there are too many', () => {
    const tombstones = new Tombstones();
    for (let index = 0; index <= MAX_TOMBSTONES; index++) tombstones.keep(`${index}`, deleted());
    expect(tombstones.find('0', NOW_MS)).toBeUndefined();
    expect(tombstones.find('1', NOW_MS)).toBeDefined();
    expect(tombstones.find(`${MAX_TOMBSTONES}`, NOW_MS)).toBeDefined();
  });
});
