import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { RETRY_CAP_MS, RETRY_FIRST_MS } from '../../src/prototype-space/limits.js';
import { RelayRetry } from '../../src/prototype-space/relay-retry.js';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Never lets the dice say 0. */
const LONGEST = () => 1;

function waitAfterFailure(retry: RelayRetry): number {
  const start = performance.now();
  let waitMs = -1;
  retry.failed(() => {
    waitMs = performance.now() - start;
  });
  vi.advanceTimersByTime(2 * RETRY_CAP_MS);
  return waitMs;
}

it('waits below a bound that doubles with each failure, up to the cap', () => {
  const retry = new RelayRetry(LONGEST);
  const waits = Array.from({ length: 9 }, () => waitAfterFailure(retry));
  expect(waits.slice(0, 4)).toEqual([1, 2, 4, 8].map((times) => times * RETRY_FIRST_MS));
  expect(waits.at(-1)).toBe(RETRY_CAP_MS);
});

it('goes on with long waits when what came up breaks at once, and starts small when it has held for a while', () => {
  const retry = new RelayRetry(LONGEST);
  for (let times = 0; times < 9; times++) waitAfterFailure(retry);
  retry.succeeded();
  expect(waitAfterFailure(retry)).toBe(RETRY_CAP_MS);
  retry.succeeded();
  vi.advanceTimersByTime(RETRY_CAP_MS);
  expect(waitAfterFailure(retry)).toBe(RETRY_FIRST_MS);
});

it('has news at the first failure and at the recovery only', () => {
  const retry = new RelayRetry(LONGEST);
  expect(retry.succeeded()).toBe(false);
  expect([retry.failed(() => {}), retry.failed(() => {})]).toEqual([true, false]);
  retry.reset();
  expect([retry.failed(() => {}), retry.succeeded(), retry.succeeded()]).toEqual([false, true, false]);
});
