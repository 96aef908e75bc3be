import { MAX_TIMER_DELAY_MS } from './limits.js';

/** One timer for whatever is due first. It keeps no process alive. */
export class Alarm {
  readonly #ring: () => void;
  #timer: NodeJS.Timeout | undefined;
  #dueMs = Number.POSITIVE_INFINITY;

  /** `ring` may come early: it looks itself for what is due, and sets the alarm again for the rest. */
  constructor(ring: () => void) {
    this.#ring = ring;
  }

  /** Rings at this moment, in milliseconds since 1970, unless it is set to an earlier one. */
  at(dueMs: number): void {
    if (dueMs >= this.#dueMs) return;
    clearTimeout(this.#timer);
    this.#dueMs = dueMs;
    const delayMs = Math.min(Math.max(dueMs - Date.now(), 0), MAX_TIMER_DELAY_MS);
    this.#timer = setTimeout(() => this.#rings(), delayMs).unref();
  }

  cancel(): void {
    clearTimeout(this.#timer);
    this.#dueMs = Number.POSITIVE_INFINITY;
  }

  #rings(): void {
    this.#dueMs = Number.POSITIVE_INFINITY;
    this.#ring();
  }
}
