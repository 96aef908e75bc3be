import type { Content, MemoryPressure } from '../overlay/index.js';
import {
  LENGTH_BYTES,
  MESSAGE_RECORD,
  messageRecordBytes,
  pointRecord,
  writeMessageRecord,
} from './record-format.js';

/** Records are collected in chunks of this size; a larger record gets a chunk of its own. */
const CHUNK_BYTES = 65_536;

interface Chunk {
  bytes: Buffer;
  /** Offset of the chunk's first octet in the stream of records. */
  readonly base: number;
  used: number;
}

/**
 * What was accepted for one participant and not yet acknowledged by it: encoded records in order, addressed by
 * their offset in the stream. Appending copies the content once and allocates nothing but a chunk now and then.
 *
 * Invariant: acknowledged <= sent <= end, and all three lie between records.
 */
export class Outbox {
  readonly #memory: MemoryPressure;
  readonly #chunks: Chunk[] = [];
  #acknowledged = 0;
  #sent = 0;
  #end = 0;

  constructor(memory: MemoryPressure) {
    this.#memory = memory;
  }

  get acknowledged(): number {
    return this.#acknowledged;
  }

  get heldBytes(): number {
    return this.#end - this.#acknowledged;
  }

  get unsentBytes(): number {
    return this.#end - this.#sent;
  }

  appendMessage(point: number, sequence: number, content: Content): void {
    const keyBytes = Buffer.byteLength(content.routingKey);
    const size = messageRecordBytes(content, keyBytes);
    const chunk = this.#room(size);
    writeMessageRecord(chunk.bytes, chunk.used, size, point, sequence, content, keyBytes);
    this.#appended(chunk, size);
  }

  appendPoint(point: number, spaceId: Uint8Array, name: string): void {
    const record = pointRecord(point, spaceId, name);
    const chunk = this.#room(record.length);
    record.copy(chunk.bytes, chunk.used);
    this.#appended(chunk, record.length);
  }

  /**
   * The next octets to send, whole records of one chunk; undefined when everything was sent or `limit` is reached.
   * The last record may go past the limit, so that a record larger than the whole credit gets through.
   */
  take(limit: number): Buffer | undefined {
    if (this.#sent >= limit || this.#sent === this.#end) return undefined;
    const chunk = this.#chunkAt(this.#sent);
    const start = this.#sent - chunk.base;
    const end = wholeRecords(chunk, start, limit - chunk.base);
    this.#sent = chunk.base + end;
    return chunk.bytes.subarray(start, end);
  }

  /** The participant has taken in everything before `offset`. False when that was never sent. */
  acknowledge(offset: number): boolean {
    if (offset > this.#sent) return false;
    if (offset <= this.#acknowledged) return true;
    this.#memory.add(this.#acknowledged - offset);
    this.#acknowledged = offset;
    let first = this.#chunks[0];
    // The last chunk stays: the next record goes there.
    while (first !== undefined && this.#chunks.length > 1 && first.base + first.used <= offset) {
      this.#chunks.shift();
      first = this.#chunks[0];
    }
    if (first !== undefined && offset === this.#end && first.bytes.length - first.used < CHUNK_BYTES / 2) {
      this.#chunks.shift();
    }
    return true;
  }

  /** On a new stream, sending starts again at the first octet that was not acknowledged. */
  rewind(): void {
    this.#sent = this.#acknowledged;
  }

  /** Gives up what was not sent yet. Returns how many messages that were. */
  dropUnsent(): number {
    let messages = 0;
    for (let last = this.#chunks.at(-1); last !== undefined; last = this.#chunks.at(-1)) {
      const from = Math.max(0, this.#sent - last.base);
      messages += countMessages(last, from);
      last.used = from;
      if (from > 0 || this.#chunks.length === 1) break;
      this.#chunks.pop();
    }
    this.#memory.add(this.#sent - this.#end);
    this.#end = this.#sent;
    return messages;
  }

  /** Gives up everything. Returns how many messages that were. */
  clear(): number {
    this.rewind();
    const messages = this.dropUnsent();
    this.#chunks.length = 0;
    return messages;
  }

  #room(size: number): Chunk {
    const last = this.#chunks.at(-1);
    if (last !== undefined && last.bytes.length - last.used >= size) return last;
    const chunk = { bytes: Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, size)), base: this.#end, used: 0 };
    this.#chunks.push(chunk);
    return chunk;
  }

  #appended(chunk: Chunk, size: number): void {
    chunk.used += size;
    this.#end += size;
    this.#memory.add(size);
  }

  #chunkAt(offset: number): Chunk {
    // Unsent records are at the end: search from there.
    for (let index = this.#chunks.length - 1; index >= 0; index -= 1) {
      const chunk = this.#chunks[index];
      if (chunk !== undefined && chunk.base <= offset) return chunk;
    }
    throw new RangeError(`offset ${offset} is not in the outbox`);
  }
}

/** The end of the last record that starts before `limit`, walking from the record at `start`. */
function wholeRecords(chunk: Chunk, start: number, limit: number): number {
  if (chunk.used <= limit) return chunk.used;
  let at = start;
  while (at < limit) at += LENGTH_BYTES + chunk.bytes.readUInt32BE(at);
  return at;
}

function countMessages(chunk: Chunk, start: number): number {
  let count = 0;
  for (let at = start; at < chunk.used; at += LENGTH_BYTES + chunk.bytes.readUInt32BE(at)) {
    if (chunk.bytes[at + LENGTH_BYTES] === MESSAGE_RECORD) count += 1;
  }
  return count;
}
