import { randomBytes } from 'node:crypto';
import { DeliverFrame } from './deliver-frame.js';
import type { ContentMessage } from './message.js';
import type { Output } from './output.js';

/*
 * RabbitMQ's direct reply-to. Who consumes from the queue of this name, which is none, gets a name of its own, which nobody
 * can guess: it replaces the property `reply-to` of what the channel publishes, and what is published to the default
 * exchange under it goes to the channel directly. A name means something on this node only.
 */
export const DIRECT_REPLY_TO = 'amq.rabbitmq.reply-to';

const PREFIX = `${DIRECT_REPLY_TO}.`;
/** As much as a server-named queue's. */
const SECRET_BYTES = 16;

/** The consumers of direct replies on this node, by their names. */
export class DirectReplies {
  readonly #consumers = new Map<string, ReplyConsumer>();
  #added = 0;

  /** Whether this name can belong to direct replies only. */
  owns(queue: string): boolean {
    return queue.startsWith(DIRECT_REPLY_TO);
  }

  /** Whether a reply would have somebody to go to: how RabbitMQ answers queue.declare. */
  exists(queue: string): boolean {
    return queue === DIRECT_REPLY_TO || this.#consumers.has(queue);
  }

  /** Returns the name to which replies are to be published, in RabbitMQ's form: a word and a secret in base64. */
  add(consumer: ReplyConsumer): string {
    const name = `${PREFIX}${(++this.#added).toString(36)}.${randomBytes(SECRET_BYTES).toString('base64')}`;
    this.#consumers.set(name, consumer);
    return name;
  }

  delete(name: string): void {
    this.#consumers.delete(name);
  }

  /** For a message to the default exchange: whoever of its keys awaits a reply gets it. */
  deliver(message: ContentMessage): void {
    const { routingKey, alsoTo } = message;
    if (alsoTo === undefined) {
      if (routingKey.startsWith(PREFIX)) this.#consumers.get(routingKey)?.deliver(message);
      return;
    }
    for (const key of new Set([routingKey, ...alsoTo])) this.#consumers.get(key)?.deliver(message);
  }
}

/** A channel's consumer of direct replies, for as long as it is. */
export class ReplyConsumer {
  readonly tag: string;
  /** What `reply-to` becomes. */
  readonly name: string;
  readonly #channel: number;
  readonly #output: Output;
  readonly #replies: DirectReplies;
  readonly #nextDeliveryTag: () => number;
  readonly #frame: DeliverFrame;

  constructor(
    tag: string,
    channel: number,
    output: Output,
    replies: DirectReplies,
    nextDeliveryTag: () => number,
  ) {
    this.tag = tag;
    this.#channel = channel;
    this.#output = output;
    this.#replies = replies;
    this.#nextDeliveryTag = nextDeliveryTag;
    this.#frame = new DeliverFrame(channel, tag);
    this.name = replies.add(this);
  }

  deliver(message: ContentMessage): void {
    const frame = this.#frame.for(this.#nextDeliveryTag(), false, message.exchange, message.routingKey);
    this.#output.content(frame, this.#channel, message);
  }

  cancel(): void {
    this.#replies.delete(this.name);
  }
}
