/** Whoever publishes. The calls come while the message is being routed. */
export interface Publisher {
  /** A hook asked this publisher to pause until the promise settles. */
  slowDown(until: Promise<void>): void;
  /** A queue that the message was routed to is full, and did not take it (`x-overflow`). Once for each such queue. */
  refused(): void;
  /** A queue keeps the message in this group: it is safe once the group is synced. Once for each such queue. */
  storing(group: number): void;
}

/** For messages that nobody waits for, as dead letters: RabbitMQ, too, drops them where a queue is full. */
export const NOBODY: Publisher = { slowDown: () => {}, refused: () => {}, storing: () => {} };
