import type { Batch } from './batch.js';
import type { Database } from './database.js';
import { contentsRange } from './keys.js';
import { SWEEP_KEYS } from './limits.js';

/**
 * Deletes what was in cleared and removed queues, a part with each group. Whatever is not done at the end is done at the
 * next start.
 */
export class Sweeper {
  readonly #database: Database;
  readonly #ask: () => void;
  /** Discarded in the current group, in the one that is being written, and in earlier ones. */
  #discarded: number[] = [];
  #forming: number[] = [];
  readonly #void: number[] = [];
  #keys: readonly Buffer[] = [];
  /** `reading` the next keys, or they are `deleting` with a group. */
  #state: 'idle' | 'reading' | 'deleting' | 'ended' = 'idle';

  /** `ask`: something is to go into the current group. */
  constructor(database: Database, ask: () => void) {
    this.#database = database;
    this.#ask = ask;
  }

  /** Nothing of these contents counts from the current group on. */
  discard(contents: number): void {
    this.#discarded.push(contents);
  }

  form(batch: Batch): void {
    for (const key of this.#keys) batch.delete(key);
    this.#keys = [];
    this.#forming = this.#discarded;
    this.#discarded = [];
  }

  /** The group that was formed last is on the disk: nothing is added any more to what was discarded in it. */
  written(): void {
    this.#void.push(...this.#forming);
    this.#forming = [];
    if (this.#state === 'deleting' && this.#keys.length === 0) this.#state = 'idle';
    if (this.#state === 'idle' && this.#void.length > 0) void this.#readOn();
  }

  end(): void {
    this.#state = 'ended';
  }

  async #readOn(): Promise<void> {
    try {
      for (let contents = this.#void[0]; contents !== undefined; contents = this.#void[0]) {
        this.#state = 'reading';
        const keys = await this.#keysOf(contents);
        // Read on by `written`.
        if (this.#ended || keys.length > 0) return this.#delete(keys);
        this.#void.shift();
      }
      this.#state = 'idle';
    } catch {
      // What cannot be read is left to the next start, which tells.
      if (!this.#ended) this.#state = 'ended';
    }
  }

  get #ended(): boolean {
    return this.#state === 'ended';
  }

  #delete(keys: readonly Buffer[]): void {
    if (this.#ended) return;
    this.#keys = keys;
    this.#state = 'deleting';
    this.#ask();
  }

  #keysOf(contents: number): Promise<readonly Buffer[]> {
    return this.#database.read(async (level) => {
      const iterator = level.keys({ ...contentsRange(contents), limit: SWEEP_KEYS, fillCache: false });
      return iterator.all();
    });
  }
}
