import { publication } from '../test/support/amqp-raw-client.js';
import { WatchedClient } from './watched-client.js';

const QUEUE = 'honest';
const FRAME_MAX = 131_072;
const MESSAGES = 1;
const CLEANING = 2;
const POLL_MS = 1;

/** A client that does nothing wrong and must not notice what others do. It also tidies up after them. */
export class HonestClient {
  readonly #client: WatchedClient;
  #sent = 0;
  slowestMs = 0;

  private constructor(client: WatchedClient) {
    this.#client = client;
  }

  static async connect(port: number, limitMs: number): Promise<HonestClient> {
    const client = await WatchedClient.connect(port, FRAME_MAX, limitMs);
    client.method(MESSAGES, 'channel.open', {});
    client.method(MESSAGES, 'queue.declare', { queue: QUEUE, exclusive: true });
    client.method(MESSAGES, 'basic.consume', { queue: QUEUE, noAck: true });
    client.method(CLEANING, 'channel.open', {});
    await client.settled(limitMs);
    return new HonestClient(client);
  }

  get fault(): string | undefined {
    if (this.#client.fault !== undefined) return `an honest client: ${this.#client.fault}`;
    return this.#client.state === 'open' ? undefined : 'an honest client lost its connection';
  }

  /** Sends itself a message. Resolves when it has come, or with a fault. */
  async roundTrip(limitMs: number): Promise<void> {
    const started = performance.now();
    const channel = this.#client.channel(MESSAGES);
    this.#client.write(publication(MESSAGES, { routingKey: QUEUE }, [Buffer.from('still there?')]));
    const due = ++this.#sent;
    while ((channel.deliveryTags.at(-1) ?? 0) < due && this.fault === undefined) {
      if (performance.now() - started > limitMs) {
        this.#client.fault = `no message within ${limitMs} ms`;
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    this.slowestMs = Math.max(this.slowestMs, performance.now() - started);
    if (channel.deliveryTags.length > 1) channel.deliveryTags.splice(0, channel.deliveryTags.length - 1);
  }

  /** Deletes what others have left; exclusive queues are no longer there, or it is refused and has a fault. */
  async clean(queues: Iterable<string>, exchanges: Iterable<string>, limitMs: number): Promise<void> {
    for (const queue of queues) this.#client.method(CLEANING, 'queue.delete', { queue });
    for (const exchange of exchanges) this.#client.method(CLEANING, 'exchange.delete', { exchange });
    await this.#client.settled(limitMs);
    if (!this.#client.channel(CLEANING).isOpen) this.#client.fault = 'cannot delete what is left';
  }

  async leave(): Promise<void> {
    this.#client.end('reset');
    await this.#client.left(0);
  }
}
