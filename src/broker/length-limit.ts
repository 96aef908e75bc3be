import type { Message } from './message.js';
import type { Overflow, QueueFeatures } from './queue-arguments.js';

/** What counts towards a limit: ready messages, and the octets of their bodies. */
interface Content {
  readonly length: number;
  readonly bodyBytes: number;
}

/** How much may be ready in a queue, and what happens to what is too much. */
export class LengthLimit {
  readonly #maxMessages: number;
  readonly #maxBodyBytes: number;
  readonly #overflow: Overflow;

  private constructor({ maxMessages, maxBodyBytes, overflow }: QueueFeatures) {
    this.#maxMessages = maxMessages;
    this.#maxBodyBytes = maxBodyBytes;
    this.#overflow = overflow;
  }

  static of(features: QueueFeatures): LengthLimit | undefined {
    const { maxMessages, maxBodyBytes } = features;
    return maxMessages === Infinity && maxBodyBytes === Infinity ? undefined : new LengthLimit(features);
  }

  /** Whether the message is not taken. RabbitMQ: also where it could have been delivered at once. */
  refuses(message: Message, { length, bodyBytes }: Content): boolean {
    if (this.#overflow === 'drop-head') return false;
    return length >= this.#maxMessages || bodyBytes + message.bodyBytes > this.#maxBodyBytes;
  }

  get refusedAreDeadLetters(): boolean {
    return this.#overflow === 'reject-publish-dlx';
  }

  /** Whether the head is to be dropped. */
  dropsHead({ length, bodyBytes }: Content): boolean {
    if (this.#overflow !== 'drop-head') return false;
    return length > this.#maxMessages || bodyBytes > this.#maxBodyBytes;
  }
}
