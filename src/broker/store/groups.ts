import type { GroupCommit } from '../storage.js';

/** Where a group comes from, and where it goes. */
export interface GroupSource<Group> {
  /** All that was asked for since the last call; undefined: there is nothing left of it to write. */
  form(): Group | undefined;
  /** Settles when the group is on the disk; rejects only when that is given up. */
  write(group: Group): Promise<void>;
  /** It is on the disk. */
  written(group: Group): void;
}

/**
 *     idle ──(something is asked for)──▶ gathering ──(end of the turn, or the interval is over)──▶ writing ─┐
 *      ▲                                     ▲                                                              │
 *      └──────(nothing asked meanwhile)──────┴─────────(something was: without delay where none is set)─────┘
 *
 * One group is written at a time; the next one has all that was asked for meanwhile.
 */
export class Groups<Group> implements Omit<GroupCommit, 'congestion'> {
  readonly #source: GroupSource<Group>;
  readonly #intervalMs: number;
  readonly #listeners = new Set<(group: number) => void>();
  #state: 'idle' | 'gathering' | 'writing' | 'failed' = 'idle';
  #closing = false;
  /** Something was asked for that goes into the current group. */
  #asked = false;
  #urgent = false;
  #timer: NodeJS.Timeout | undefined;
  #current = 1;
  #synced = 0;
  #settled: (() => void)[] = [];
  #failure: unknown;

  /** `intervalMs` 0: a group is as long as a turn of the loop, or the writing of the one before. */
  constructor(source: GroupSource<Group>, intervalMs: number) {
    this.#source = source;
    this.#intervalMs = intervalMs;
  }

  get current(): number {
    return this.#current;
  }

  get synced(): number {
    return this.#synced;
  }

  onSynced(listener: (group: number) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Something goes into the current group. Costs next to nothing but for the first time. */
  ask(): void {
    if (this.#asked) return;
    this.#asked = true;
    if (this.#state === 'idle') this.#gather();
  }

  /** As `ask`, for what somebody waits for who asks for one thing at a time: no interval is waited for. */
  askUrgently(): void {
    this.ask();
    if (this.#urgent) return;
    this.#urgent = true;
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#gather();
  }

  /** Writes what was asked for. Rejects with why it could not be. */
  async close(): Promise<void> {
    this.#closing = true;
    if (this.#timer !== undefined) {
      clearTimeout(this.#timer);
      this.#gather();
    }
    if (this.#state !== 'idle' && this.#state !== 'failed') {
      await new Promise<void>((resolve) => this.#settled.push(resolve));
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  #gather(): void {
    this.#state = 'gathering';
    this.#timer = undefined;
    if (this.#intervalMs === 0 || this.#urgent || this.#closing) setImmediate(this.#form);
    else this.#timer = setTimeout(this.#form, this.#intervalMs);
  }

  readonly #form = (): void => {
    this.#state = 'writing';
    this.#timer = undefined;
    this.#asked = false;
    this.#urgent = false;
    const number = this.#current++;
    const group = this.#source.form();
    if (group === undefined) this.#done(number);
    else void this.#write(number, group);
  };

  async #write(number: number, group: Group): Promise<void> {
    try {
      await this.#source.write(group);
    } catch (error) {
      this.#failure = error;
      this.#end('failed');
      return;
    }
    this.#source.written(group);
    this.#done(number);
  }

  #done(number: number): void {
    this.#synced = number;
    for (const listener of [...this.#listeners]) listener(number);
    if (!this.#asked) this.#end('idle');
    else if (this.#intervalMs === 0 || this.#closing) this.#form();
    else this.#gather();
  }

  #end(state: 'idle' | 'failed'): void {
    this.#state = state;
    for (const resolve of this.#settled.splice(0)) resolve();
  }
}
