import { FRAME_END, FRAME_HEAD_BYTES, MAX_SHORT_STRING_BYTES, methodFrame } from '../amqp-codec/index.js';

const DELIVERY_TAG_BYTES = 8;
const REDELIVERED_BYTES = 1;

/**
 * The basic.deliver frame of one consumer. Its fields in the order of the wire are consumer tag, delivery tag, redelivered,
 * exchange, routing key: what comes before the delivery tag never changes, and what comes after it seldom does
 * from one message to the next. So a delivery is two numbers written into the frame of the one before.
 */
export class DeliverFrame {
  readonly #buffer: Buffer;
  readonly #tagAt: number;
  #exchange = '';
  #routingKey = '';
  #frame: Buffer;

  constructor(channel: number, consumerTag: string) {
    const fields = { consumerTag, deliveryTag: 0, redelivered: false, exchange: '', routingKey: '' };
    const empty = methodFrame(channel, 'basic.deliver', fields);
    this.#buffer = Buffer.allocUnsafe(empty.length + 2 * MAX_SHORT_STRING_BYTES);
    empty.copy(this.#buffer);
    // Back from the end: the frame-end octet and two empty short strings, then redelivered, then the tag.
    this.#tagAt = empty.length - 3 - REDELIVERED_BYTES - DELIVERY_TAG_BYTES;
    this.#frame = this.#buffer.subarray(0, empty.length);
  }

  /** Valid until the next call. */
  for(deliveryTag: number, redelivered: boolean, exchange: string, routingKey: string): Uint8Array {
    if (routingKey !== this.#routingKey || exchange !== this.#exchange) this.#address(exchange, routingKey);
    const frame = this.#frame;
    const at = this.#tagAt;
    frame.writeUInt32BE(Math.floor(deliveryTag / 2 ** 32), at);
    frame.writeUInt32BE(deliveryTag >>> 0, at + 4);
    frame[at + DELIVERY_TAG_BYTES] = redelivered ? 1 : 0;
    return frame;
  }

  #address(exchange: string, routingKey: string): void {
    let at = this.#tagAt + DELIVERY_TAG_BYTES + REDELIVERED_BYTES;
    at = this.#writeShortString(exchange, at);
    at = this.#writeShortString(routingKey, at);
    this.#buffer.writeUInt32BE(at - FRAME_HEAD_BYTES, 3);
    this.#buffer[at] = FRAME_END;
    this.#frame = this.#buffer.subarray(0, at + 1);
    this.#exchange = exchange;
    this.#routingKey = routingKey;
  }

  #writeShortString(text: string, at: number): number {
    const bytes = this.#buffer.write(text, at + 1);
    this.#buffer[at] = bytes;
    return at + 1 + bytes;
  }
}
