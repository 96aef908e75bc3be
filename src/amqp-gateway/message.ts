import type { Message } from '../broker/index.js';
import type { Content, FieldTable, OutgoingMessage } from '../overlay/index.js';
import {
  CodecError,
  decodeHeader,
  decodeProperties,
  MAX_SHORT_STRING_BYTES,
  PROPERTY_FLAGS,
  withoutProperty,
} from './codec/index.js';
import { FRAME_END_BYTES, FRAME_HEAD_BYTES } from './frames.js';

const NO_HEADERS: FieldTable = Object.freeze(Object.create(null));

/**
 * How the content lies in its buffer:
 *
 * - `lent`: header and body are ranges of a buffer that is only lent
 * - `lent-frames`: the same, in the frames they came in: one header frame, and directly behind it a body frame unless
 *   the body is empty; so they can be sent on in one piece
 * - `owned`, `owned-frames`: the same in memory that nobody writes to any more
 */
type Storage = 'lent' | 'lent-frames' | 'owned' | 'owned-frames';

/**
 * A message with its octets: what a client published or another node sent. Nothing is decoded unless somebody asks.
 * The ranges change when the message is retained; nobody else writes to them.
 */
export class ContentMessage implements Message, OutgoingMessage {
  readonly exchange: string;
  readonly routingKey: string;
  bytes: Buffer;
  headerStart: number;
  headerEnd: number;
  bodyStart: number;
  bodyEnd: number;
  holders = 0;
  #storage: Storage;
  #headers: FieldTable | undefined;

  constructor(
    exchange: string,
    routingKey: string,
    bytes: Buffer,
    headerStart: number,
    headerEnd: number,
    bodyStart: number,
    bodyEnd: number,
    storage: Storage,
  ) {
    this.exchange = exchange;
    this.routingKey = routingKey;
    this.bytes = bytes;
    this.headerStart = headerStart;
    this.headerEnd = headerEnd;
    this.bodyStart = bodyStart;
    this.bodyEnd = bodyEnd;
    this.#storage = storage;
  }

  get sizeBytes(): number {
    return this.headerEnd - this.headerStart + this.bodyEnd - this.bodyStart;
  }

  /** Whether the octets may be referred to for as long as one likes. */
  get owned(): boolean {
    return this.#storage === 'owned' || this.#storage === 'owned-frames';
  }

  /** Whether the frames around the content are there, from `headerStart` - 7 to `bodyEnd` + 1. */
  get framed(): boolean {
    return this.#storage === 'lent-frames' || this.#storage === 'owned-frames';
  }

  headers(): FieldTable {
    this.#headers ??= decodeProperties(this.bytes, this.headerStart, this.headerEnd).headers ?? NO_HEADERS;
    return this.#headers;
  }

  retain(): void {
    if (this.#storage === 'lent-frames') this.#ownFrames();
    else if (this.#storage === 'lent') this.#ownParts();
  }

  #ownFrames(): void {
    const start = this.headerStart - FRAME_HEAD_BYTES;
    const end = this.bodyEnd + FRAME_END_BYTES;
    const bytes = Buffer.allocUnsafe(end - start);
    this.bytes.copy(bytes, 0, start, end);
    this.bytes = bytes;
    this.headerStart -= start;
    this.headerEnd -= start;
    this.bodyStart -= start;
    this.bodyEnd -= start;
    this.#storage = 'owned-frames';
  }

  #ownParts(): void {
    const bytes = Buffer.allocUnsafe(this.sizeBytes);
    const headerBytes = this.bytes.copy(bytes, 0, this.headerStart, this.headerEnd);
    this.bytes.copy(bytes, headerBytes, this.bodyStart, this.bodyEnd);
    this.bytes = bytes;
    this.headerStart = 0;
    this.headerEnd = headerBytes;
    this.bodyStart = headerBytes;
    this.bodyEnd = bytes.length;
    this.#storage = 'owned';
  }
}

/**
 * A message of another node, as it is routed on this one: published to the alias's local name, and without
 * `user-id`, which only the node that the publisher is connected to can verify.
 *
 * @throws CodecError when it could not be delivered as AMQP: the other node is not to be trusted with that.
 */
export function remoteMessage(content: Content, alias: string): ContentMessage {
  const { routingKey, headerStart, headerEnd, bodyStart, bodyEnd } = content;
  const bytes = asBuffer(content.bytes);
  const header = decodeHeader(bytes, headerStart, headerEnd);
  if (header.bodySize !== bodyEnd - bodyStart) {
    throw new CodecError('syntax-error', `${header.bodySize} for ${bodyEnd - bodyStart} octets`, 'body-size');
  }
  if (Buffer.byteLength(routingKey) > MAX_SHORT_STRING_BYTES) {
    throw new CodecError('syntax-error', `more than ${MAX_SHORT_STRING_BYTES} octets`, 'routing-key');
  }
  if ((header.flags & PROPERTY_FLAGS.userId) === 0) {
    return new ContentMessage(alias, routingKey, bytes, headerStart, headerEnd, bodyStart, bodyEnd, 'lent');
  }
  const anonymous = withoutProperty(bytes, headerStart, headerEnd, 'userId');
  const owned = Buffer.concat([anonymous, bytes.subarray(bodyStart, bodyEnd)]);
  const cut = anonymous.length;
  return new ContentMessage(alias, routingKey, owned, 0, cut, cut, owned.length, 'owned');
}

function asBuffer(bytes: Uint8Array): Buffer {
  return bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
