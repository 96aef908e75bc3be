import type { MessageFormat, StoredEntry } from '../storage.js';
import { StorageError } from '../storage-error.js';
import type { Level } from './database.js';
import { bodyKey, levelRange, positionOf } from './keys.js';
import { READ_ENTRIES } from './limits.js';
import { pagesOf } from './pages.js';
import type { Overlay, QueueLog, ReadRequest } from './queue-log.js';
import type { EntryRecord } from './records.js';
import { decodeEntry, decodeMessage, unseal } from './records.js';

/** An entry that is in the database, or one that is not written yet. */
type FoundEntry = { readonly key: Buffer; readonly record: EntryRecord } | { readonly entry: StoredEntry };

/**
 * The entries of a queue as they are now: those in the database, and those that were asked for since.
 *
 * @throws StorageError
 */
export async function readEntries(
  level: Level,
  format: MessageFormat,
  queue: QueueLog,
  request: ReadRequest,
): Promise<StoredEntry[]> {
  for (let from = request.fromPosition; ; ) {
    const overlay = queue.beginRead();
    // At the same time as the overlay, so that nothing is in neither of them.
    const snapshot = level.snapshot();
    try {
      const found = await findEntries(level, snapshot, overlay, { ...request, fromPosition: from });
      const entries = await withContent(level, snapshot, format, found);
      const last = entries.at(-1);
      if (queue.contents !== overlay.contents) {
        from = request.fromPosition;
        continue;
      }
      const current = entries.filter(({ position }) => !overlay.isForgotten(position));
      if (current.length > 0 || last === undefined) return current;
      from = last.position + 1;
    } finally {
      overlay.end();
      await snapshot.close();
    }
  }
}

async function findEntries(
  level: Level,
  snapshot: ReturnType<Level['snapshot']>,
  overlay: Overlay,
  { priority, fromPosition, limit }: ReadRequest,
): Promise<FoundEntry[]> {
  const page = new Page(limit);
  const kept = overlay.kept(priority, fromPosition);
  let next = 0;
  /** Takes those not written yet that come before a position; the entry at the position is among them. */
  const takeKept = (position: number): void => {
    for (let entry = kept[next]; entry !== undefined && entry.position <= position; entry = kept[++next]) {
      page.take({ entry }, entry.message.sizeBytes);
    }
  };
  const range = levelRange(overlay.contents, priority, fromPosition);
  const pageEntries = Math.min(limit.messages, READ_ENTRIES);
  for await (const records of pagesOf(level, range, { snapshot, pageEntries })) {
    for (const [key, value] of records) {
      const position = positionOf(key);
      takeKept(position);
      if (kept[next - 1]?.position === position || overlay.isDeleted(position)) continue;
      const record = decodeEntry(key, value);
      page.take({ key, record }, record.contentBytes);
      if (page.full) return page.entries;
    }
    if (page.full) return page.entries;
  }
  takeKept(Number.POSITIVE_INFINITY);
  return page.entries;
}

/** What is read at once, up to its limits. */
class Page {
  readonly entries: FoundEntry[] = [];
  readonly #limit: ReadRequest['limit'];
  #bytes = 0;
  full = false;

  constructor(limit: ReadRequest['limit']) {
    this.#limit = limit;
  }

  /** Does nothing from the first entry on that there is no room for. */
  take(entry: FoundEntry, bytes: number): void {
    if (this.full) return;
    this.#bytes += bytes;
    if (this.entries.length > 0 && this.#bytes > this.#limit.bytes) this.full = true;
    else this.entries.push(entry);
    if (this.entries.length >= this.#limit.messages) this.full = true;
  }
}

async function withContent(
  level: Level,
  snapshot: ReturnType<Level['snapshot']>,
  format: MessageFormat,
  found: readonly FoundEntry[],
): Promise<StoredEntry[]> {
  const keys = found.flatMap((one) =>
    'record' in one && typeof one.record.content === 'number' ? [bodyKey(one.record.content)] : [],
  );
  const bodies = keys.length === 0 ? [] : await level.getMany(keys, { snapshot });
  let next = 0;
  return found.map((one) => {
    if ('entry' in one) return one.entry;
    const { content, position, priority, expiresMs, transient } = one.record;
    const [key, octets] =
      typeof content === 'number' ? bodyAt(keys, bodies, next++) : ([one.key, content] as const);
    return { position, priority, expiresMs, transient, message: decodeMessage(format, key, octets) };
  });
}

function bodyAt(
  keys: readonly Buffer[],
  bodies: readonly (Buffer | undefined)[],
  index: number,
): readonly [Buffer, Buffer] {
  const [key = Buffer.alloc(0), body] = [keys[index], bodies[index]];
  if (body === undefined) throw new StorageError('damaged', `the content ${key.toString('hex')} is missing`);
  return [key, unseal(key, body)];
}
