import type { Message } from './message.js';
import type { Queue } from './queue.js';

/**
 * One message in one queue, from when it is enqueued until it is settled. There can be millions: keep it small.
 */
export class QueueEntry {
  readonly queue: Queue;
  readonly message: Message;
  /** Its place in the queue, which it keeps when it is requeued. */
  readonly position: number;
  /** Its level in a queue with priorities; 0 in others. */
  readonly priority: number;
  /** When it expires, in milliseconds since 1970; undefined: never. It keeps this, too, when it is requeued. */
  readonly expiresMs: number | undefined;
  state: 'ready' | 'unacknowledged' | 'settled' = 'ready';
  redelivered = false;
  /** Whether the store has it, and is to forget it when it is settled. */
  stored = false;

  constructor(
    queue: Queue,
    message: Message,
    position: number,
    priority: number,
    expiresMs: number | undefined,
  ) {
    this.queue = queue;
    this.message = message;
    this.position = position;
    this.priority = priority;
    this.expiresMs = expiresMs;
  }

  /** For the store: dropped at the next start. */
  get transient(): boolean {
    return !this.message.persistent;
  }
}
