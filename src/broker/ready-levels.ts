import type { QueueEntry } from './queue-entry.js';
import { ReadyList } from './ready-list.js';

/** The entries of a queue with priorities that are ready for delivery: those of the highest level come first. */
export class ReadyLevels {
  readonly #levels: readonly ReadyList[];
  /** No level above it has an entry. */
  #top = 0;
  #length = 0;
  #bodyBytes = 0;
  #sizeBytes = 0;

  constructor(maxPriority: number) {
    this.#levels = Array.from({ length: maxPriority + 1 }, () => new ReadyList());
  }

  get length(): number {
    return this.#length;
  }

  get bodyBytes(): number {
    return this.#bodyBytes;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  push(entry: QueueEntry): void {
    this.#at(entry).push(entry);
  }

  first(): QueueEntry | undefined {
    return this.#highest()?.first();
  }

  shift(): QueueEntry | undefined {
    const entry = this.#highest()?.shift();
    if (entry === undefined) return undefined;
    this.#length--;
    this.#bodyBytes -= entry.message.bodyBytes;
    this.#sizeBytes -= entry.message.sizeBytes;
    return entry;
  }

  restore(entry: QueueEntry): void {
    this.#at(entry).restore(entry);
  }

  clear(forget: (entry: QueueEntry) => void): void {
    for (const level of this.#levels) level.clear(forget);
    this.#length = 0;
    this.#bodyBytes = 0;
    this.#sizeBytes = 0;
  }

  #at(entry: QueueEntry): ReadyList {
    this.#length++;
    this.#bodyBytes += entry.message.bodyBytes;
    this.#sizeBytes += entry.message.sizeBytes;
    this.#top = Math.max(this.#top, entry.priority);
    return this.#levels[entry.priority] as ReadyList;
  }

  #highest(): ReadyList | undefined {
    if (this.#length === 0) return undefined;
    let level = this.#levels[this.#top];
    while (level?.length === 0) level = this.#levels[--this.#top];
    return level;
  }
}
