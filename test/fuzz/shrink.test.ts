import { describe, expect, it } from 'vitest';
import { shrink } from '../../fuzz/shrink.js';

const NUMBERS = Array.from({ length: 100 }, (_, index) => index);

describe('shrinking a list that fails', () => {
  it.each([
    ['one element', [42]],
    ['elements far apart', [0, 57, 99]],
    ['neighbours', [10, 11]],
    ['all of them', NUMBERS],
  ])('leaves what it takes to fail: %s', async (_, guilty) => {
    const fails = async (list: readonly number[]) => guilty.every((one) => list.includes(one));
    expect(await shrink(NUMBERS, fails, 10_000)).toEqual(guilty);
  });

  it('stops after so many attempts, with a list that fails', async () => {
    let attempts = 0;
    const fails = async (list: readonly number[]) => {
      attempts++;
      return list.includes(42);
    };
    expect(await shrink(NUMBERS, fails, 3)).toContain(42);
    expect(attempts).toBe(3);
  });
});
