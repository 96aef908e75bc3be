import type { Definition } from '../storage.js';

/**
 * The keys of the store, version 1. They sort as octets, so that each kind lies together, and each queue's entries in
 * the order they are handed out. Numbers are big-endian; u64 is at most 2^53 - 1.
 *
 *     01                                          meta: how often the store was opened
 *     02  u8 kind, then u32 length and UTF-8 of   definition: a virtual host, user, permission, exchange, queue or
 *         each part of its key                    binding
 *     03  u64 queue                               queue: where its entries are, and its mark
 *     04  u64 contents, u8 priority, u64 position entry of a queue
 *     05  u64 body                                body: the content of a large message, for all entries that have it
 *
 * `contents` is a number of the queue's that changes when it is cleared: all older entries are void from then on, with
 * one small write, and are deleted later. Queues, contents and bodies are numbered by opening (the high 21 bits) and
 * within it (the low 32), so no number comes twice.
 */
const PREFIX = { meta: 1, definition: 2, queue: 3, entry: 4, body: 5 } as const;

export const META_KEY = Buffer.of(PREFIX.meta);
export const ENTRY_KEY_BYTES = 18;

/** In the order of their octets, which is the order they are to be restored in. */
const KINDS: readonly Definition['kind'][] = [
  'virtual-host',
  'user',
  'permission',
  'exchange',
  'queue',
  'binding',
];

export interface KeyRange {
  readonly gte: Buffer;
  readonly lt: Buffer;
}

export const DEFINITIONS: KeyRange = rangeOf(PREFIX.definition);
export const QUEUES: KeyRange = rangeOf(PREFIX.queue);
export const ENTRIES: KeyRange = rangeOf(PREFIX.entry);
export const BODIES: KeyRange = rangeOf(PREFIX.body);

export function queueKey(queue: number): Buffer {
  return numbered(PREFIX.queue, queue);
}

export function bodyKey(body: number): Buffer {
  return numbered(PREFIX.body, body);
}

/** Of {@link queueKey} and {@link bodyKey}. */
export function numberOf(key: Buffer): number {
  return readU64(key, 1);
}

export function entryKey(contents: number, priority: number, position: number): Buffer {
  const key = Buffer.allocUnsafe(ENTRY_KEY_BYTES);
  writeEntryKey(key, 0, contents, priority, position);
  return key;
}

export function writeEntryKey(
  bytes: Buffer,
  at: number,
  contents: number,
  priority: number,
  position: number,
): void {
  bytes[at] = PREFIX.entry;
  writeU64(bytes, contents, at + 1);
  bytes[at + 9] = priority;
  writeU64(bytes, position, at + 10);
}

export function contentsOf(key: Buffer): number {
  return readU64(key, 1);
}

export function priorityOf(key: Buffer): number {
  return key.readUInt8(9);
}

export function positionOf(key: Buffer): number {
  return readU64(key, 10);
}

/** All entries of some contents. */
export function contentsRange(contents: number): KeyRange {
  return { gte: numbered(PREFIX.entry, contents), lt: numbered(PREFIX.entry, contents + 1) };
}

/** The entries of one priority from a position on. */
export function levelRange(contents: number, priority: number, position: number): KeyRange {
  const lt = Buffer.concat([numbered(PREFIX.entry, contents), Buffer.of(priority), Buffer.alloc(9, 0xff)]);
  return { gte: entryKey(contents, priority, position), lt };
}

export function definitionKey(kind: Definition['kind'], key: readonly string[]): Buffer {
  const parts: Uint8Array[] = [Buffer.of(PREFIX.definition, KINDS.indexOf(kind))];
  for (const text of key) {
    const octets = Buffer.from(text);
    const length = Buffer.allocUnsafe(4);
    length.writeUInt32BE(octets.length);
    parts.push(length, octets);
  }
  return Buffer.concat(parts);
}

/** @throws RangeError when it is no key of a definition */
export function parseDefinitionKey(key: Buffer): { kind: Definition['kind']; key: string[] } {
  const kind = KINDS[key.readUInt8(1)];
  if (kind === undefined) throw new RangeError('no definition is of this kind');
  const parts: string[] = [];
  for (let at = 2; at < key.length; ) {
    const end = at + 4 + key.readUInt32BE(at);
    if (end > key.length) throw new RangeError('the key ends within a part');
    parts.push(key.toString('utf8', at + 4, end));
    at = end;
  }
  return { kind, key: parts };
}

export function writeU64(bytes: Buffer, value: number, at: number): void {
  bytes.writeUInt32BE(Math.floor(value / 2 ** 32), at);
  bytes.writeUInt32BE(value >>> 0, at + 4);
}

export function readU64(bytes: Buffer, at: number): number {
  return bytes.readUInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4);
}

function rangeOf(prefix: number): KeyRange {
  return { gte: Buffer.of(prefix), lt: Buffer.of(prefix + 1) };
}

function numbered(prefix: number, value: number): Buffer {
  const key = Buffer.allocUnsafe(9);
  key[0] = prefix;
  writeU64(key, value, 1);
  return key;
}
