import { MAX_STORES_PER_PEER, STORES_PER_SECOND_PER_PEER } from './limits.js';

/** What each peer has stored here lately. */
export class StoreBudgets {
  readonly #now: () => number;
  /** How many more it may, and as of when; those that have all of it left are not kept. */
  readonly #budgets = new Map<string, { left: number; sinceMs: number }>();
  #sweptMs = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** False when it is too much. */
  take(peer: string): boolean {
    const nowMs = this.#now();
    this.#sweep(nowMs);
    const budget = this.#budgets.get(peer) ?? { left: MAX_STORES_PER_PEER, sinceMs: nowMs };
    budget.left = leftOf(budget, nowMs);
    budget.sinceMs = nowMs;
    this.#budgets.set(peer, budget);
    if (budget.left < 1) return false;
    budget.left -= 1;
    return true;
  }

  #sweep(nowMs: number): void {
    if (nowMs - this.#sweptMs < 1000) return;
    this.#sweptMs = nowMs;
    for (const [peer, budget] of this.#budgets) {
      if (leftOf(budget, nowMs) >= MAX_STORES_PER_PEER) this.#budgets.delete(peer);
    }
  }
}

function leftOf({ left, sinceMs }: { left: number; sinceMs: number }, nowMs: number): number {
  return Math.min(MAX_STORES_PER_PEER, left + ((nowMs - sinceMs) / 1000) * STORES_PER_SECOND_PER_PEER);
}
