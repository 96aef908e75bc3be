import type { Consumer, Subscription } from './consumer.js';
import { Consumers } from './consumers.js';
import { BrokerError, describe } from './errors.js';
import { MAX_CONSUMERS } from './limits.js';
import type { MemoryAccount } from './memory-account.js';
import type { FieldTable, Message } from './message.js';
import { QueueEntry } from './queue-entry.js';
import { ReadyList } from './ready-list.js';

/** Whoever can own an exclusive queue: a connection. Only its identity counts. */
export type Owner = object;

export interface QueueSpec {
  readonly durable: boolean;
  readonly exclusive: boolean;
  readonly autoDelete: boolean;
  readonly arguments: FieldTable;
}

/** What a queue needs to know of where it is. `unused` is called when its last consumer has left. */
export interface QueueContext {
  readonly virtualHost: string;
  readonly memory: MemoryAccount;
  unused(queue: Queue): void;
}

/**
 * Messages in order, handed to consumers in turns. Whenever no call is under way, either no message is ready or
 * no consumer can take.
 */
export class Queue {
  readonly name: string;
  readonly durable: boolean;
  readonly autoDelete: boolean;
  readonly arguments: FieldTable;
  /** The connection that an exclusive queue belongs to. */
  readonly owner: Owner | undefined;
  readonly #context: QueueContext;
  readonly #memory: MemoryAccount;
  readonly #ready = new ReadyList();
  readonly #consumers = new Consumers(
    () => this.#deliverReady(),
    () => this.#context.unused(this),
  );
  /** `delivering`: inside a consumer's `deliver`, which may call back; the loop outside takes up what it adds. */
  #state: 'idle' | 'delivering' | 'deleted' = 'idle';
  #nextPosition = 0;
  #unacknowledged = 0;

  constructor(name: string, spec: QueueSpec, owner: Owner | undefined, context: QueueContext) {
    this.name = name;
    this.durable = spec.durable;
    this.autoDelete = spec.autoDelete;
    this.arguments = spec.arguments;
    this.owner = owner;
    this.#context = context;
    this.#memory = context.memory;
  }

  /** Messages ready for delivery; those out for acknowledgement don't count. */
  get messageCount(): number {
    return this.#ready.length;
  }

  get consumerCount(): number {
    return this.#consumers.count;
  }

  get unacknowledgedCount(): number {
    return this.#unacknowledged;
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
    if (this.#consumers.exclusive || (consumer.exclusive && this.#consumers.count > 0)) {
      throw new BrokerError('access-refused', `${label} in exclusive use`);
    }
    if (this.#consumers.count >= MAX_CONSUMERS) {
      throw new BrokerError(
        'precondition-failed',
        `cannot consume from ${label}: consumer limit (${MAX_CONSUMERS}) is reached`,
      );
    }
    return this.#consumers.add(consumer);
  }

  /** Takes the next message (basic.get). With `noAck` the entry is settled already. */
  get(noAck: boolean): QueueEntry | undefined {
    const entry = this.#ready.shift();
    if (entry !== undefined) this.#take(entry, noAck);
    return entry;
  }

  /** Forgets an entry that was taken: it was acknowledged, or rejected for good. Idempotent. */
  settle(entry: QueueEntry): void {
    if (entry.state !== 'unacknowledged') return;
    entry.state = 'settled';
    this.#unacknowledged--;
    this.#memory.release(entry.message);
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
      entry.state = 'ready';
      entry.redelivered = true;
      this.#ready.restore(entry);
    }
    this.#deliverReady();
  }

  /** For the virtual host: takes a message in, or hands it over at once; false when the queue is deleted. */
  enqueue(message: Message): boolean {
    if (this.#state === 'deleted') return false;
    if (this.#state === 'idle' && this.#ready.length === 0) {
      const consumer = this.#consumers.next();
      if (consumer !== undefined) {
        this.#handOver(message, consumer);
        return true;
      }
    }
    this.#ready.push(this.#hold(message, 'ready'));
    return true;
  }

  /** For the virtual host: forgets what is ready; the number of messages. */
  purge(): number {
    const count = this.#ready.length;
    this.#ready.clear((entry) => {
      entry.state = 'settled';
      this.#memory.release(entry.message);
    });
    return count;
  }

  /**
   * For the virtual host, which knows it no more: what is ready is forgotten, consumers are told; the number of
   * messages. Entries that are out stay booked until whoever has them settles or requeues them.
   */
  delete(): number {
    this.#state = 'deleted';
    const count = this.purge();
    this.#consumers.cancelAll();
    return count;
  }

  /** The short way past an empty queue: without acknowledgement the message is not even held. */
  #handOver(message: Message, consumer: Consumer): void {
    this.#state = 'delivering';
    try {
      if (consumer.noAck) consumer.deliver(message, false, undefined);
      else {
        this.#unacknowledged++;
        consumer.deliver(message, false, this.#hold(message, 'unacknowledged'));
      }
    } finally {
      this.#delivered();
    }
    if (this.#ready.length > 0) this.#deliverReady();
  }

  #deliverReady(): void {
    if (this.#state !== 'idle') return;
    this.#state = 'delivering';
    try {
      while (this.#ready.length > 0) {
        const consumer = this.#consumers.next();
        if (consumer === undefined) break;
        const entry = this.#ready.shift();
        if (entry === undefined) break;
        this.#take(entry, consumer.noAck);
        consumer.deliver(entry.message, entry.redelivered, consumer.noAck ? undefined : entry);
      }
    } finally {
      this.#delivered();
    }
  }

  #delivered(): void {
    if (this.#state === 'delivering') this.#state = 'idle';
  }

  #take(entry: QueueEntry, noAck: boolean): void {
    this.#unacknowledged++;
    entry.state = 'unacknowledged';
    if (noAck) this.settle(entry);
  }

  #hold(message: Message, state: 'ready' | 'unacknowledged'): QueueEntry {
    this.#memory.hold(message);
    return new QueueEntry(this, message, this.#nextPosition++, state);
  }
}
