import type { Queue, QueueSpec } from './queue.js';

/**
 * What a virtual host has beyond the broker's own rules, and who watches its queues. In one that has them, consumers take
 * messages without acknowledgement only, so that nothing is held beyond what waits in queues. None of the calls but the
 * first may throw or call the broker.
 */
export interface QueueRules {
  /** @throws BrokerError: there is to be no such queue */
  assertDeclarable(name: string, spec: QueueSpec): void;
  /** One more is refused. */
  readonly maxBindingsPerQueue: number;
  declared(queue: Queue): void;
  /** The first consumer came, or the last one went. */
  consumersChanged(queue: Queue): void;
  /** The queue is gone, and its consumers. */
  deleted(queue: Queue): void;
}
