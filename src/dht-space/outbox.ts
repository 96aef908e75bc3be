import type { Content, MemoryPressure } from '../overlay/index.js';
import { OUTBOX_LIMIT_BYTES, OUTBOX_RELIEF_BYTES } from './limits.js';
import {
  LENGTH_BYTES,
  MESSAGE_RECORD,
  messageRecordBytes,
  pointRecord,
  writeMessageRecord,
} from './record-format.js';

/** Records are collected in chunks of this size; a larger record gets a chunk of its own, in whole pages. */
const CHUNK_BYTES = 65_536;
const PAGE_BYTES = 4_096;
/** Larger chunks are not used again, */
const MAX_SPARE_CHUNK_BYTES = 2 * CHUNK_BYTES;
/** and no more of the others than leaves a full outbox before publishers go on. */
const MAX_SPARE_BYTES = OUTBOX_LIMIT_BYTES - OUTBOX_RELIEF_BYTES;

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
 * Invariant: acknowledged <= sent <= reached <= end, and all four lie between records. No offset below `reached`
 * ever names another octet, so that an acknowledgement which comes late still means what it meant.
 */
export class Outbox {
  readonly #memory: MemoryPressure;
  readonly #chunks: Chunk[] = [];
  /**
   * Of chunks that were taken in, for those to come: buffers that lived long cost much to collect. No other participant
   * gets them: who acknowledges what is still on its way would be sent what comes into its place.
   */
  readonly #spares: Buffer[] = [];
  #spareBytes = 0;
  #acknowledged = 0;
  /** How far sending has come on the present stream, and on any. */
  #sent = 0;
  #reached = 0;
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
    if (this.#sent > this.#reached) this.#reached = this.#sent;
    return chunk.bytes.subarray(start, end);
  }

  /** The participant has taken in everything before `offset`. False when no record was sent that ends there. */
  acknowledge(offset: number): boolean {
    if (offset > this.#sent) return false;
    if (offset <= this.#acknowledged) return true;
    if (!this.#endsRecord(offset)) return false;
    this.#memory.add(this.#acknowledged - offset);
    this.#acknowledged = offset;
    let first = this.#chunks[0];
    // The last chunk stays: the next record goes there.
    while (first !== undefined && this.#chunks.length > 1 && first.base + first.used <= offset) {
      this.#spareFirst();
      first = this.#chunks[0];
    }
    if (first !== undefined && offset === this.#end && first.bytes.length - first.used < CHUNK_BYTES / 2) {
      this.#spareFirst();
    }
    return true;
  }

  /** Gives back what is kept for more to come, when nothing waits. To be called about every second. */
  tick(): void {
    if (this.heldBytes === 0) this.#dropSpares();
  }

  /**
   * On a new stream, sending starts again after what the participant has taken in on any before. False, with no
   * effect, when no record was sent that ends at `offset`.
   */
  resume(offset: number): boolean {
    const sent = this.#sent;
    this.#sent = this.#reached;
    const known = this.acknowledge(offset);
    this.#sent = known ? this.#acknowledged : sent;
    return known;
  }

  /** Gives up what was not sent on any stream. Returns how many messages that were. */
  dropUnsent(): number {
    const messages = this.#countFrom(this.#reached);
    for (let last = this.#chunks.at(-1); last !== undefined; last = this.#chunks.at(-1)) {
      last.used = Math.max(0, this.#reached - last.base);
      if (last.used > 0 || this.#chunks.length === 1) break;
      this.#chunks.pop();
    }
    this.#memory.add(this.#reached - this.#end);
    this.#end = this.#reached;
    return messages;
  }

  /** Gives up everything; offsets go on from here. Returns how many messages that were. */
  clear(): number {
    const messages = this.#countFrom(this.#acknowledged);
    this.#memory.add(this.#acknowledged - this.#end);
    this.#chunks.length = 0;
    this.#dropSpares();
    this.#acknowledged = this.#end;
    this.#sent = this.#end;
    this.#reached = this.#end;
    return messages;
  }

  #room(size: number): Chunk {
    const last = this.#chunks.at(-1);
    if (last !== undefined && last.bytes.length - last.used >= size) return last;
    const chunk = { bytes: this.#takeSpare(size) ?? newBuffer(size), base: this.#end, used: 0 };
    this.#chunks.push(chunk);
    return chunk;
  }

  #takeSpare(size: number): Buffer | undefined {
    const spare = this.#spares.pop();
    if (spare === undefined) return undefined;
    this.#spareBytes -= spare.length;
    return spare.length >= size ? spare : undefined;
  }

  #spareFirst(): void {
    const bytes = this.#chunks.shift()?.bytes;
    if (bytes === undefined || bytes.length > MAX_SPARE_CHUNK_BYTES || this.#memory.high) return;
    if (this.#spareBytes + bytes.length > MAX_SPARE_BYTES) return;
    this.#spares.push(bytes);
    this.#spareBytes += bytes.length;
  }

  #dropSpares(): void {
    this.#spares.length = 0;
    this.#spareBytes = 0;
  }

  #appended(chunk: Chunk, size: number): void {
    chunk.used += size;
    this.#end += size;
    this.#memory.add(size);
  }

  /** `offset` comes from the other side; it lies behind `acknowledged`, within what is held. */
  #endsRecord(offset: number): boolean {
    const chunk = this.#chunkAt(offset - 1);
    const end = offset - chunk.base;
    return wholeRecords(chunk, Math.max(0, this.#acknowledged - chunk.base), end) === end;
  }

  #countFrom(offset: number): number {
    let messages = 0;
    for (const chunk of this.#chunks) messages += countMessages(chunk, Math.max(0, offset - chunk.base));
    return messages;
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

function newBuffer(size: number): Buffer {
  return Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, PAGE_BYTES * Math.ceil(size / PAGE_BYTES)));
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
