import { RETRY_CAP_MS, RETRY_FIRST_MS } from './limits.js';

/** How long to wait before attempt `attempt` (from 1): full jitter below a bound that doubles up to a cap. */
export function backoffMs(attempt: number, random: () => number): number {
  const bound = Math.min(RETRY_CAP_MS, RETRY_FIRST_MS * 2 ** Math.min(attempt - 1, 30));
  return random() * bound;
}
