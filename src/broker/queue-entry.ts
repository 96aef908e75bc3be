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
  state: 'ready' | 'unacknowledged' | 'settled';
  redelivered = false;

  constructor(queue: Queue, message: Message, position: number, state: 'ready' | 'unacknowledged') {
    this.queue = queue;
    this.message = message;
    this.position = position;
    this.state = state;
  }
}
