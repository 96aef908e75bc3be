import type { Consumer, Message, Queue, QueueEntry, Subscription } from '../broker/index.js';
import { DeliverFrame } from './deliver-frame.js';
import type { Deliveries } from './deliveries.js';
import type { ContentMessage } from './message.js';
import type { Output } from './output.js';
import { Prefetch } from './prefetch.js';

export interface ConsumerOptions {
  readonly tag: string;
  readonly noAck: boolean;
  readonly exclusive: boolean;
  readonly priority: number;
}

/** One basic.consume: takes messages from a queue while there is room, and writes them to its connection. */
export class ChannelConsumer implements Consumer {
  readonly tag: string;
  readonly noAck: boolean;
  readonly exclusive: boolean;
  readonly priority: number;
  /** RabbitMQ's meaning of `global: false`: each consumer has the prefetch limit that held when it came. */
  readonly prefetch: Prefetch;
  readonly #channel: number;
  readonly #output: Output;
  readonly #deliveries: Deliveries;
  readonly #frame: DeliverFrame;
  readonly #subscription: Subscription;

  /** @throws BrokerError `access-refused` when the queue has, or this is to be, an exclusive consumer. */
  constructor(
    queue: Queue,
    options: ConsumerOptions,
    prefetchCount: number,
    channel: number,
    output: Output,
    deliveries: Deliveries,
  ) {
    this.tag = options.tag;
    this.noAck = options.noAck;
    this.exclusive = options.exclusive;
    this.priority = options.priority;
    this.prefetch = new Prefetch(prefetchCount);
    this.#channel = channel;
    this.#output = output;
    this.#deliveries = deliveries;
    this.#frame = new DeliverFrame(channel, options.tag);
    this.#subscription = queue.consume(this);
  }

  canTake(): boolean {
    // RabbitMQ: what needs no acknowledgement waits for room on the channel too, and takes none.
    return this.#deliveries.hasRoom && (this.noAck || this.prefetch.hasRoom) && !this.#output.congested;
  }

  deliver(message: Message, redelivered: boolean, entry: QueueEntry | undefined): void {
    const deliveryTag = this.#deliveries.delivered(entry, this);
    const frame = this.#frame.for(deliveryTag, redelivered, message.exchange, message.routingKey);
    // Every message in the broker came through this gateway, as what a client published or as a remote message.
    this.#output.content(frame, this.#channel, message as ContentMessage);
  }

  cancelled(): void {
    this.#deliveries.queueDeleted(this);
  }

  wake(): void {
    this.#subscription.wake();
  }

  cancel(): void {
    this.#subscription.cancel();
  }
}
