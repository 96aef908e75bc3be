import type { Message } from './message.js';
import type { QueueEntry } from './queue-entry.js';

/** Whoever takes messages from a queue; one per basic.consume. None of the calls may throw. */
export interface Consumer {
  readonly tag: string;
  /** Deliveries need no acknowledgement: the queue forgets them as it hands them over. */
  readonly noAck: boolean;
  readonly exclusive: boolean;
  /** Consumers that can take are served from the highest priority down, in turns within one priority. */
  readonly priority: number;
  /**
   * Channel open and flowing, prefetch left, connection's output not backed up. After it has said no, the queue
   * asks again only once {@link Subscription.wake} was called.
   */
  canTake(): boolean;
  /**
   * Takes a message. With `noAck` there is no entry, and the message's bytes may be lent for this call only;
   * otherwise the entry is the consumer's to settle or requeue. It may call the queue back: cancel, settle,
   * publish.
   */
  deliver(message: Message, redelivered: boolean, entry: QueueEntry | undefined): void;
  /** The queue was deleted, and the subscription with it. */
  cancelled(): void;
}

/** A consumer's place at its queue, from `consume` to `cancel`. */
export interface Subscription {
  /** The consumer can take, for the first time or again. Costs next to nothing when it was never out of turn. */
  wake(): void;
  /** Takes the consumer off the queue; what it has not acknowledged stays its own. Idempotent. */
  cancel(): void;
}
