import { describe, expect, it } from 'vitest';
import { RangeSet } from '../../src/overlay/index.js';
import { MAX_SEQUENCE_RANGES } from '../../src/overlay/limits.js';
import { Random, seed } from '../support/random.js';

describe('a range set', () => {
  it('keeps numbers in order as one range', () => {
    const set = new RangeSet();
    for (let n = 1; n <= 10_000; n++) expect(set.add(n)).toBe(true);
    expect(set.ranges).toBe(1);
    expect([set.has(0), set.has(1), set.has(10_000), set.has(10_001)]).toEqual([false, true, true, false]);
    expect(set.add(5_000)).toBe(false);
  });

  it('can begin anywhere', () => {
    const set = new RangeSet();
    expect([set.add(50), set.add(51), set.add(49), set.add(50)]).toEqual([true, true, true, false]);
    expect([set.ranges, set.has(48), set.has(52)]).toEqual([1, false, false]);
  });

  it('merges the ranges on both sides of a gap that is filled', () => {
    const set = new RangeSet();
    for (const n of [1, 3, 5]) set.add(n);
    expect(set.ranges).toBe(3);
    set.add(2);
    expect(set.ranges).toBe(2);
    set.add(4);
    expect(set.ranges).toBe(1);
    expect([1, 2, 3, 4, 5].map((n) => set.add(n))).toEqual([false, false, false, false, false]);
    expect(set.add(6)).toBe(true);
  });

  it(`says what a set says, for numbers that come late, early and twice (SEED=${seed})`, () => {
    const random = new Random(seed);
    for (let run = 0; run < 20; run++) {
      const set = new RangeSet();
      const model = new Set<number>();
      let next = 0;
      for (let round = 0; round < 400; round++) {
        if (random.int(3) > 0) next += random.pick([1, 1, 1, 2]);
        // Below 2 × MAX_SEQUENCE_RANGES, so that there can not be too many ranges.
        const n = random.pick([next, random.int(400)]);
        expect(set.has(n)).toBe(model.has(n));
        expect(set.add(n)).toBe(!model.has(n));
        model.add(n);
        expect(set.ranges).toBe([...model].filter((each) => !model.has(each - 1)).length);
      }
    }
  });

  it('counts the lowest gap as seen when there are too many', () => {
    const set = new RangeSet();
    for (let i = 1; i <= MAX_SEQUENCE_RANGES; i++) set.add(i * 10);
    expect([set.ranges, set.has(15)]).toEqual([MAX_SEQUENCE_RANGES, false]);
    set.add((MAX_SEQUENCE_RANGES + 1) * 10);
    expect(set.ranges).toBe(MAX_SEQUENCE_RANGES);
    expect([set.add(15), set.has(25)]).toEqual([false, false]);
  });

  it.each([Number.NaN, 1.5, Infinity, 2 ** 53])(
    'refuses %d, which is no whole number that it could count',
    (n) => {
      const set = new RangeSet();
      set.add(1);
      expect(() => set.add(n)).toThrow(RangeError);
      expect(set.ranges).toBe(1);
    },
  );
});
