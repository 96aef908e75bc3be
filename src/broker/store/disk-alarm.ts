import { statfs } from 'node:fs/promises';
import { DISK_CHECK_INTERVAL_MS } from './limits.js';
import type { StoreLogger } from './logger.js';

export interface DiskAlarmOptions {
  /** Free space below this is short. */
  readonly limitBytes: number;
  /** Where the store is. */
  readonly path: string;
  readonly logger: StoreLogger;
  readonly intervalMs?: number;
  /** How much is free at a path. */
  readonly freeBytes?: (path: string) => Promise<number>;
}

/**
 * Whether the disk is short: its free space is below the limit, or the store cannot write to it. While it is, publishers
 * are held up.
 */
export class DiskAlarm {
  readonly #options: DiskAlarmOptions;
  readonly #listeners = new Set<(high: boolean) => void>();
  #timer: NodeJS.Timeout | undefined;
  #low = false;
  #failing = false;
  #unknown = false;

  constructor(options: DiskAlarmOptions) {
    this.#options = options;
  }

  get high(): boolean {
    return this.#low || this.#failing;
  }

  /** Calls back at every change of `high`, until the returned function is called. */
  onChange(listener: (high: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Looks for the first time, and from then on at intervals. */
  async start(): Promise<void> {
    await this.#check();
    const intervalMs = this.#options.intervalMs ?? DISK_CHECK_INTERVAL_MS;
    this.#timer = setInterval(() => void this.#check(), intervalMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#listeners.clear();
  }

  /** The store cannot write, or can again. */
  set failing(failing: boolean) {
    this.#change(() => {
      this.#failing = failing;
    });
  }

  async #check(): Promise<void> {
    const { path, limitBytes, logger } = this.#options;
    try {
      const freeBytes = await (this.#options.freeBytes ?? freeBytesAt)(path);
      const low = freeBytes < limitBytes;
      this.#unknown = false;
      if (low === this.#low) return;
      logger.warn({ path, freeBytes, limitBytes }, `the disk is ${low ? 'short of space' : 'free again'}`);
      this.#change(() => {
        this.#low = low;
      });
    } catch (err) {
      if (!this.#unknown) logger.error({ err, path }, 'the free space of the disk cannot be told');
      this.#unknown = true;
    }
  }

  #change(change: () => void): void {
    const before = this.high;
    change();
    if (this.high === before) return;
    for (const listener of [...this.#listeners]) listener(this.high);
  }
}

async function freeBytesAt(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path);
  return bavail * bsize;
}
