import { ENTRY_OVERHEAD_BYTES, LOW_MARK_RATIO, MESSAGE_OVERHEAD_BYTES, TIGHT_RATIO } from './limits.js';
import type { Message } from './message.js';

/**
 * The node's account of the memory that messages hold: in queues, unacknowledged, in outboxes and output
 * buffers. It counts what is booked and never asks the process, so equal loads have equal accounts. While it is
 * high, whoever takes messages in slows its senders down; nothing is refused.
 */
export class MemoryAccount {
  readonly #limitBytes: number;
  readonly #limitEntries: number;
  readonly #listeners = new Set<(high: boolean) => void>();
  #bytes = 0;
  #entries = 0;
  #high = false;

  /** `limitBytes` is for all that is booked, `limitEntries` for the objects that stand for messages on V8's heap. */
  constructor(limits: { readonly limitBytes: number; readonly limitEntries: number }) {
    this.#limitBytes = limits.limitBytes;
    this.#limitEntries = limits.limitEntries;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Messages in queues and unacknowledged, each counted once for each queue that has it. */
  get entries(): number {
    return this.#entries;
  }

  /** From the moment a limit is passed until both are back below 90 %. */
  get high(): boolean {
    return this.#high;
  }

  /** Above half of a limit: what can do without memory takes no more of it. */
  get tight(): boolean {
    return this.#isAbove(TIGHT_RATIO);
  }

  /** Books memory; negative numbers release it. */
  add(bytes: number, entries = 0): void {
    this.#bytes += bytes;
    this.#entries += entries;
    if (this.#high === this.#isAbove(this.#high ? LOW_MARK_RATIO : 1)) return;
    this.#high = !this.#high;
    for (const listener of [...this.#listeners]) listener(this.#high);
  }

  /**
   * Calls back at every change of `high`, until the returned function is called. The call comes in the middle
   * of whatever was booked: a listener may pause and resume sockets, and must not call the broker.
   */
  onChange(listener: (high: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Books one more queue entry for a message. The bytes are shared: only the first entry pays for them. */
  hold(message: Message): void {
    const first = message.holders++ === 0;
    if (first) message.retain();
    this.add(entryBytes(message, first), 1);
  }

  /** Takes back one `hold`. */
  release(message: Message): void {
    const last = --message.holders === 0;
    this.add(-entryBytes(message, last), -1);
  }

  #isAbove(ratio: number): boolean {
    return this.#bytes > this.#limitBytes * ratio || this.#entries > this.#limitEntries * ratio;
  }
}

function entryBytes(message: Message, withMessage: boolean): number {
  return withMessage
    ? message.sizeBytes + MESSAGE_OVERHEAD_BYTES + ENTRY_OVERHEAD_BYTES
    : ENTRY_OVERHEAD_BYTES;
}
