import { CHUNK_ENTRIES } from './limits.js';

interface Chunk<T> {
  readonly items: (T | undefined)[];
  next: Chunk<T> | undefined;
}

/**
 * First in, first out, in constant time: items are appended to the last chunk of a list and taken from the
 * first. Nothing is ever moved, a chunk that has been read is garbage, and an item is forgotten as it is taken.
 */
export class Fifo<T> {
  #head: Chunk<T> = { items: [], next: undefined };
  #tail = this.#head;
  /** The first item's index in the head, and the index after the last item in the tail. */
  #start = 0;
  #end = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(item: T): void {
    if (this.#end === CHUNK_ENTRIES) {
      this.#tail.next = { items: [], next: undefined };
      this.#tail = this.#tail.next;
      this.#end = 0;
    }
    this.#tail.items[this.#end++] = item;
    this.#length++;
  }

  first(): T | undefined {
    return this.#length === 0 ? undefined : this.#head.items[this.#start];
  }

  shift(): T | undefined {
    if (this.#length === 0) return undefined;
    const head = this.#head;
    const item = head.items[this.#start];
    head.items[this.#start++] = undefined;
    this.#length--;
    if (this.#length === 0) {
      // The head is the tail: start over in it, so that a queue which runs empty allocates nothing.
      this.#start = 0;
      this.#end = 0;
    } else if (this.#start === CHUNK_ENTRIES && head.next !== undefined) {
      this.#head = head.next;
      this.#start = 0;
    }
    return item;
  }
}
