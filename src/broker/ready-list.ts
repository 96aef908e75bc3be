import { Fifo } from './fifo.js';
import type { QueueEntry } from './queue-entry.js';

/**
 * The entries of a queue that are ready for delivery, by position:
 *
 *     requeued: a heap, for entries that come back in any order  |  fresh: first in, first out
 *              every position here   <   every position there
 *
 * The order between the two parts needs no care: an entry can only be requeued after it was taken from the
 * front, when all that is fresh was behind it.
 */
export class ReadyList {
  readonly #fresh = new Fifo<QueueEntry>();
  readonly #requeued: QueueEntry[] = [];

  #bodyBytes = 0;
  #sizeBytes = 0;

  get length(): number {
    return this.#fresh.length + this.#requeued.length;
  }

  /** Octets of the bodies of all entries. */
  get bodyBytes(): number {
    return this.#bodyBytes;
  }

  /** The same with their headers. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Appends an entry whose position is the highest so far. */
  push(entry: QueueEntry): void {
    this.#add(entry);
    this.#fresh.push(entry);
  }

  /** The entry with the lowest position. */
  first(): QueueEntry | undefined {
    return this.#requeued[0] ?? this.#fresh.first();
  }

  /** Takes the entry with the lowest position. */
  shift(): QueueEntry | undefined {
    const entry = this.#requeued.length > 0 ? this.#takeRequeued() : this.#fresh.shift();
    if (entry === undefined) return undefined;
    this.#bodyBytes -= entry.message.bodyBytes;
    this.#sizeBytes -= entry.message.sizeBytes;
    return entry;
  }

  /** Puts an entry that was taken back to its place. */
  restore(entry: QueueEntry): void {
    this.#add(entry);
    const heap = this.#requeued;
    let at = heap.length;
    while (at > 0) {
      const parent = heap[(at - 1) >> 1] as QueueEntry;
      if (parent.position < entry.position) break;
      heap[at] = parent;
      at = (at - 1) >> 1;
    }
    heap[at] = entry;
  }

  /** Empties the list, in no particular order. */
  clear(forget: (entry: QueueEntry) => void): void {
    this.#bodyBytes = 0;
    this.#sizeBytes = 0;
    for (const entry of this.#requeued) forget(entry);
    this.#requeued.length = 0;
    for (let entry = this.#fresh.shift(); entry !== undefined; entry = this.#fresh.shift()) forget(entry);
  }

  #add({ message }: QueueEntry): void {
    this.#bodyBytes += message.bodyBytes;
    this.#sizeBytes += message.sizeBytes;
  }

  #takeRequeued(): QueueEntry | undefined {
    const heap = this.#requeued;
    const first = heap[0];
    const last = heap.pop() as QueueEntry;
    if (heap.length > 0) this.#sink(last);
    return first;
  }

  /** Moves an entry from the top of the heap down to where it belongs. */
  #sink(entry: QueueEntry): void {
    const heap = this.#requeued;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      const left = heap[child];
      const right = heap[child + 1];
      let lower = left;
      if (left !== undefined && right !== undefined && right.position < left.position) {
        lower = right;
        child++;
      }
      if (lower === undefined || entry.position < lower.position) break;
      heap[at] = lower;
      at = child;
    }
    heap[at] = entry;
  }
}
