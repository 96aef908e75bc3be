import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ENOUGH_HOLDERS, REPAIR_DELAY_MS, UPKEEP_LANES } from '../../src/dht-space/limits.js';
import { Upkeep } from '../../src/dht-space/upkeep.js';
import { quietLogger } from './environment.js';

const PERIOD_MS = 100_000;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** An upkeep with one duty that counts its runs, and after each says how many hold the thing. */
function upkeepOf(holders: number, run: () => Promise<void> = async () => {}) {
  const upkeep = new Upkeep(quietLogger, () => 0.5);
  const runs: AbortSignal[] = [];
  const duty = {
    periodMs: PERIOD_MS,
    run: async (signal: AbortSignal) => {
      runs.push(signal);
      await run();
      return holders;
    },
  };
  upkeep.begin('duty', duty);
  return { upkeep, runs, duty };
}

describe('a duty', () => {
  it('runs once a period, a random part of a quarter early', async () => {
    const { runs } = upkeepOf(ENOUGH_HOLDERS);
    await vi.advanceTimersByTimeAsync((PERIOD_MS * 7) / 8 - 1);
    expect(runs).toHaveLength(0);
    await vi.advanceTimersByTimeAsync(1);
    expect(runs).toHaveLength(1);
    await vi.advanceTimersByTimeAsync((PERIOD_MS * 7) / 8);
    expect(runs).toHaveLength(2);
  });

  it('runs sooner when further peers are known and too few hold the thing', async () => {
    const { upkeep, runs } = upkeepOf(ENOUGH_HOLDERS - 1);
    await upkeep.runNow('duty');
    for (let i = 0; i < 5; i++) upkeep.grown();
    await vi.advanceTimersByTimeAsync(REPAIR_DELAY_MS);
    expect(runs).toHaveLength(2);
  });

  it('does not run sooner when enough hold the thing', async () => {
    const { upkeep, runs } = upkeepOf(ENOUGH_HOLDERS);
    await upkeep.runNow('duty');
    upkeep.grown();
    await vi.advanceTimersByTimeAsync(REPAIR_DELAY_MS);
    expect(runs).toHaveLength(1);
  });

  it('is not hurried from the start where enough are known to hold the thing', async () => {
    const { upkeep, runs, duty } = upkeepOf(0);
    upkeep.begin('duty', duty, ENOUGH_HOLDERS);
    upkeep.grown();
    await vi.advanceTimersByTimeAsync(REPAIR_DELAY_MS);
    expect(runs).toHaveLength(0);
  });

  it('runs again soon when peers came in while it found too few holders', async () => {
    const { upkeep, runs } = upkeepOf(0, async () => {
      if (runs.length === 1) upkeep.grown();
    });
    await upkeep.runNow('duty');
    await vi.advanceTimersByTimeAsync(REPAIR_DELAY_MS);
    expect(runs).toHaveLength(2);
  });

  it('goes on after a failure', async () => {
    const { upkeep, runs } = upkeepOf(0, () => Promise.reject(new Error('no network')));
    await expect(upkeep.runNow('duty')).resolves.toBeUndefined();
    await vi.advanceTimersByTimeAsync(PERIOD_MS);
    expect(runs).toHaveLength(2);
  });

  it('runs one at a time, however often it is asked to', async () => {
    let running = 0;
    const { upkeep, runs } = upkeepOf(0, async () => {
      running += 1;
      expect(running).toBe(1);
      await new Promise((resolve) => setTimeout(resolve, 10));
      running -= 1;
    });
    const asked = [upkeep.runNow('duty'), upkeep.runNow('duty')];
    await vi.advanceTimersByTimeAsync(20);
    await Promise.all(asked);
    expect(runs).toHaveLength(2);
  });

  it('runs no more once it has ended, and a run under way is told', async () => {
    const { upkeep, runs } = upkeepOf(0);
    await upkeep.runNow('duty');
    upkeep.end('duty');
    expect(runs[0]?.aborted).toBe(true);
    await upkeep.runNow('duty');
    await vi.advanceTimersByTimeAsync(2 * PERIOD_MS);
    expect(runs).toHaveLength(1);
  });

  it('waits for its turn where many are due at once', async () => {
    const upkeep = new Upkeep(quietLogger, () => 0);
    let running = 0;
    let most = 0;
    let runs = 0;
    const run = async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setTimeout(resolve, 10));
      running -= 1;
      runs += 1;
      return ENOUGH_HOLDERS;
    };
    for (let i = 0; i < 5 * UPKEEP_LANES; i++) upkeep.begin(`duty ${i}`, { periodMs: PERIOD_MS, run });
    await vi.advanceTimersByTimeAsync(PERIOD_MS + 50);
    expect(runs).toBe(5 * UPKEEP_LANES);
    expect(most).toBe(UPKEEP_LANES);
  });
});
