import type { FieldTable as CodecFieldTable, PropertyName } from '../amqp-codec/index.js';
import {
  CodecError,
  decodeHeader,
  decodeTable,
  editHeader,
  encodeRevisedTable,
  FRAME_END_BYTES,
  FRAME_HEAD_BYTES,
  MAX_SHORT_STRING_BYTES,
  PROPERTY_FLAGS,
  propertyEnd,
  propertyStart,
} from '../amqp-codec/index.js';
import type { Message } from '../broker/index.js';
import type { Content, FieldTable, OutgoingMessage } from '../overlay/index.js';
import { parseExpiration } from './expiration.js';
import { senderSelected } from './sender-selected.js';

const NO_HEADERS: CodecFieldTable = Object.freeze(Object.create(null));
const NO_KEYS: readonly string[] = [];

/** Where a content header has its flags. */
const FLAGS_OFFSET = 12;
/** In front of a table. */
const LENGTH_BYTES = 4;
/** The delivery mode of messages that survive a restart; the other is 1. */
const PERSISTENT = 2;

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
  #headers: CodecFieldTable | undefined;
  /** What is known of `alsoTo`: undefined until somebody has looked, unless it was given. */
  knownKeys: readonly string[] | undefined;

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

  get bodyBytes(): number {
    return this.bodyEnd - this.bodyStart;
  }

  /** Which properties there are; see {@link PROPERTY_FLAGS}. */
  get flags(): number {
    // Every message is asked more than once; this is the fastest way to read them.
    const at = this.headerStart + FLAGS_OFFSET;
    return ((this.bytes[at] ?? 0) << 8) | (this.bytes[at + 1] ?? 0);
  }

  get persistent(): boolean {
    return this.deliveryMode === PERSISTENT;
  }

  get deliveryMode(): number | undefined {
    return this.#octet('deliveryMode');
  }

  get priority(): number {
    return this.#octet('priority') ?? 0;
  }

  get expirationMs(): number | undefined {
    const text = this.shortString('expiration');
    if (text === undefined) return undefined;
    const parsed = parseExpiration(text);
    // Others are refused when they are published, and do not come from other nodes.
    return typeof parsed === 'number' ? parsed : undefined;
  }

  get alsoTo(): readonly string[] | undefined {
    const { flags } = this;
    if (this.knownKeys === undefined) {
      // Without headers there are none, and that need not be remembered.
      if ((flags & PROPERTY_FLAGS.headers) === 0) return undefined;
      this.knownKeys = senderSelected(this.bytes, this.headerStart, this.headerEnd, flags)?.keys ?? NO_KEYS;
    }
    return this.knownKeys.length > 0 ? this.knownKeys : undefined;
  }

  /** One of the properties that are short strings, undefined where it is missing. */
  shortString(property: 'expiration' | 'userId' | 'replyTo'): string | undefined {
    const start = this.#start(property);
    if (start === undefined) return undefined;
    return this.bytes.toString('utf8', start + 1, propertyEnd(this.bytes, start, property));
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
    this.#headers ??= this.#decodeHeaders();
    return this.#headers;
  }

  republished(to: {
    readonly exchange: string;
    readonly routingKey: string;
    readonly headers: FieldTable;
    readonly alsoTo?: readonly string[] | undefined;
  }): ContentMessage {
    // All of it came out of `headers()`, or is made of what field tables hold.
    const headers = to.headers as CodecFieldTable;
    const edits = new Map([
      ['headers', this.#encodeHeaders(headers)],
      ['expiration', undefined],
    ] as const);
    let message = this.edited(edits, to.exchange, to.routingKey);
    if (!message.#isDecodable()) {
      // The headers were at a limit of field tables already. They stay as they were for those who are to decode them.
      edits.delete('headers');
      message = this.edited(edits, to.exchange, to.routingKey);
    }
    message.#headers = headers;
    if ('alsoTo' in to) message.knownKeys = to.alsoTo ?? NO_KEYS;
    return message;
  }

  /** A copy with other properties: their octets, or undefined to leave them out. */
  edited(
    edits: ReadonlyMap<PropertyName, Buffer | undefined>,
    exchange = this.exchange,
    routingKey = this.routingKey,
  ): ContentMessage {
    const header = editHeader(this.bytes, this.headerStart, this.headerEnd, edits);
    const bytes = Buffer.concat([header, this.bytes.subarray(this.bodyStart, this.bodyEnd)]);
    const cut = header.length;
    return new ContentMessage(exchange, routingKey, bytes, 0, cut, cut, bytes.length, 'owned');
  }

  retain(): void {
    if (this.#storage === 'lent-frames') this.#ownFrames();
    else if (this.#storage === 'lent') this.#ownParts();
  }

  #start(property: PropertyName): number | undefined {
    const { flags } = this;
    if ((flags & PROPERTY_FLAGS[property]) === 0) return undefined;
    return propertyStart(this.bytes, this.headerStart, flags, property);
  }

  #octet(property: 'deliveryMode' | 'priority'): number | undefined {
    const start = this.#start(property);
    return start && this.bytes[start];
  }

  #decodeHeaders(): CodecFieldTable {
    const start = this.#start('headers');
    if (start === undefined) return NO_HEADERS;
    return decodeTable(this.bytes, start + LENGTH_BYTES, propertyEnd(this.bytes, start, 'headers'));
  }

  #isDecodable(): boolean {
    try {
      decodeHeader(this.bytes, this.headerStart, this.headerEnd);
      return true;
    } catch (error) {
      if (error instanceof CodecError) return false;
      throw error;
    }
  }

  /** Undefined for no headers at all. */
  #encodeHeaders(headers: CodecFieldTable): Buffer | undefined {
    const start = this.#start('headers');
    const end = start && propertyEnd(this.bytes, start, 'headers');
    if (start === undefined || end === undefined) {
      if (Object.keys(headers).length === 0) return undefined;
      return encodeRevisedTable(headers, NO_HEADERS, this.bytes, 0, 0);
    }
    const decoded = this.headers() as CodecFieldTable;
    return encodeRevisedTable(headers, decoded, this.bytes, start + LENGTH_BYTES, end);
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
  const message = new ContentMessage(
    alias,
    routingKey,
    bytes,
    headerStart,
    headerEnd,
    bodyStart,
    bodyEnd,
    'lent',
  );
  if (content.keyAlone === true) message.knownKeys = NO_KEYS;
  if ((header.flags & PROPERTY_FLAGS.expiration) !== 0 && message.expirationMs === undefined) {
    throw new CodecError('syntax-error', 'no number of milliseconds', 'expiration');
  }
  return (header.flags & PROPERTY_FLAGS.userId) === 0 ? message : withoutUserId(message);
}

/**
 * A message that an app of this node published, as it leaves the node: without `user-id`, for the same reason. It is the
 * very same message where it is one of this gateway's and has none.
 *
 * @throws CodecError as {@link remoteMessage}, for messages of others
 */
export function leavingMessage(message: OutgoingMessage, exchange: string): ContentMessage {
  if (!(message instanceof ContentMessage)) return remoteMessage(message, exchange);
  return (message.flags & PROPERTY_FLAGS.userId) === 0 ? message : withoutUserId(message);
}

function withoutUserId(message: ContentMessage): ContentMessage {
  const edited = message.edited(new Map([['userId', undefined]]));
  // Keys of BCC are in no header any more.
  edited.knownKeys = message.knownKeys;
  return edited;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
