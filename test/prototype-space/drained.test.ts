import { describe, expect, it } from 'vitest';
import { drained } from '../../src/prototype-space/drained.js';
import { DRAIN_LIMIT_MS, DRAIN_STALL_MS } from '../../src/prototype-space/limits.js';

const WAITING_BYTES = 1_000_000;

describe('what waits for others when somebody leaves', () => {
  it.each<[string, number, number]>([
    ['is waited for while they take it, longer than for somebody who takes nothing', 400, 2_500],
    ['is given up when they take nothing', 0, DRAIN_STALL_MS],
    ['is given up when they take it too slowly', 1, DRAIN_LIMIT_MS],
  ])('%s', async (_, bytesPerMs, expectedMs) => {
    let nowMs = 0;
    const pause = async (ms: number) => {
      nowMs += ms;
    };
    await drained(() => WAITING_BYTES - bytesPerMs * nowMs, { now: () => nowMs, pause });
    expect(nowMs).toBe(expectedMs);
  });

  it('is not waited for where there is nothing', async () => {
    await drained(() => 0, { now: () => 0, pause: () => expect.fail('it waits') });
  });
});
