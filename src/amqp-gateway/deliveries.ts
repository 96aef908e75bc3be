import type { Queue, QueueEntry } from '../broker/index.js';
import type { Connection } from './connection.js';
import type { ConsumerOptions } from './consumer.js';
import { ChannelConsumer } from './consumer.js';
import { ReplyConsumer } from './direct-reply-to.js';
import { MAX_CONSUMERS_PER_CHANNEL, MAX_UNACKNOWLEDGED_PER_CHANNEL } from './limits.js';
import { Prefetch } from './prefetch.js';
import { ChannelError, ConnectionError } from './reply-code.js';

/** A delivery that waits for its acknowledgement; no consumer: it was fetched with basic.get. */
export interface Delivery {
  readonly tag: number;
  readonly entry: QueueEntry;
  readonly consumer: ChannelConsumer | undefined;
}

/** What becomes of deliveries that the client is done with. */
export type Settlement = 'acknowledge' | 'reject' | 'requeue';

/** What one channel delivers: its consumers, its delivery tags, and what it has not had acknowledged. */
export class Deliveries {
  readonly #channel: number;
  readonly #connection: Connection;
  readonly #queueGone: (consumerTag: string) => void;
  readonly #consumers = new Map<string, ChannelConsumer>();
  #replyConsumer: ReplyConsumer | undefined;
  /** By delivery tag, in their order: tags only grow. */
  #unacknowledged = new Map<number, Delivery>();
  #lastTag = 0;
  /** Not when its end has begun: one of its consumers could be the next single active one of its queue. */
  #open = true;
  /** RabbitMQ's meaning of basic.qos: `global: true` limits the channel, `false` each consumer that comes after it. */
  readonly #channelPrefetch = new Prefetch(0);
  #consumerPrefetchCount = 0;

  /** `queueGone`: tells the client that a consumer ended because its queue was deleted. */
  constructor(channel: number, connection: Connection, queueGone: (consumerTag: string) => void) {
    this.#channel = channel;
    this.#connection = connection;
    this.#queueGone = queueGone;
  }

  get hasRoom(): boolean {
    const { hasRoom } = this.#channelPrefetch;
    return this.#open && hasRoom && this.#unacknowledged.size < MAX_UNACKNOWLEDGED_PER_CHANNEL;
  }

  /** What replies to this channel are to be published to, while it consumes direct replies. */
  get replyTo(): string | undefined {
    return this.#replyConsumer?.name;
  }

  limitChannel(prefetchCount: number): void {
    this.#channelPrefetch.limit = prefetchCount;
    this.wakeAll();
  }

  /** As in RabbitMQ, this ends a limit of the whole channel that was set before. */
  limitConsumers(prefetchCount: number): void {
    this.#consumerPrefetchCount = prefetchCount;
    this.limitChannel(0);
  }

  /** Whether there may be a consumer of this tag. */
  assertFree(consumerTag: string): void {
    if (this.#consumers.has(consumerTag)) {
      throw new ConnectionError('not-allowed', `attempt to reuse consumer tag '${consumerTag}'`);
    }
    if (this.#consumers.size >= MAX_CONSUMERS_PER_CHANNEL) {
      const limit = MAX_CONSUMERS_PER_CHANNEL;
      throw new ConnectionError('not-allowed', `reached maximum (${limit}) of consumers per channel`);
    }
  }

  /** Adds a consumer, which gets its first message when it is woken. */
  consume(queue: Queue, options: ConsumerOptions): ChannelConsumer {
    const prefetchCount = this.#consumerPrefetchCount;
    const consumer = new ChannelConsumer(
      queue,
      options,
      prefetchCount,
      this.#channel,
      this.#connection.output,
      this,
    );
    this.#consumers.set(options.tag, consumer);
    return consumer;
  }

  /** Consumes direct replies. @throws ChannelError */
  consumeReplies(tag: string, noAck: boolean): void {
    if (!noAck) throw new ChannelError('precondition-failed', 'reply consumer cannot acknowledge');
    if (this.#replyConsumer !== undefined) {
      throw new ChannelError('precondition-failed', 'reply consumer already set');
    }
    const { output, services } = this.#connection;
    // As in RabbitMQ, replies do not count: there is nothing to acknowledge.
    const nextTag = () => this.#lastTag + 1;
    this.#replyConsumer = new ReplyConsumer(tag, this.#channel, output, services.replies, nextTag);
  }

  /** What the consumer has not acknowledged stays to be acknowledged. Unknown tags are ignored, as in RabbitMQ. */
  cancel(consumerTag: string): void {
    if (this.#replyConsumer?.tag === consumerTag) {
      this.#cancelReplies();
      return;
    }
    this.#consumers.get(consumerTag)?.cancel();
    this.#consumers.delete(consumerTag);
  }

  queueDeleted(consumer: ChannelConsumer): void {
    this.#consumers.delete(consumer.tag);
    this.#queueGone(consumer.tag);
  }

  /** The next message of a queue and its delivery tag, for basic.get; a promise: ask again when it settles. */
  get(queue: Queue, noAck: boolean): { tag: number; entry: QueueEntry } | undefined | Promise<void> {
    if (!noAck && this.#unacknowledged.size >= MAX_UNACKNOWLEDGED_PER_CHANNEL) {
      const limit = MAX_UNACKNOWLEDGED_PER_CHANNEL;
      throw new ChannelError(
        'precondition-failed',
        `${limit} deliveries are not acknowledged on this channel`,
      );
    }
    const entry = queue.get(noAck);
    if (entry === undefined || entry instanceof Promise) return entry;
    return { tag: this.delivered(noAck ? undefined : entry, undefined), entry };
  }

  /** Gives the next delivery tag; with an entry, the delivery is to be acknowledged. */
  delivered(entry: QueueEntry | undefined, consumer: ChannelConsumer | undefined): number {
    const tag = ++this.#lastTag;
    this.#connection.services.counters.delivered++;
    if (entry === undefined) return tag;
    this.#unacknowledged.set(tag, { tag, entry, consumer });
    if (consumer !== undefined) {
      consumer.prefetch.take();
      this.#channelPrefetch.take();
    }
    return tag;
  }

  /**
   * Takes out what an acknowledgement refers to. AMQP 0-9-1 §1.8.3.13: a tag must be one that was delivered and not
   * acknowledged before; `multiple` includes all before it, and with tag 0 means all.
   */
  take(tag: number, multiple: boolean): Delivery[] {
    if (multiple && tag === 0) return this.takeAll();
    const delivery = this.#unacknowledged.get(tag);
    if (delivery === undefined) throw new ChannelError('precondition-failed', `unknown delivery tag ${tag}`);
    if (!multiple) {
      this.#unacknowledged.delete(tag);
      return [delivery];
    }
    const taken: Delivery[] = [];
    for (const earlier of this.#unacknowledged.values()) {
      if (earlier.tag > tag) break;
      this.#unacknowledged.delete(earlier.tag);
      taken.push(earlier);
    }
    return taken;
  }

  takeAll(): Delivery[] {
    const all = [...this.#unacknowledged.values()];
    this.#unacknowledged.clear();
    return all;
  }

  /** The reverse of `take`, for a transaction that is rolled back. */
  restore(deliveries: readonly Delivery[]): void {
    const all = [...this.#unacknowledged.values(), ...deliveries].sort((a, b) => a.tag - b.tag);
    this.#unacknowledged = new Map(all.map((delivery) => [delivery.tag, delivery]));
  }

  /** Settles what `take` took out, and lets the consumers that waited for it go on. */
  settle(deliveries: readonly Delivery[], settlement: Settlement): void {
    const wasFull = !this.hasRoom;
    if (settlement === 'acknowledge') for (const { entry } of deliveries) entry.queue.settle(entry);
    else giveBack(deliveries, settlement);
    for (const { consumer } of deliveries) {
      if (consumer === undefined) continue;
      consumer.prefetch.giveBack();
      this.#channelPrefetch.giveBack();
    }
    if (wasFull) this.wakeAll();
    else for (const { consumer } of deliveries) consumer?.wake();
  }

  /** Whoever takes the last room on the channel is asked last the next time, so that nobody is left behind. */
  wakeAll(): void {
    for (const [tag, consumer] of this.#consumers) {
      consumer.wake();
      if (this.hasRoom) continue;
      this.#consumers.delete(tag);
      this.#consumers.set(tag, consumer);
      return;
    }
  }

  #cancelReplies(): void {
    this.#replyConsumer?.cancel();
    this.#replyConsumer = undefined;
  }

  /** The end begins: nothing is taken from queues any more. */
  stop(): void {
    this.#open = false;
  }

  /** The channel is over: everything not acknowledged goes back. Its consumers go after that, so that it is back in its place. */
  release(): void {
    this.stop();
    giveBack(this.takeAll(), 'requeue');
    for (const consumer of this.#consumers.values()) consumer.cancel();
    this.#consumers.clear();
    this.#cancelReplies();
  }
}

/** In one call per queue, so that it knows all of them before it hands out any. */
function giveBack(deliveries: readonly Delivery[], settlement: 'reject' | 'requeue'): void {
  const byQueue = new Map<Queue, QueueEntry[]>();
  for (const { entry } of deliveries) {
    const entries = byQueue.get(entry.queue);
    if (entries === undefined) byQueue.set(entry.queue, [entry]);
    else entries.push(entry);
  }
  for (const [queue, entries] of byQueue) queue[settlement](entries);
}
