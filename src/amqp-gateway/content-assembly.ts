import type { Method, MethodArguments } from '../amqp-codec/index.js';
import {
  BASIC_CLASS_ID,
  BASIC_PUBLISH_ID,
  decodeHeader,
  FRAME_BODY,
  FRAME_HEADER,
  FRAME_METHOD,
  FRAME_OVERHEAD_BYTES,
} from '../amqp-codec/index.js';
import type { MemoryAccount } from '../broker/index.js';
import { HEADER_OPENING_BYTES, misplacedFrame, readMethod } from './frame-errors.js';
import { GrowingContent } from './growing-content.js';
import { ContentMessage } from './message.js';
import { ChannelError, ConnectionError } from './reply-code.js';

/** What a basic.publish says about the content that follows it. */
export type Publication = MethodArguments<'basic.publish'>;

export interface AssembledSink {
  method(method: Method): void;
  content(publication: Publication, message: ContentMessage): void;
}

/** What the connection is reading: ranges of this buffer stay valid, those of any other are only lent for the call. */
export interface Reading {
  readonly chunk: Buffer;
}

type Step = (type: number, bytes: Buffer, start: number, end: number) => void;

const NO_BYTES = Buffer.alloc(0);
const NO_PUBLICATION: Publication = { exchange: '', routingKey: '', mandatory: false, immediate: false };

/**
 * Puts the frames of one channel together: a method, and behind a basic.publish one content header and as many
 * bodies as it announces (AMQP 0-9-1 §4.2.6). Which frame may come next is a function.
 *
 *     method ──(content)──▶ header ──(empty body)──▶ method
 *                             └──▶ body ──(complete)──▶ method
 */
export class ContentAssembly {
  readonly #sink: AssembledSink;
  readonly #reading: Reading;
  readonly #memory: MemoryAccount;
  readonly #maxBodyBytes: number;
  #step: Step;
  #methodId = 0;

  /** The payload of the last basic.publish, and what it said: publishers repeat themselves. */
  #publishPayload: Buffer = NO_BYTES;
  #publication = NO_PUBLICATION;
  /** A method with content that is not for clients to send: refused when it is complete, as in RabbitMQ. */
  #foreign: Method | undefined;

  #bodySize = 0;
  #headerBytes: Buffer = NO_BYTES;
  #headerStart = 0;
  #headerEnd = 0;
  /** A content that is not all in one place is gathered in memory of its own. */
  #gathered: GrowingContent | undefined;

  constructor(sink: AssembledSink, reading: Reading, memory: MemoryAccount, maxBodyBytes: number) {
    this.#sink = sink;
    this.#reading = reading;
    this.#memory = memory;
    this.#maxBodyBytes = maxBodyBytes;
    this.#step = this.#expectMethod;
  }

  /** Class id and method id of the method that came last: what a close refers to. */
  get methodId(): number {
    return this.#methodId;
  }

  frame(type: number, bytes: Buffer, start: number, end: number): void {
    this.#step(type, bytes, start, end);
  }

  /** Lets go of a content that will not be completed. */
  abandon(): void {
    this.#gathered?.release();
    this.#gathered = undefined;
  }

  readonly #expectMethod: Step = (type, bytes, start, end) => {
    if (type !== FRAME_METHOD) {
      throw misplacedFrame(type, bytes, start, end, 'expected method frame, got non method frame instead');
    }
    if (this.#repeatsPublish(bytes, start, end)) {
      this.#methodId = BASIC_PUBLISH_ID;
      this.#step = this.#expectHeader;
      return;
    }
    if (end - start >= 4) this.#methodId = bytes.readUInt32BE(start);
    const method = readMethod(bytes, start, end);
    if (method.name === 'basic.publish') {
      this.#publication = method.arguments;
      this.#publishPayload = Buffer.from(bytes.subarray(start, end));
    } else if (hasContent(method)) {
      this.#foreign = method;
    } else {
      this.#sink.method(method);
      return;
    }
    this.#step = this.#expectHeader;
  };

  readonly #expectHeader: Step = (type, bytes, start, end) => {
    if (type !== FRAME_HEADER || !isBasicHeader(bytes, start, end)) {
      throw noHeader(type, bytes, start, end, this.#methodId);
    }
    const header = decodeHeader(bytes, start, end);
    if (header.bodySize > this.#maxBodyBytes) {
      throw new ChannelError(
        'content-too-large',
        `body of ${header.bodySize} octets, the limit is ${this.#maxBodyBytes}`,
      );
    }
    this.#bodySize = header.bodySize;
    this.#keepHeader(bytes, start, end);
    if (header.bodySize === 0) this.#complete(this.#headerBytes, this.#headerEnd, this.#headerEnd);
    else this.#step = this.#expectBody;
  };

  readonly #expectBody: Step = (type, bytes, start, end) => {
    if (type !== FRAME_BODY) {
      const text = 'expected content body, got non content body frame instead';
      throw misplacedFrame(type, bytes, start, end, text, this.#methodId);
    }
    const missing = this.#bodySize - (this.#gathered?.bodyBytes ?? 0);
    if (end - start > missing) {
      const text = `content body of ${end - start} octets where ${missing} are missing`;
      throw new ConnectionError('unexpected-frame', text, { methodId: this.#methodId });
    }
    if (bytes === this.#headerBytes && end - start === this.#bodySize) this.#complete(bytes, start, end);
    else this.#gather(bytes, start, end);
  };

  #repeatsPublish(bytes: Buffer, start: number, end: number): boolean {
    const payload = this.#publishPayload;
    const length = payload.length;
    if (end - start !== length) return false;
    // Back to front: a routing key that counts differs at its end.
    for (let at = length - 1; at >= 0; at--) if (bytes[start + at] !== payload[at]) return false;
    return length > 0;
  }

  #keepHeader(bytes: Buffer, start: number, end: number): void {
    const stays = bytes === this.#reading.chunk;
    this.#headerBytes = stays ? bytes : Buffer.from(bytes.subarray(start, end));
    this.#headerStart = stays ? start : 0;
    this.#headerEnd = stays ? end : end - start;
  }

  #complete(bytes: Buffer, bodyStart: number, bodyEnd: number): void {
    const headerStart = this.#headerStart;
    const headerEnd = this.#headerEnd;
    const { exchange, routingKey } = this.#publication;
    const inFrames =
      bytes === this.#reading.chunk &&
      (bodyStart === headerEnd || bodyStart === headerEnd + FRAME_OVERHEAD_BYTES);
    const storage = inFrames ? 'lent-frames' : 'lent';
    this.#deliver(
      new ContentMessage(exchange, routingKey, bytes, headerStart, headerEnd, bodyStart, bodyEnd, storage),
    );
  }

  #gather(from: Buffer, start: number, end: number): void {
    this.#gathered ??= new GrowingContent(
      this.#headerBytes,
      this.#headerStart,
      this.#headerEnd,
      this.#bodySize,
      this.#memory,
    );
    this.#gathered.append(from, start, end);
    if (this.#gathered.bodyBytes === this.#bodySize) this.#completeGathered(this.#gathered);
  }

  #completeGathered({ bytes, headerBytes, bodyBytes }: GrowingContent): void {
    const { exchange, routingKey } = this.#publication;
    this.abandon();
    const end = headerBytes + bodyBytes;
    this.#deliver(new ContentMessage(exchange, routingKey, bytes, 0, headerBytes, headerBytes, end, 'owned'));
  }

  #deliver(message: ContentMessage): void {
    this.#step = this.#expectMethod;
    this.#headerBytes = NO_BYTES;
    if (this.#foreign !== undefined) {
      this.#sink.method(this.#foreign);
      return;
    }
    this.#sink.content(this.#publication, message);
  }
}

/** Beside basic.publish. */
function hasContent({ name }: Method): boolean {
  return name === 'basic.return' || name === 'basic.deliver' || name === 'basic.get-ok';
}

/** AMQP 0-9-1 §4.2.6.1: class basic, weight 0. */
function isBasicHeader(bytes: Buffer, start: number, end: number): boolean {
  return end - start >= HEADER_OPENING_BYTES && bytes.readUInt32BE(start) === BASIC_CLASS_ID << 16;
}

function noHeader(
  type: number,
  bytes: Buffer,
  start: number,
  end: number,
  methodId: number,
): ConnectionError {
  const isHeader = type === FRAME_HEADER && end - start >= 4 && bytes.readUInt16BE(start + 2) === 0;
  const found = isHeader ? `one for class ${bytes.readUInt16BE(start)}` : 'non content header frame';
  const text = `expected content header for class ${BASIC_CLASS_ID}, got ${found} instead`;
  return misplacedFrame(type, bytes, start, end, text, methodId);
}
