import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { StorageError } from '../storage-error.js';
import { readLog } from './log-records.js';
import type { Manifest } from './manifest.js';
import { ManifestReader } from './manifest.js';
import { problemOfTable } from './table-check.js';

const LOG_FILE = /^(\d+)\.log$/;

/**
 * Reads all of LevelDB's files and verifies every checksum in them, without changing anything. LevelDB passes over
 * damaged records of its log, and looks at a table's blocks one by one, as late as it needs them.
 *
 * @throws StorageError `damaged`, with the file and what is wrong with it
 */
export async function checkFiles(folder: string): Promise<void> {
  const files = new Files(folder, await readdir(folder));
  const manifest = await readManifest(files);
  await checkLogs(files, manifest);
  for (const [number, bytes] of manifest.tables) await checkTable(files, number, bytes);
}

/** The files of a folder, one at a time in memory: what was read is good until the next one is. */
class Files {
  readonly #folder: string;
  readonly names: ReadonlySet<string>;
  #buffer = Buffer.alloc(0);

  constructor(folder: string, names: readonly string[]) {
    this.#folder = folder;
    this.names = new Set(names);
  }

  async read(name: string): Promise<Buffer> {
    const file = await open(join(this.#folder, name));
    try {
      const { size } = await file.stat();
      if (size > this.#buffer.length) this.#buffer = Buffer.allocUnsafeSlow(size);
      let end = 0;
      while (end < size) {
        const { bytesRead } = await file.read(this.#buffer, end, size - end, end);
        if (bytesRead === 0) throw damaged(name, 'it became shorter while it was read');
        end += bytesRead;
      }
      return this.#buffer.subarray(0, size);
    } finally {
      await file.close();
    }
  }
}

/** The logs in a folder, in the order they were written. */
function logFilesIn(names: Iterable<string>): { readonly name: string; readonly number: number }[] {
  return [...names]
    .map((name) => ({ name, number: Number(LOG_FILE.exec(name)?.[1] ?? Number.NaN) }))
    .filter(({ number }) => !Number.isNaN(number))
    .sort((a, b) => a.number - b.number);
}

async function readManifest(files: Files): Promise<Manifest> {
  const { names } = files;
  if (!names.has('CURRENT')) throw damaged('CURRENT', 'the file is missing');
  const name = (await files.read('CURRENT')).toString().trimEnd();
  if (!/^MANIFEST-\d+$/.test(name)) throw damaged('CURRENT', 'it names no manifest');
  if (!names.has(name)) throw damaged(name, 'the file is missing');
  const reader = new ManifestReader();
  try {
    const end = readLog(await files.read(name), (bytes) => reader.record(bytes));
    if (end.state === 'damaged') throw damaged(name, `${end.reason}, at octet ${end.at}`);
  } catch (error) {
    if (error instanceof RangeError) throw damaged(name, 'a record is not readable');
    throw error;
  }
  if (reader.manifest.logNumber === 0) throw damaged(name, 'it is empty');
  return reader.manifest;
}

async function checkLogs(files: Files, { logNumber: first, lastSequence }: Manifest): Promise<void> {
  const logs = logFilesIn(files.names).filter(({ number }) => number >= first);
  if (logs[0]?.number !== first) {
    throw damaged(`${String(first).padStart(6, '0')}.log`, 'the file is missing');
  }
  const ends = [];
  const sequence = new SequenceCheck(lastSequence);
  for (const { name } of logs) {
    const bytes = await files.read(name);
    ends.push({ name, empty: bytes.length === 0, end: readLog(bytes, (batch) => sequence.batch(batch)) });
    if (sequence.broken) throw damaged(name, 'records are missing');
  }
  const written = ends.filter(({ empty }) => !empty);
  for (const [index, { name, end }] of written.entries()) {
    if (end.state === 'damaged') throw damaged(name, `${end.reason}, at octet ${end.at}`);
    // What was written to a later log was written when this one was complete.
    if (end.state === 'torn' && index < written.length - 1) throw damaged(name, 'its end is missing');
  }
}

/** A record of a log is a batch of changes: u64 number of the first, u32 how many. Each follows on the one before. */
class SequenceCheck {
  #next: number | undefined;
  readonly #firstAtMost: number;
  broken = false;

  /** What the tables and logs before have, at least. */
  constructor(lastSequence: number) {
    this.#firstAtMost = lastSequence + 1;
  }

  batch(bytes: Buffer): void {
    const sequence = bytes.length < 12 ? Number.NaN : Number(bytes.readBigUInt64LE());
    const follows = this.#next === undefined ? sequence <= this.#firstAtMost : sequence === this.#next;
    if (!follows) this.broken = true;
    else this.#next = sequence + bytes.readUInt32LE(8);
  }
}

async function checkTable(files: Files, number: number, bytes: number): Promise<void> {
  const digits = String(number).padStart(6, '0');
  const name = [`${digits}.ldb`, `${digits}.sst`].find((one) => files.names.has(one));
  if (name === undefined) throw damaged(`${digits}.ldb`, 'the file is missing');
  const table = await files.read(name);
  if (table.length !== bytes) throw damaged(name, `it has ${table.length} octets, and had ${bytes}`);
  const problem = problemOfTable(table);
  if (problem !== undefined) throw damaged(name, problem);
}

function damaged(file: string, problem: string): StorageError {
  return new StorageError('damaged', `${file}: ${problem}`);
}
