import type { Content } from '../overlay/index.js';
import { MAX_RECORD_BYTES } from './limits.js';
import { LENGTH_BYTES, MESSAGE_RECORD, POINT_RECORD, readU64, SPACE_ID_BYTES } from './record-format.js';
import type { RefusalCause } from './refusals.js';
import { PeerFault } from './refusals.js';

/** A content as it came in. */
export interface ReceivedContent extends Content {
  /** For whoever knows what the sender may do. */
  keyAlone: boolean;
}

export interface InboxSink {
  point(point: number, spaceId: Buffer, name: string): void;
  /** The content's bytes are lent for the time of the call. */
  message(point: number, sequence: number, content: ReceivedContent): void;
}

/** What breaks the format of the message stream; the link that carried it is dropped. */
export class MessageStreamError extends PeerFault {
  override readonly name = 'MessageStreamError';

  constructor(message: string, refused: RefusalCause = 'protocol') {
    super(refused, message);
  }
}

/**
 * Parses the records of one message stream in place, whatever pieces they come in. Only a record that is cut by
 * the end of a piece is copied, once.
 */
export class Inbox {
  readonly #sink: InboxSink;
  /** The record that is being put together; its length field is complete when `#partial` is set. */
  #partial: Buffer | undefined;
  readonly #length = Buffer.alloc(LENGTH_BYTES);
  #have = 0;
  #keyBytes: Buffer = Buffer.alloc(0);
  #key = '';
  /** Offset of the first octet after the last whole record. */
  offset: number;

  constructor(sink: InboxSink, offset: number) {
    this.#sink = sink;
    this.offset = offset;
  }

  /** Octets of a record that is not whole yet. */
  get partialBytes(): number {
    return this.#have;
  }

  /** @throws MessageStreamError */
  parse(piece: Buffer): void {
    let at = this.#have === 0 ? 0 : this.#complete(piece);
    while (piece.length - at >= LENGTH_BYTES) {
      const size = recordBytes(piece, at);
      if (piece.length - at < size) break;
      this.#record(piece, at, size);
      at += size;
    }
    if (at < piece.length) this.#keep(piece, at);
  }

  #keep(piece: Buffer, at: number): void {
    const rest = piece.length - at;
    if (rest < LENGTH_BYTES) {
      piece.copy(this.#length, 0, at);
    } else {
      this.#partial = Buffer.allocUnsafeSlow(recordBytes(piece, at));
      piece.copy(this.#partial, 0, at);
    }
    this.#have = rest;
  }

  /** Adds the piece's beginning to the record kept; returns where the next record starts in the piece. */
  #complete(piece: Buffer): number {
    let at = 0;
    if (this.#partial === undefined) {
      at = piece.copy(this.#length, this.#have);
      this.#have += at;
      if (this.#have < LENGTH_BYTES) return at;
      this.#partial = Buffer.allocUnsafeSlow(recordBytes(this.#length, 0));
      this.#length.copy(this.#partial);
    }
    const copied = piece.copy(this.#partial, this.#have, at);
    this.#have += copied;
    if (this.#have === this.#partial.length) {
      const record = this.#partial;
      this.#partial = undefined;
      this.#have = 0;
      this.#record(record, 0, record.length);
    }
    return at + copied;
  }

  #record(bytes: Buffer, at: number, size: number): void {
    this.offset += size;
    const kind = bytes[at + LENGTH_BYTES];
    const body = at + LENGTH_BYTES + 1;
    if (kind === MESSAGE_RECORD) this.#message(bytes, body, at + size);
    else if (kind === POINT_RECORD) this.#point(bytes, body, at + size);
    else throw new MessageStreamError(`unknown kind of record: ${kind}`);
  }

  #message(bytes: Buffer, start: number, end: number): void {
    // Point, sequence and the length of the routing key.
    if (end - start < 13) throw new MessageStreamError('a message record ends within its fixed fields');
    const keyStart = start + 13;
    const keyEnd = keyStart + (bytes[start + 12] ?? 0);
    if (keyEnd + 4 > end) throw new MessageStreamError('a message record ends within its routing key');
    const headerStart = keyEnd + 4;
    const headerEnd = headerStart + bytes.readUInt32BE(keyEnd);
    if (headerEnd > end) throw new MessageStreamError('a message record ends within its content header');
    this.#sink.message(bytes.readUInt32BE(start), readU64(bytes, start + 4), {
      routingKey: this.#routingKey(bytes, keyStart, keyEnd),
      bytes,
      headerStart,
      headerEnd,
      bodyStart: headerEnd,
      bodyEnd: end,
      keyAlone: false,
    });
  }

  /** Mostly the same key as that of the message before: then the same string, already hashed. */
  #routingKey(bytes: Buffer, start: number, end: number): string {
    if (bytes.compare(this.#keyBytes, 0, this.#keyBytes.length, start, end) !== 0) {
      this.#keyBytes = Buffer.from(bytes.subarray(start, end));
      this.#key = this.#keyBytes.toString('utf8');
    }
    return this.#key;
  }

  #point(bytes: Buffer, start: number, end: number): void {
    const nameStart = start + 4 + SPACE_ID_BYTES;
    if (nameStart > end) throw new MessageStreamError('a point record ends within its fixed fields');
    const spaceId = Buffer.from(bytes.subarray(start + 4, nameStart));
    this.#sink.point(bytes.readUInt32BE(start), spaceId, bytes.toString('utf8', nameStart, end));
  }
}

function recordBytes(bytes: Buffer, at: number): number {
  const size = LENGTH_BYTES + bytes.readUInt32BE(at);
  if (size === LENGTH_BYTES) throw new MessageStreamError('an empty record');
  if (size > MAX_RECORD_BYTES)
    throw new MessageStreamError(`a record of ${size} bytes; the limit is ${MAX_RECORD_BYTES}`, 'oversize');
  return size;
}
