import type { Logger } from '../overlay/index.js';
import { ENOUGH_HOLDERS, REPAIR_DELAY_MS, UPKEEP_LANES } from './limits.js';

/** Something in the DHT that fades unless it is looked after. */
export interface Duty {
  readonly periodMs: number;
  /** Looks after it; resolves with how many other nodes hold it now. The signal aborts when the duty has ended. */
  run(signal: AbortSignal): Promise<number>;
}

interface Task {
  readonly name: string;
  readonly duty: Duty;
  readonly ended: AbortController;
  holders: number;
  timer: NodeJS.Timeout | undefined;
  dueMs: number;
  /** A second run starts after the first. */
  running: Promise<void>;
}

/** Runs duties from time to time, spread at random, and sooner where too few nodes hold the thing and more are known. */
export class Upkeep {
  readonly #logger: Logger;
  readonly #random: () => number;
  readonly #tasks = new Map<string, Task>();
  /** Counts the calls of `grown`. */
  #growth = 0;
  /** What each lane is busy with. */
  readonly #lanes: Promise<void>[] = Array.from({ length: UPKEEP_LANES }, () => Promise.resolve());
  #nextLane = 0;

  constructor(logger: Logger, random: () => number) {
    this.#logger = logger;
    this.#random = random;
  }

  /** The first run is after a period. A duty of the same name ends. */
  begin(name: string, duty: Duty, holders = 0): void {
    this.end(name);
    const ended = new AbortController();
    const task: Task = { name, duty, ended, holders, timer: undefined, dueMs: 0, running: Promise.resolve() };
    this.#tasks.set(name, task);
    this.#schedule(task, this.#periodMs(duty));
  }

  /** Runs the duty now, after a run that is under way. Never rejects. */
  async runNow(name: string): Promise<void> {
    const task = this.#tasks.get(name);
    if (task !== undefined) await this.#run(task);
  }

  /** Something about it has changed: runs it within REPAIR_DELAY_MS. */
  runSoon(name: string): void {
    const task = this.#tasks.get(name);
    if (task !== undefined) this.#hurry(task);
  }

  /** Further peers are known. */
  grown(): void {
    this.#growth += 1;
    for (const task of this.#tasks.values()) if (task.holders < ENOUGH_HOLDERS) this.#hurry(task);
  }

  end(name: string): void {
    const task = this.#tasks.get(name);
    if (task === undefined) return;
    this.#tasks.delete(name);
    clearTimeout(task.timer);
    task.ended.abort();
  }

  stop(): void {
    for (const name of [...this.#tasks.keys()]) this.end(name);
  }

  #periodMs(duty: Duty): number {
    return duty.periodMs * (1 - this.#random() / 4);
  }

  #hurry(task: Task): void {
    const delayMs = REPAIR_DELAY_MS * this.#random();
    if (performance.now() + delayMs < task.dueMs) this.#schedule(task, delayMs);
  }

  #schedule(task: Task, delayMs: number): void {
    clearTimeout(task.timer);
    task.dueMs = performance.now() + delayMs;
    task.timer = setTimeout(() => this.#queue(task), delayMs);
    task.timer.unref();
  }

  #queue(task: Task): void {
    const lane = this.#nextLane++ % this.#lanes.length;
    this.#lanes[lane] = this.#lanes[lane]?.then(() => this.#run(task)) ?? this.#run(task);
  }

  #run(task: Task): Promise<void> {
    clearTimeout(task.timer);
    task.running = task.running.then(() => this.#runOnce(task));
    return task.running;
  }

  async #runOnce(task: Task): Promise<void> {
    const { name, duty, ended } = task;
    if (ended.signal.aborted) return;
    const growth = this.#growth;
    try {
      task.holders = await duty.run(ended.signal);
    } catch (error) {
      this.#logger.warn({ duty: name, error }, 'upkeep failed');
    }
    if (ended.signal.aborted) return;
    this.#schedule(task, this.#periodMs(duty));
    if (growth !== this.#growth && task.holders < ENOUGH_HOLDERS) this.#hurry(task);
  }
}
