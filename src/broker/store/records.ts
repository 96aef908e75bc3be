import { crc32 } from 'node:zlib';
import type { Message } from '../message.js';
import type { MessageFormat, StoredEntry } from '../storage.js';
import { StorageError } from '../storage-error.js';
import type { Batch } from './batch.js';
import { ENTRY_KEY_BYTES, positionOf, priorityOf, readU64, writeEntryKey, writeU64 } from './keys.js';

/**
 * The values of the store, version 1. Numbers are big-endian. Every value ends in a u32: the CRC-32 of its key and of
 * all before it, so that neither a changed octet nor a value in another's place goes unnoticed.
 *
 *     meta        u32 format version, u32 how often the store was opened
 *     definition  a field table
 *     queue       u64 contents, f64 mark (-1: none)
 *     entry       u8 flags, u32 octets of the body alone, f64 expiry in ms where flagged, and either the content, as its
 *                 format has it, or where flagged u64 body, u32 octets of the content
 *     body        the content
 */
const CHECKSUM_BYTES = 4;

const ENTRY_FLAG = { transient: 1, expires: 2, shared: 4 } as const;

const ENTRY_HEAD_BYTES = 5;
const EXPIRY_BYTES = 8;
const REFERENCE_BYTES = 12;

/** A value as it is stored. */
export function seal(key: Uint8Array, ...parts: readonly Uint8Array[]): Buffer {
  let checksum = crc32(key);
  for (const part of parts) checksum = crc32(part, checksum);
  const end = Buffer.allocUnsafe(CHECKSUM_BYTES);
  end.writeUInt32BE(checksum);
  return Buffer.concat([...parts, end]);
}

/**
 * What was sealed.
 *
 * @throws StorageError `damaged`
 */
export function unseal(key: Buffer, value: Buffer): Buffer {
  const end = value.length - CHECKSUM_BYTES;
  const payload = value.subarray(0, Math.max(end, 0));
  if (end < 0 || value.readUInt32BE(end) !== crc32(payload, crc32(key))) throw damagedRecord(key);
  return payload;
}

export function damagedRecord(key: Buffer, cause?: unknown): StorageError {
  return new StorageError(
    'damaged',
    `the record with the key ${key.toString('hex')} is not as it was written`,
    {
      cause,
    },
  );
}

export function encodeMeta(version: number, openings: number): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeUInt32BE(version, 0);
  bytes.writeUInt32BE(openings, 4);
  return bytes;
}

export function openingsOf(meta: Buffer): number {
  return meta.readUInt32BE(4);
}

export interface QueueRecord {
  readonly contents: number;
  readonly marked: number;
}

export function encodeQueue({ contents, marked }: QueueRecord): Buffer {
  const bytes = Buffer.allocUnsafe(16);
  writeU64(bytes, contents, 0);
  bytes.writeDoubleBE(marked, 8);
  return bytes;
}

export function decodeQueue(payload: Buffer): QueueRecord {
  return { contents: readU64(payload, 0), marked: payload.readDoubleBE(8) };
}

/** Adds an entry to a batch, laid out in place. `body`: where its content is, unless it lies in the entry itself. */
export function putEntry(
  batch: Batch,
  contents: number,
  entry: StoredEntry,
  content: readonly Uint8Array[] | number,
): void {
  const shared = typeof content === 'number';
  const expires = entry.expiresMs !== undefined;
  const contentBytes = shared ? REFERENCE_BYTES : lengthOf(content);
  const valueBytes = ENTRY_HEAD_BYTES + (expires ? EXPIRY_BYTES : 0) + contentBytes + CHECKSUM_BYTES;
  const start = batch.room(ENTRY_KEY_BYTES + valueBytes);
  const bytes = batch.slab;
  writeEntryKey(bytes, start, contents, entry.priority, entry.position);
  let at = start + ENTRY_KEY_BYTES;
  bytes[at] =
    (entry.transient ? ENTRY_FLAG.transient : 0) |
    (expires ? ENTRY_FLAG.expires : 0) |
    (shared ? ENTRY_FLAG.shared : 0);
  bytes.writeUInt32BE(entry.message.bodyBytes, at + 1);
  at += ENTRY_HEAD_BYTES;
  if (expires) at = bytes.writeDoubleBE(entry.expiresMs, at);
  if (shared) {
    writeU64(bytes, content, at);
    at = bytes.writeUInt32BE(entry.message.sizeBytes, at + 8);
  } else {
    for (const part of content) {
      bytes.set(part, at);
      at += part.length;
    }
  }
  bytes.writeUInt32BE(crc32(bytes.subarray(start, at)), at);
  batch.putAt(start, ENTRY_KEY_BYTES, valueBytes);
}

/** An entry as it lies in the store. */
export interface EntryRecord {
  readonly position: number;
  readonly priority: number;
  readonly bodyBytes: number;
  /** Of the content, as its message counts it or as it lies here: about the same. */
  readonly contentBytes: number;
  readonly expiresMs: number | undefined;
  readonly transient: boolean;
  /** The content, or the number of the body which is it. */
  readonly content: Buffer | number;
}

/** @throws StorageError `damaged` */
export function decodeEntry(key: Buffer, value: Buffer): EntryRecord {
  const payload = unseal(key, value);
  const flags = payload.readUInt8(0);
  const expires = (flags & ENTRY_FLAG.expires) !== 0;
  const at = ENTRY_HEAD_BYTES + (expires ? EXPIRY_BYTES : 0);
  const shared = (flags & ENTRY_FLAG.shared) !== 0;
  return {
    position: positionOf(key),
    priority: priorityOf(key),
    bodyBytes: payload.readUInt32BE(1),
    contentBytes: shared ? payload.readUInt32BE(at + 8) : payload.length - at,
    expiresMs: expires ? payload.readDoubleBE(ENTRY_HEAD_BYTES) : undefined,
    transient: (flags & ENTRY_FLAG.transient) !== 0,
    content: shared ? readU64(payload, at) : payload.subarray(at),
  };
}

/** @throws StorageError `damaged` */
export function decodeMessage(format: MessageFormat, key: Buffer, content: Buffer): Message {
  try {
    return format.decode(content);
  } catch (cause) {
    throw damagedRecord(key, cause);
  }
}

function lengthOf(parts: readonly Uint8Array[]): number {
  let length = 0;
  for (const part of parts) length += part.length;
  return length;
}
