import { describe, expect, it } from 'vitest';
import { SeenMessages } from '../../src/overlay/index.js';
import { MAX_ORIGINS } from '../../src/overlay/limits.js';

describe('seen messages', () => {
  it('accepts each message of each origin once, in any order', () => {
    const seen = new SeenMessages();
    const sequences = [1, 2, 5, 3, 2, 5, 4];
    for (const origin of ['a', 'b']) {
      const accepted = sequences.filter((sequence) => seen.accept({ origin, epoch: 1n, sequence }));
      expect(accepted).toEqual([1, 2, 5, 3, 4]);
    }
  });

  it('begins anew with a new epoch, and refuses what is left of those before', () => {
    const seen = new SeenMessages();
    const accept = (epoch: bigint, sequence: number): boolean =>
      seen.accept({ origin: 'a', epoch, sequence });
    expect([accept(7n, 1), accept(7n, 2), accept(9n, 1)]).toEqual([true, true, true]);
    expect([accept(7n, 3), accept(9n, 1), accept(9n, 2)]).toEqual([false, false, true]);
    expect([accept(4n, 1), accept(7n, 4), accept(9n, 3), accept(4n, 1), accept(4n, 2)]).toEqual([
      true,
      false,
      false,
      false,
      true,
    ]);
  });

  it('accepts anew from an origin that was forgotten', () => {
    const seen = new SeenMessages();
    seen.accept({ origin: 'a', epoch: 1n, sequence: 1 });
    seen.forget('a');
    expect(seen.accept({ origin: 'a', epoch: 1n, sequence: 1 })).toBe(true);
  });

  it('forgets the origin that was heard least recently when there are too many', () => {
    const seen = new SeenMessages();
    const accept = (origin: number, sequence = 1): boolean =>
      seen.accept({ origin: `o${origin}`, epoch: 1n, sequence });
    for (let origin = 0; origin < MAX_ORIGINS; origin++) accept(origin);
    accept(0, 2);
    expect(accept(MAX_ORIGINS)).toBe(true);
    expect([accept(0), accept(2), accept(1)]).toEqual([false, false, true]);
  });
});
