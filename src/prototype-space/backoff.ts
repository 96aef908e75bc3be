import { RETRY_CAP_MS, RETRY_FIRST_MS } from './limits.js';

/** Full jitter: a random time below a bound that doubles with each failure in a row, up to a cap. */
export function backoffMs(failures: number, random: () => number): number {
  return random() * Math.min(RETRY_CAP_MS, RETRY_FIRST_MS * 2 ** Math.min(failures, 20));
}
