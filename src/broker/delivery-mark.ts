import type { GroupCommit, QueueStorage } from './storage.js';

/** No position is lower. */
const NONE = -1;

/**
 * How `redelivered` is right after the node died, without a write for each delivery: an entry is handed out only when
 * a mark at or behind it is on the disk, or will be as soon as the entry is.
 *
 *     consumers are there     every entry is kept together with its mark, and can be handed out at once
 *     it was kept before      one mark covers all entries there are; they wait until its group is synced
 */
export class DeliveryMark {
  readonly #storage: QueueStorage;
  readonly #commit: GroupCommit;
  #marked: number;
  /** The last entry that was kept. */
  #last: number;
  /** The group of the first entry behind the mark; undefined: there is none. */
  #unmarkedSince: number | undefined;
  /** Entries up to this position wait for a group. */
  #waitingUpTo = NONE;
  #waitingFor = 0;
  /** The last entry that was handed out. */
  #handedOut: number;

  /** `marked` and `last` as a start of the node found them. */
  constructor(storage: QueueStorage, commit: GroupCommit, marked: number, last: number) {
    this.#storage = storage;
    this.#commit = commit;
    this.#marked = marked;
    this.#handedOut = marked;
    this.#last = last;
    this.#unmarkedSince = last > marked ? Number.NEGATIVE_INFINITY : undefined;
  }

  /** An entry was kept in the current group, behind all others. */
  kept(position: number, consumers: boolean): void {
    if (consumers) this.#mark(position);
    else this.#unmarkedSince ??= this.#commit.current;
    this.#last = position;
  }

  /** Whether an entry may be handed out; if not, see to it that it may once the group {@link awaited} is synced. */
  covers(position: number): boolean {
    if (position > this.#marked) this.#mark(this.#last);
    return position > this.#waitingUpTo || this.#commit.synced >= this.#waitingFor;
  }

  get awaited(): number {
    return this.#waitingFor;
  }

  handedOut(position: number): void {
    if (position > this.#handedOut) this.#handedOut = position;
  }

  /** The node stops in good order: what was not handed out is not redelivered after the next start. */
  setBack(): void {
    if (this.#marked !== this.#handedOut) this.#storage.mark(this.#handedOut);
  }

  #mark(position: number): void {
    const { current } = this.#commit;
    if (this.#unmarkedSince !== undefined && this.#unmarkedSince < current) {
      this.#waitingUpTo = this.#last;
      this.#waitingFor = current;
    }
    this.#unmarkedSince = undefined;
    this.#marked = position;
    this.#storage.mark(position);
  }
}
