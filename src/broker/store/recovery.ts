import type { Definition, RecoveredQueue, StoredLevel } from '../storage.js';
import { StorageError } from '../storage-error.js';
import type { Level } from './database.js';
import { decodeTable } from './field-values.js';
import type { KeyRange } from './keys.js';
import {
  BODIES,
  contentsOf,
  DEFINITIONS,
  ENTRIES,
  META_KEY,
  numberOf,
  parseDefinitionKey,
  QUEUES,
} from './keys.js';
import { FORMAT_VERSION } from './limits.js';
import { pagesOf } from './pages.js';
import { damagedRecord, decodeEntry, decodeQueue, encodeMeta, openingsOf, seal, unseal } from './records.js';
import type { SharedBodies, SharedBody } from './shared-bodies.js';

/** A level that is being counted. */
type FoundLevel = { -readonly [Field in keyof StoredLevel]: StoredLevel[Field] };

/** A queue as it was found. */
interface FoundQueue extends RecoveredQueue {
  readonly contents: number;
  readonly levels: FoundLevel[];
  readonly bodies: Map<number, SharedBody>;
}

/** What a store has when it is opened. */
export interface Found {
  readonly definitions: readonly Definition[];
  readonly queues: ReadonlyMap<number, FoundQueue>;
}

/** Counts this opening of the store, and gives its number: 1 for the first. */
export async function countOpening(level: Level): Promise<number> {
  const meta = await level.get(META_KEY);
  const opening = meta === undefined ? 1 : openingsOf(unseal(META_KEY, meta)) + 1;
  await level.put(META_KEY, seal(META_KEY, encodeMeta(FORMAT_VERSION, opening)), { sync: true });
  return opening;
}

/**
 * Reads all but the large contents, checks that those are there, and deletes what nobody has any use for: transient
 * entries, and what was left of cleared and removed queues.
 *
 * @throws StorageError `damaged`
 */
export async function recover(level: Level, bodies: SharedBodies): Promise<Found> {
  const definitions: Definition[] = [];
  await scan(level, DEFINITIONS, (key, value) => void definitions.push(definitionOf(key, value)));
  const queues = new Map<number, FoundQueue>();
  const byContents = new Map<number, FoundQueue>();
  await scan(level, QUEUES, (key, value) => {
    const { contents, marked } = decodeQueue(unseal(key, value));
    const queue = { contents, marked, levels: [], bodies: new Map() };
    queues.set(numberOf(key), queue);
    byContents.set(contents, queue);
  });
  const referred = new Map<number, SharedBody>();
  await sweep(level, ENTRIES, (key, value) => {
    const queue = byContents.get(contentsOf(key));
    if (queue === undefined) return 'delete';
    return addEntry(queue, key, value, referred, bodies);
  });
  await checkBodies(level, referred);
  return { definitions, queues };
}

function definitionOf(key: Buffer, value: Buffer): Definition {
  const payload = unseal(key, value);
  try {
    return { ...parseDefinitionKey(key), value: decodeTable(payload) };
  } catch (cause) {
    throw damagedRecord(key, cause);
  }
}

/** The entries of a level come one after the other. */
function addEntry(
  queue: FoundQueue,
  key: Buffer,
  value: Buffer,
  referred: Map<number, SharedBody>,
  bodies: SharedBodies,
): 'keep' | 'delete' {
  const { position, priority, bodyBytes, transient, content } = decodeEntry(key, value);
  if (transient) return 'delete';
  let level = queue.levels.at(-1);
  if (level?.priority !== priority) {
    level = { priority, messages: 0, bodyBytes: 0, firstPosition: position, lastPosition: position };
    queue.levels.push(level);
  }
  level.messages++;
  level.bodyBytes += bodyBytes;
  level.lastPosition = position;
  if (typeof content === 'number') {
    const body = referred.get(content) ?? bodies.recovered(content);
    body.references++;
    referred.set(content, body);
    queue.bodies.set(position, body);
  }
  return 'keep';
}

async function checkBodies(level: Level, referred: ReadonlyMap<number, SharedBody>): Promise<void> {
  let found = 0;
  await sweep(
    level,
    BODIES,
    (key) => {
      if (!referred.has(numberOf(key))) return 'delete';
      found++;
      return 'keep';
    },
    { values: false },
  );
  if (found === referred.size) return;
  throw new StorageError(
    'damaged',
    `${referred.size - found} of ${referred.size} large contents are missing`,
  );
}

async function scan(
  level: Level,
  range: KeyRange,
  visit: (key: Buffer, value: Buffer) => void,
): Promise<void> {
  for await (const page of pagesOf(level, range)) {
    for (const [key, value] of page) visit(key, value);
  }
}

/** As `scan`, and deletes what it is told to, in as many steps as it takes. */
async function sweep(
  level: Level,
  range: KeyRange,
  visit: (key: Buffer, value: Buffer) => 'keep' | 'delete',
  options?: { readonly values: boolean },
): Promise<void> {
  for await (const page of pagesOf(level, range, options)) {
    const doomed = page.filter(([key, value]) => visit(key, value) === 'delete');
    if (doomed.length > 0) await level.batch(doomed.map(([key]) => ({ type: 'del', key })));
  }
}
