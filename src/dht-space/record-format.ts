import type { Content } from '../overlay/index.js';

/**
 * The message stream `/xspace/messages/1.0.0`: a preamble, then records, all in one direction, integers big-endian.
 *
 *     preamble  u32 session (of the sender's Hello), u64 offset of the first record
 *     record    u32 length of the rest, u8 kind, then
 *     point     u32 point, 32 octets space id, rest: point name (UTF-8)     names a point before its first message
 *     message   u32 point, u64 sequence, u8 key length, routing key (UTF-8), u32 header length, header, rest: body
 *
 * Offsets count the octets of records since the sender's epoch began.
 */
export const PREAMBLE_BYTES = 12;
export const LENGTH_BYTES = 4;
export const POINT_RECORD = 0;
export const MESSAGE_RECORD = 1;
export const SPACE_ID_BYTES = 32;
/** Where no stream of records ever comes; beyond it, offsets would not be exact numbers before long. */
export const MAX_OFFSET = 2 ** 52;

/** Length field, kind, point, sequence, key length, header length. */
const MESSAGE_FIXED_BYTES = 4 + 1 + 4 + 8 + 1 + 4;
const POINT_FIXED_BYTES = 4 + 1 + 4 + SPACE_ID_BYTES;
const U32 = 0x1_0000_0000;

export function messageRecordBytes(content: Content, keyBytes: number): number {
  const headerBytes = content.headerEnd - content.headerStart;
  return MESSAGE_FIXED_BYTES + keyBytes + headerBytes + content.bodyEnd - content.bodyStart;
}

export function writeMessageRecord(
  target: Buffer,
  at: number,
  recordBytes: number,
  point: number,
  sequence: number,
  content: Content,
  keyBytes: number,
): void {
  const { bytes, headerStart, headerEnd } = content;
  let next = target.writeUInt32BE(recordBytes - LENGTH_BYTES, at);
  target[next] = MESSAGE_RECORD;
  next = target.writeUInt32BE(point, next + 1);
  next = target.writeUInt32BE(Math.floor(sequence / U32), next);
  next = target.writeUInt32BE(sequence % U32, next);
  target[next] = keyBytes;
  next += 1;
  target.write(content.routingKey, next, keyBytes, 'utf8');
  next = target.writeUInt32BE(headerEnd - headerStart, next + keyBytes);
  copyRange(bytes, headerStart, headerEnd, target, next);
  copyRange(bytes, content.bodyStart, content.bodyEnd, target, next + headerEnd - headerStart);
}

export function pointRecord(point: number, spaceId: Uint8Array, name: string): Buffer {
  const record = Buffer.alloc(POINT_FIXED_BYTES + Buffer.byteLength(name));
  record.writeUInt32BE(record.length - LENGTH_BYTES, 0);
  record[LENGTH_BYTES] = POINT_RECORD;
  record.writeUInt32BE(point, LENGTH_BYTES + 1);
  record.set(spaceId, LENGTH_BYTES + 5);
  record.write(name, POINT_FIXED_BYTES);
  return record;
}

export function preamble(session: number, offset: number): Buffer {
  const bytes = Buffer.alloc(PREAMBLE_BYTES);
  bytes.writeUInt32BE(session, 0);
  bytes.writeBigUInt64BE(BigInt(offset), 4);
  return bytes;
}

/** A 64-bit integer as a number: offsets and sequences stay far below 2^53. */
export function readU64(bytes: Buffer, at: number): number {
  return bytes.readUInt32BE(at) * U32 + bytes.readUInt32BE(at + 4);
}

/** `Uint8Array.set` would need a view of the range; `copy` does not. */
function copyRange(source: Uint8Array, start: number, end: number, target: Buffer, at: number): void {
  if (end > start) Buffer.prototype.copy.call(source, target, at, start, end);
}
