import { Alarm } from './alarm.js';
import { Backlog } from './backlog.js';
import type { Consumer, Subscription } from './consumer.js';
import { Consumers } from './consumers.js';
import type { DeadLetters } from './dead-letters.js';
import { BrokerError, describe } from './errors.js';
import { EXPIRED_PER_TURN, MAX_CONSUMERS } from './limits.js';
import type { MemoryAccount } from './memory-account.js';
import type { FieldTable, Message } from './message.js';
import type { Publisher } from './publisher.js';
import type { QueueFeatures } from './queue-arguments.js';
import type { QueueEntry } from './queue-entry.js';
import type { QueueRules } from './queue-rules.js';
import type { PagingLimits } from './queue-store.js';
import type { Storage } from './storage.js';

/** Whoever can own an exclusive queue: a connection. Only its identity counts. */
export type Owner = object;

export interface QueueSpec {
  readonly durable: boolean;
  readonly exclusive: boolean;
  readonly autoDelete: boolean;
  readonly arguments: FieldTable;
}

/** What a queue needs to know of where it is. */
export interface QueueContext {
  readonly virtualHost: string;
  readonly memory: MemoryAccount;
  readonly paging: PagingLimits;
  readonly deadLetters: DeadLetters;
  readonly rules: QueueRules | undefined;
  /** Its last consumer has left. */
  unused(queue: Queue): void;
  /** Nobody has used it for as long as `x-expires` says. */
  expired(queue: Queue): void;
  warn(text: string, error?: unknown): void;
}

/** What a queue is made of, beside what was declared. */
export interface QueueParts {
  readonly owner: Owner | undefined;
  /** What the arguments ask for. */
  readonly features: QueueFeatures;
  /** Where a durable queue's messages are. */
  readonly stored: { readonly id: number; readonly storage: Storage } | undefined;
}

/**
 * Messages in order, handed to consumers in turns. Whenever no call is under way, either no message is ready or
 * no consumer can take, or the next message is still on its way from or to the store.
 */
export class Queue {
  readonly name: string;
  readonly durable: boolean;
  readonly autoDelete: boolean;
  readonly arguments: FieldTable;
  /** The connection that an exclusive queue belongs to. */
  readonly owner: Owner | undefined;
  readonly #context: QueueContext;
  readonly #consumers: Consumers;
  readonly #alarm = new Alarm(() => this.#alarmRings());
  readonly #backlog: Backlog;
  /** `x-expires` */
  readonly #unusedTtlMs: number | undefined;
  /** `delivering`: inside a consumer's `deliver`, which may call back; the loop outside takes up what it adds. */
  #state: 'idle' | 'delivering' | 'deleted' = 'idle';
  #unacknowledged = 0;
  #enqueued = 0;
  /** The last time that somebody asked for it, in milliseconds since 1970. */
  #usedMs = 0;

  constructor(name: string, spec: QueueSpec, parts: QueueParts, context: QueueContext) {
    this.name = name;
    this.durable = spec.durable;
    this.autoDelete = spec.autoDelete;
    this.arguments = spec.arguments;
    this.owner = parts.owner;
    this.#context = context;
    this.#unusedTtlMs = parts.features.unusedTtlMs;
    this.#consumers = new Consumers(
      parts.features.singleActiveConsumer,
      () => this.goOn(),
      () => this.#lastConsumerGone(),
    );
    this.#backlog = new Backlog(this, parts, context, this.#alarm);
    this.used();
  }

  /** Messages ready for delivery; those out for acknowledgement don't count. */
  get messageCount(): number {
    return this.#backlog.length;
  }

  get consumerCount(): number {
    return this.#consumers.count;
  }

  get unacknowledgedCount(): number {
    return this.#unacknowledged;
  }

  /** Messages taken in since it was declared, those handed over at once included; none that it refused. */
  get enqueuedCount(): number {
    return this.#enqueued;
  }

  /** Octets of content, headers included, that are ready in memory. */
  get readyBytes(): number {
    return this.#backlog.readyBytes;
  }

  /** The number under which a durable queue's messages are stored. */
  get storageId(): number | undefined {
    return this.#backlog.storageId;
  }

  /** For the virtual host: somebody asked for it, so that `x-expires` counts from now on. */
  used(): void {
    if (this.#unusedTtlMs === undefined) return;
    this.#usedMs = Date.now();
    this.#alarm.at(this.#usedMs + this.#unusedTtlMs);
  }

  /**
   * Subscribes a consumer. It gets nothing before its first {@link Subscription.wake}, so that basic.consume-ok
   * can go out first.
   *
   * @throws BrokerError `access-refused` when an exclusive consumer is involved.
   */
  consume(consumer: Consumer): Subscription {
    const label = describe('queue', this.name, this.#context.virtualHost);
    if (this.#state === 'deleted') throw new BrokerError('not-found', `no ${label}`);
    if (!this.#consumers.admits(consumer)) {
      throw new BrokerError('access-refused', `${label} in exclusive use`);
    }
    if (this.#consumers.count >= MAX_CONSUMERS) {
      throw new BrokerError(
        'precondition-failed',
        `cannot consume from ${label}: consumer limit (${MAX_CONSUMERS}) is reached`,
      );
    }
    this.#assertMayTake(consumer.noAck);
    this.#backlog.retry();
    const subscription = this.#consumers.add(consumer);
    if (this.#consumers.count === 1) this.#context.rules?.consumersChanged(this);
    return subscription;
  }

  /**
   * Takes the next message (basic.get). With `noAck` the entry is settled already. A promise: the store has yet to
   * read or write something, so ask again when it settles; it never rejects.
   */
  get(noAck: boolean): QueueEntry | undefined | Promise<void> {
    this.#assertMayTake(noAck);
    const entry = this.#backlog.next();
    if (entry === undefined) return this.#backlog.waiting();
    this.#backlog.take(entry);
    this.#takenOut(entry, noAck);
    this.#backlog.expire();
    return entry;
  }

  /** Forgets an entry that was taken: it was acknowledged. Idempotent. */
  settle(entry: QueueEntry): void {
    if (entry.state !== 'unacknowledged') return;
    this.#unacknowledged--;
    this.#backlog.forget(entry);
  }

  /** Rejects entries that were taken, for good: they become dead letters where the queue has an exchange for them. */
  reject(entries: Iterable<QueueEntry>): void {
    for (const entry of entries) {
      if (this.#state === 'deleted') this.settle(entry);
      if (entry.state !== 'unacknowledged') continue;
      this.#unacknowledged--;
      this.#backlog.bury(entry, 'rejected');
    }
  }

  /**
   * Puts entries that were taken back to their original places, marked as redelivered, whatever their order
   * here. In one call, so that none of them is handed out before an earlier one is back.
   */
  requeue(entries: Iterable<QueueEntry>): void {
    for (const entry of entries) {
      if (this.#state === 'deleted') this.settle(entry);
      if (entry.state !== 'unacknowledged') continue;
      this.#unacknowledged--;
      this.#backlog.restore(entry);
    }
    this.#backlog.tidy();
    this.goOn();
  }

  /**
   * For the virtual host: takes a message in, hands it over at once, or tells the publisher that it is refused; false
   * when the queue is deleted.
   */
  enqueue(message: Message, publisher: Publisher): boolean {
    if (this.#state === 'deleted') return false;
    if (this.#backlog.refuses(message, publisher)) return true;
    this.#enqueued++;
    if (this.#state === 'idle' && this.#backlog.length === 0) {
      const consumer = this.#consumers.next();
      if (consumer !== undefined) {
        this.#handOver(message, consumer, publisher);
        return true;
      }
    }
    this.#backlog.add(message, publisher);
    return true;
  }

  /** For the virtual host: forgets what is ready; the number of messages. */
  purge(): number {
    return this.#backlog.purge();
  }

  /**
   * For the virtual host, which knows it no more: what is ready is forgotten, consumers are told; the number of
   * messages. Entries that are out stay booked until whoever has them settles or requeues them.
   */
  delete(): number {
    this.#state = 'deleted';
    this.#alarm.cancel();
    const count = this.#backlog.delete();
    this.#consumers.cancelAll();
    this.#context.rules?.deleted(this);
    return count;
  }

  /** For the virtual host: the node stops, and what is in the store is to be there at its next start. */
  stop(): void {
    this.#state = 'deleted';
    this.#alarm.cancel();
    this.#backlog.stop();
  }

  /** For consumers and the backlog: hands out what is ready, as far as consumers can take. */
  goOn(): void {
    if (this.#state !== 'idle') return;
    this.#state = 'delivering';
    try {
      while (this.#consumers.count > 0) {
        const entry = this.#backlog.next();
        if (entry === undefined) break;
        const consumer = this.#consumers.next();
        if (consumer === undefined) break;
        this.#backlog.take(entry);
        this.#takenOut(entry, consumer.noAck);
        consumer.deliver(entry.message, entry.redelivered, consumer.noAck ? undefined : entry);
      }
    } finally {
      this.#delivered();
    }
    if (this.#consumers.count > 0) this.#backlog.readAhead();
  }

  /** The short way past an empty queue: without acknowledgement the message is not even held. */
  #handOver(message: Message, consumer: Consumer, publisher: Publisher): void {
    this.#state = 'delivering';
    try {
      if (consumer.noAck) consumer.deliver(message, false, undefined);
      else {
        const entry = this.#backlog.hold(message, publisher);
        this.#backlog.taken(entry);
        this.#unacknowledged++;
        consumer.deliver(message, false, entry);
      }
    } finally {
      this.#delivered();
    }
    if (this.#backlog.length > 0) this.goOn();
  }

  #delivered(): void {
    if (this.#state === 'delivering') this.#state = 'idle';
  }

  #takenOut(entry: QueueEntry, noAck: boolean): void {
    this.#unacknowledged++;
    if (noAck) this.settle(entry);
  }

  #alarmRings(): void {
    this.#backlog.expire(EXPIRED_PER_TURN);
    if (this.#unusedTtlMs === undefined || this.#consumers.count > 0) return;
    const dueMs = this.#usedMs + this.#unusedTtlMs;
    if (dueMs <= Date.now()) this.#context.expired(this);
    else this.#alarm.at(dueMs);
  }

  #lastConsumerGone(): void {
    this.used();
    this.#context.unused(this);
    if (this.#state !== 'deleted') this.#context.rules?.consumersChanged(this);
  }

  #assertMayTake(noAck: boolean): void {
    if (noAck || this.#context.rules === undefined) return;
    const label = describe('queue', this.name, this.#context.virtualHost);
    throw new BrokerError('access-refused', `${label} is consumed without acknowledgement only`);
  }
}
