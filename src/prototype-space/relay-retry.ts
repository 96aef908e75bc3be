import { backoffMs } from './backoff.js';
import { RETRY_CAP_MS } from './limits.js';

/**
 * When to try again what has failed. The wait starts small again only after something has held for a while, so
 * that what comes up and breaks at once is not tried without end.
 */
export class RelayRetry {
  readonly #random: () => number;
  #failures = 0;
  #state: 'untried' | 'up' | 'down' = 'untried';
  #upSince = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** It works. Returns whether it did not before, which is news. */
  succeeded(): boolean {
    this.cancel();
    const isNews = this.#state === 'down';
    this.#state = 'up';
    this.#upSince = performance.now();
    return isNews;
  }

  /** Calls `again` after a while. Returns whether this is news: it was not known to have failed. */
  failed(again: () => void): boolean {
    this.cancel();
    if (this.#state === 'up' && performance.now() - this.#upSince >= RETRY_CAP_MS) this.#failures = 0;
    this.#timer = setTimeout(again, backoffMs(this.#failures, this.#random));
    this.#failures++;
    const isNews = this.#state !== 'down';
    this.#state = 'down';
    return isNews;
  }

  /** What stood in the way has changed: nothing is waited for any more, and the waits start small again. */
  reset(): void {
    this.cancel();
    this.#failures = 0;
  }

  cancel(): void {
    clearTimeout(this.#timer);
  }
}
