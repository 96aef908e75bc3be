import { describe, expect, it } from 'vitest';
import { decodeInterest, encodeInterest, interestDigest } from '../../src/dht-space/interest-wire.js';
import { inParts } from '../../src/dht-space/parts.js';
import type { InterestPart } from '../../src/dht-space/told-interest.js';
import { ToldInterest } from '../../src/dht-space/told-interest.js';
import type { Interest } from '../../src/overlay/index.js';
import { EVERYTHING, interestKey } from '../../src/overlay/index.js';
import { pattern } from '../overlay/messages.js';
import { Random, seed } from '../support/random.js';

/** Who is told: holds what comes, and checks every digest, as participants do. */
class Listener {
  readonly held = new Map<string, bigint>();
  /** The fewest that were held at any time since the last look. */
  fewest = Number.POSITIVE_INFINITY;

  hear(parts: readonly InterestPart[]): void {
    for (const { snapshot, added, removed, digest } of parts) {
      if (snapshot) this.held.clear();
      for (const wire of removed) this.held.delete(interestKey(decodeInterest('topic', wire)));
      for (const wire of added) {
        const interest = decodeInterest('topic', wire);
        this.held.set(interestKey(interest), interestDigest(interest));
      }
      expect([...this.held.values()].reduce((all, one) => all ^ one, 0n)).toBe(digest);
      this.fewest = Math.min(this.fewest, this.held.size);
    }
  }

  get keys(): string[] {
    return [...this.held.keys()].sort();
  }
}

function create(limitBytes: number): { told: ToldInterest; encoded: () => number } {
  let encoded = 0;
  const told = new ToldInterest((interest) => {
    encoded += 1;
    return { pattern: encodeInterest('topic', interest), digest: interestDigest(interest) };
  }, limitBytes);
  return { told, encoded: () => encoded };
}

const patterns = (prefix: string, count: number): Interest[] =>
  Array.from({ length: count }, (_, i) => pattern(`${prefix}.${i}`));

describe('told interest', () => {
  it(`is the same at everybody, told bit by bit or at once, in parts of any size (SEED=${seed})`, () => {
    const random = new Random(seed);
    for (let round = 0; round < 60; round += 1) {
      const { told } = create(random.pick([1, 60, 500, 1_000_000]));
      const early = new Listener();
      early.hear(told.snapshot());
      const all: readonly Interest[] = [...patterns('p', 30), EVERYTHING];
      const wanted = new Set<Interest>();
      for (let step = 0; step < 15; step += 1) {
        const added = random
          .list(6, () => random.pick(all))
          .filter((one, i, list) => !wanted.has(one) && list.indexOf(one) === i);
        const removed = [...wanted].filter(() => random.int(3) === 0);
        for (const one of removed) wanted.delete(one);
        for (const one of added) wanted.add(one);
        early.hear(told.change({ added, removed }));
      }
      const late = new Listener();
      late.hear(told.snapshot());
      const expected = [...wanted].map(interestKey).sort();
      expect([early.keys, late.keys]).toEqual([expected, expected]);
    }
  });

  it('changes in one part, so that no message falls between what goes and what comes', () => {
    const { told } = create(1_000_000);
    told.change({ added: patterns('before', 1000), removed: [] });
    expect(told.change({ added: [EVERYTHING], removed: patterns('before', 1000) })).toHaveLength(1);
  });

  it('tells what comes before what goes where one part would be too large', () => {
    const { told } = create(500);
    const listener = new Listener();
    listener.hear(told.change({ added: patterns('before', 40), removed: [] }));
    listener.fewest = Number.POSITIVE_INFINITY;
    const parts = told.change({ added: patterns('after', 50), removed: patterns('before', 40) });
    listener.hear(parts);
    expect(parts.length).toBeGreaterThan(2);
    expect(listener.fewest).toBeGreaterThanOrEqual(40);
    expect(listener.held.size).toBe(50);
  });

  it('marks only the first part of a snapshot as one, and tells an empty one too', () => {
    const { told } = create(500);
    expect(told.snapshot()).toEqual([{ snapshot: true, added: [], removed: [], digest: 0n }]);
    told.change({ added: patterns('p', 100), removed: [] });
    const marks = told.snapshot().map(({ snapshot }) => snapshot);
    expect(marks.length).toBeGreaterThan(2);
    expect(marks).toEqual([true, ...marks.slice(1).map(() => false)]);
  });

  it('encodes each pattern once, to however many it is told', () => {
    const { told, encoded } = create(1_000_000);
    told.change({ added: patterns('p', 10), removed: [] });
    for (let i = 0; i < 100; i += 1) told.snapshot();
    told.change({ added: [], removed: patterns('p', 10) });
    expect(encoded()).toBe(10);
  });
});

describe('a list in parts', () => {
  it('keeps order and everything, and only an item that is too large by itself makes a part too large', () => {
    const sizes = [4, 4, 4, 20, 1, 9, 1, 0, 0];
    expect(inParts(sizes, (size) => size, 10)).toEqual([[4, 4], [4], [20], [1, 9], [1, 0, 0]]);
    expect(inParts([], () => 1, 10)).toEqual([[]]);
  });
});
