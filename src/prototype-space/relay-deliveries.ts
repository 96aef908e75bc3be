import type { Method } from '../amqp-codec/index.js';
import { BASIC_CLASS_ID, decodeMethod, FRAME_BODY, FRAME_HEADER, FRAME_METHOD } from '../amqp-codec/index.js';
import type { Content } from '../overlay/index.js';
import { MAX_CONTENT_BYTES } from './limits.js';
import { GatheredContent, LentContent } from './relay-content.js';

export interface DeliverySink {
  /** Any method but basic.deliver. */
  method(method: Method): void;
  /** The object is lent as its buffer is. */
  content(content: Content): void;
}

/**
 * What the connection is reading. Sockets read into fresh memory each time, so references to it stay valid; other buffers
 * are only lent for the call.
 */
interface Reading {
  readonly chunk: Buffer;
}

type Step = (type: number, bytes: Buffer, start: number, end: number) => void;

/** Class id, method id, and the length of the consumer tag. */
const TAG_LENGTH_AT = 4;
/** The delivery tag and the octet of the bit redelivered: what differs from one message to the next. */
const VARYING_BYTES = 9;
/** Ids, delivery tag, redelivered, and three short strings with their lengths. */
const MAX_DELIVER_BYTES = TAG_LENGTH_AT + VARYING_BYTES + 3 * 256;
/** Class id, weight, body size, property flags. */
const MIN_HEADER_BYTES = 14;
const BODY_SIZE_AT = 4;
const NO_BYTES = Buffer.alloc(0);

/**
 * Puts the frames of one channel together, in place: methods, and behind a basic.deliver one content header and as many
 * bodies as it announces (AMQP 0-9-1 §4.2.6). Which frame may come next is a function.
 *
 *     method ──(deliver)──▶ header ──(empty body)──▶ method
 *                             └──▶ body ──(complete)──▶ method
 */
export class RelayDeliveries {
  readonly #sink: DeliverySink;
  readonly #reading: Reading;
  readonly #content = new LentContent();
  #step: Step;

  /** The payload of the last basic.deliver: brokers repeat themselves, so most often only its varying octets differ. */
  readonly #deliver = Buffer.alloc(MAX_DELIVER_BYTES);
  #deliverBytes = 0;
  #varyingAt = 0;

  #bodySize = 0;
  #headerBytes: Buffer = NO_BYTES;
  #headerStart = 0;
  #headerEnd = 0;
  /** A content that is not all in one place. */
  #gathered: GatheredContent | undefined;

  constructor(sink: DeliverySink, reading: Reading) {
    this.#sink = sink;
    this.#reading = reading;
    this.#step = this.#expectMethod;
  }

  /** @throws Error for what is no content of AMQP 0-9-1, or too large */
  frame(type: number, bytes: Buffer, start: number, end: number): void {
    this.#step(type, bytes, start, end);
  }

  readonly #expectMethod: Step = (type, bytes, start, end) => {
    if (type !== FRAME_METHOD) throw new Error(`a frame of type ${type} where a method was expected`);
    if (!this.#repeatsDeliver(bytes, start, end)) {
      const method = decodeMethod(bytes, start, end);
      if (method.name !== 'basic.deliver') {
        this.#sink.method(method);
        return;
      }
      this.#content.routingKey = method.arguments.routingKey;
      this.#deliverBytes = bytes.copy(this.#deliver, 0, start, end);
      this.#varyingAt = TAG_LENGTH_AT + 1 + this.#deliver.readUInt8(TAG_LENGTH_AT);
    }
    this.#step = this.#expectHeader;
  };

  readonly #expectHeader: Step = (type, bytes, start, end) => {
    // AMQP 0-9-1 §4.2.6.1: class basic, weight 0.
    const isHeader = type === FRAME_HEADER && end - start >= MIN_HEADER_BYTES;
    if (!isHeader || bytes.readUInt32BE(start) !== BASIC_CLASS_ID << 16) {
      throw new Error(`a frame of type ${type} where a content header was expected`);
    }
    const sizeAt = start + BODY_SIZE_AT;
    const bodySize = bytes.readUInt32BE(sizeAt) * 2 ** 32 + bytes.readUInt32BE(sizeAt + 4);
    if (end - start + bodySize > MAX_CONTENT_BYTES) {
      throw new Error(`a content of ${end - start + bodySize} octets, the limit is ${MAX_CONTENT_BYTES}`);
    }
    this.#bodySize = bodySize;
    this.#keepHeader(bytes, start, end);
    if (bodySize === 0)
      this.#complete(this.#headerBytes, this.#headerStart, this.#headerEnd, this.#headerEnd, this.#headerEnd);
    else this.#step = this.#expectBody;
  };

  readonly #expectBody: Step = (type, bytes, start, end) => {
    if (type !== FRAME_BODY) throw new Error(`a frame of type ${type} where a content body was expected`);
    const missing = this.#bodySize - (this.#gathered?.bodyBytes ?? 0);
    if (end - start > missing) {
      throw new Error(`a content body of ${end - start} octets where ${missing} are missing`);
    }
    if (bytes === this.#headerBytes && end - start === this.#bodySize) {
      this.#complete(bytes, this.#headerStart, this.#headerEnd, start, end);
    } else {
      this.#gather(bytes, start, end);
    }
  };

  #repeatsDeliver(bytes: Buffer, start: number, end: number): boolean {
    const last = this.#deliver;
    const length = this.#deliverBytes;
    const varyingAt = this.#varyingAt;
    if (end - start !== length) return false;
    // Back to front: a routing key that counts differs at its end.
    for (let at = length - 1; at >= varyingAt + VARYING_BYTES; at--) {
      if (bytes[start + at] !== last[at]) return false;
    }
    for (let at = varyingAt - 1; at >= 0; at--) if (bytes[start + at] !== last[at]) return false;
    return length > 0;
  }

  #keepHeader(bytes: Buffer, start: number, end: number): void {
    const stays = bytes === this.#reading.chunk;
    this.#headerBytes = stays ? bytes : Buffer.from(bytes.subarray(start, end));
    this.#headerStart = stays ? start : 0;
    this.#headerEnd = stays ? end : end - start;
  }

  #gather(from: Buffer, start: number, end: number): void {
    this.#gathered ??= new GatheredContent(
      this.#headerBytes,
      this.#headerStart,
      this.#headerEnd,
      this.#bodySize,
    );
    const gathered = this.#gathered;
    gathered.append(from, start, end);
    if (gathered.bodyBytes < this.#bodySize) return;
    this.#gathered = undefined;
    const { bytes, headerBytes } = gathered;
    this.#complete(bytes, 0, headerBytes, headerBytes, headerBytes + this.#bodySize);
  }

  #complete(bytes: Buffer, headerStart: number, headerEnd: number, bodyStart: number, bodyEnd: number): void {
    const content = this.#content;
    content.bytes = bytes;
    content.headerStart = headerStart;
    content.headerEnd = headerEnd;
    content.bodyStart = bodyStart;
    content.bodyEnd = bodyEnd;
    this.#headerBytes = NO_BYTES;
    this.#step = this.#expectMethod;
    this.#sink.content(content);
    content.bytes = NO_BYTES;
  }
}
