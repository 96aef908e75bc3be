import { mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { StorageError } from '../storage-error.js';
import type { CreateLevel } from './database.js';
import { Database, isLocked } from './database.js';
import { checkFiles } from './file-check.js';
import type { Marker } from './marker.js';
import { readMarker, writeMarker } from './marker.js';

const FOLDER = 'store';
/** Only the owner's: there are messages and passwords in it. */
const PRIVATE = 0o700;

function storeFolder(dataDir: string): string {
  return join(dataDir, FOLDER);
}

/**
 * Opens the database of a data directory, and makes it where there has never been one. What is there is verified before
 * anything is changed.
 *
 * @throws StorageError
 */
export async function openDatabase(dataDir: string, createLevel: CreateLevel): Promise<Database> {
  const folder = storeFolder(dataDir);
  await mkdir(dataDir, { recursive: true, mode: PRIVATE });
  const marker = await readMarker(dataDir);
  const isNew = marker === undefined ? !(await isThere(folder)) : marker.state === 'creating';
  if (isNew) return createDatabase(dataDir, createLevel);
  // LevelDB would make the folder to look for a lock in it.
  if (!(await isThere(folder))) throw new StorageError('damaged', 'the folder is missing');
  if (await isLocked(folder)) throw lockedError();
  try {
    if (marker === undefined) throw new StorageError('damaged', 'store.json: the file is missing');
    if (marker.state === 'stopped') await checkSizes(folder, marker);
    await checkFiles(folder);
  } catch (error) {
    // Another process that has come in between may be at work on these files.
    if (await isLocked(folder)) throw lockedError();
    throw asStorageError(error);
  }
  // First: opening changes the files, and may be cut short.
  await writeMarker(dataDir, { state: 'open', files: {} });
  return Database.open(createLevel(folder), { create: false });
}

/** Closes the database in order: whatever its files lack at the next start was lost. */
export async function closeDatabase(dataDir: string, database: Database): Promise<void> {
  await database.close();
  const folder = storeFolder(dataDir);
  const files: Record<string, number> = {};
  for (const name of await readdir(folder)) {
    if (isData(name)) files[name] = (await stat(join(folder, name))).size;
  }
  await writeMarker(dataDir, { state: 'stopped', files });
}

/** What a first start left that was cut short is made use of: nothing was kept in it. */
async function createDatabase(dataDir: string, createLevel: CreateLevel): Promise<Database> {
  await writeMarker(dataDir, { state: 'creating', files: {} });
  const folder = storeFolder(dataDir);
  await mkdir(folder, { recursive: true, mode: PRIVATE });
  const database = await Database.open(createLevel(folder), { create: true });
  await writeMarker(dataDir, { state: 'open', files: {} });
  return database;
}

/** What went wrong, and what can be done about it. Errors of the system are told as they are. */
export function explained(error: unknown, dataDir: string): StorageError {
  const { code, message } = asStorageError(error);
  const store = `the store in '${dataDir}'`;
  const texts = {
    damaged:
      `${store} is damaged: ${message}. It was left as it is. Put a copy of the directory in its place, or move it away ` +
      'to start with an empty one',
    'newer-format':
      `${store} was written by a newer version: ${message}. It was left as it is. Start the version that wrote it, or ` +
      'move the directory away to start with an empty one',
    locked: `${store} is in use: ${message}. Stop the node that runs there, or choose another directory with --data-dir`,
    unavailable: `${store} cannot be opened: ${message}. It was left as it is`,
  };
  return new StorageError(code, texts[code], { cause: error });
}

async function checkSizes(folder: string, { files }: Marker): Promise<void> {
  for (const [name, bytes] of Object.entries(files)) {
    const found = await stat(join(folder, name)).catch(() => undefined);
    if (found === undefined) throw new StorageError('damaged', `${name}: the file is missing`);
    if (found.size !== bytes) {
      throw new StorageError('damaged', `${name}: it has ${found.size} octets, and had ${bytes}`);
    }
  }
}

/** Whatever LevelDB would be another database without. */
function isData(name: string): boolean {
  return /^(CURRENT|MANIFEST-\d+|\d+\.(log|ldb|sst))$/.test(name);
}

async function isThere(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}

function lockedError(): StorageError {
  return new StorageError('locked', 'another process has it');
}

function asStorageError(error: unknown): StorageError {
  if (error instanceof StorageError) return error;
  // Such as a folder that is not there.
  const text = error instanceof Error ? error.message : String(error);
  const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
  return new StorageError(missing ? 'damaged' : 'unavailable', text, { cause: error });
}
