import { open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { StorageError } from '../storage-error.js';
import { FORMAT_VERSION } from './limits.js';

const MARKER = 'store.json';

/**
 * A file beside the database that says what must be there, so that a database which has lost its files is not taken for
 * one that was never made.
 *
 *     creating ──▶ open (or ended without a word: a crash) ⇄ stopped (with the sizes that its files then had)
 */
export interface Marker {
  readonly format: number;
  readonly state: 'creating' | 'open' | 'stopped';
  /** Octets by file name. */
  readonly files: Readonly<Record<string, number>>;
}

/**
 * Undefined where there has never been a store.
 *
 * @throws StorageError `damaged`, `newer-format`
 */
export async function readMarker(dataDir: string): Promise<Marker | undefined> {
  let text: string;
  try {
    text = await readFile(join(dataDir, MARKER), 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
  const marker = parseMarker(text);
  if (marker === undefined) throw new StorageError('damaged', `${MARKER}: it is not readable`);
  if (marker.format > FORMAT_VERSION) {
    const text = `it has format ${marker.format}, and this version of xspace knows formats up to ${FORMAT_VERSION}`;
    throw new StorageError('newer-format', text);
  }
  return marker;
}

/** Puts it in the place of an earlier one, as a whole and synced. */
export async function writeMarker(dataDir: string, marker: Omit<Marker, 'format'>): Promise<void> {
  const path = join(dataDir, MARKER);
  const text = `${JSON.stringify({ format: FORMAT_VERSION, ...marker })}\n`;
  await writeSynced(`${path}.new`, text);
  await rename(`${path}.new`, path);
  await syncFolder(dataDir);
}

async function writeSynced(path: string, text: string): Promise<void> {
  const file = await open(path, 'w', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Without it a file that was renamed may have its old name after a power failure. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function parseMarker(text: string): Marker | undefined {
  try {
    const { format, state, files } = JSON.parse(text);
    const known = state === 'creating' || state === 'open' || state === 'stopped';
    // What a newer version means by the rest is not for this one to say.
    if (Number.isInteger(format) && format > FORMAT_VERSION) return { format, state: 'open', files: {} };
    return Number.isInteger(format) && known && typeof files === 'object' && files !== null
      ? { format, state, files }
      : undefined;
  } catch {
    return undefined;
  }
}
