import { ClassicLevel } from 'classic-level';
import { StorageError } from '../storage-error.js';
import type { Batch } from './batch.js';
import { MAX_OPEN_FILES, WRITE_BUFFER_BYTES } from './limits.js';

export type Level = ClassicLevel<Buffer, Buffer>;

/** Makes the handle of a database, to be opened at once: it opens itself otherwise. Tests make ones that fail. */
export type CreateLevel = (location: string) => Level;

export function createLevel(location: string): Level {
  return new ClassicLevel<Buffer, Buffer>(location, {
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
    createIfMissing: false,
    // What is verified before opening is read without Snappy; and messages are compressed already, or short.
    compression: false,
    writeBufferSize: WRITE_BUFFER_BYTES,
    maxOpenFiles: MAX_OPEN_FILES,
  });
}

/**
 *     open ⇄ broken (a write failed: nothing is appended to its remains; the next write opens it anew)
 *       └───────┴──▶ closed
 */
export class Database {
  readonly #level: Level;
  #state: 'open' | 'broken' | 'closed' = 'open';
  /** Changes with every opening: what failed in an earlier one may succeed now. */
  #opening = 0;
  /** Those who wait to read. */
  #waiting: (() => void)[] = [];

  private constructor(level: Level) {
    this.#level = level;
  }

  static async open(level: Level, options: { readonly create: boolean }): Promise<Database> {
    await openLevel(level, options.create);
    return new Database(level);
  }

  /** Writes all of a batch or nothing, and syncs it. Done again it changes nothing. */
  async write({ keys, values }: Batch): Promise<void> {
    try {
      if (this.#state === 'broken') await this.#reopen();
      const chained = this.#level.batch();
      for (let index = 0; index < keys.length; index++) {
        const key = keys[index] as Buffer;
        const value = values[index];
        if (value === undefined) chained.del(key);
        else chained.put(key, value);
      }
      await chained.write({ sync: true });
    } catch (error) {
      // LevelDB goes on after a record that it wrote in part, and would stop at it when it reads its log again.
      if (this.#state === 'open') this.#state = 'broken';
      throw error;
    }
  }

  /**
   * Reads, again where the database was opened anew in between.
   *
   * @throws StorageError
   */
  async read<T>(read: (level: Level) => Promise<T>): Promise<T> {
    for (;;) {
      while (this.#state === 'broken') await new Promise<void>((resolve) => this.#waiting.push(resolve));
      if (this.#state === 'closed') throw new StorageError('unavailable', 'the store is closed');
      const opening = this.#opening;
      try {
        return await read(this.#level);
      } catch (error) {
        if (error instanceof StorageError) throw error;
        if (this.#state === 'open' && this.#opening === opening) throw asStorageError(error);
      }
    }
  }

  async close(): Promise<void> {
    this.#state = 'closed';
    this.#wake();
    await this.#level.close();
  }

  async #reopen(): Promise<void> {
    await this.#level.close();
    await openLevel(this.#level, false);
    if (this.#state === 'closed') return this.#level.close();
    this.#opening++;
    this.#state = 'open';
    this.#wake();
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

/** Whether another process, or another part of this one, has the database. Changes nothing. */
export async function isLocked(location: string): Promise<boolean> {
  const level = createLevel(location);
  try {
    // LevelDB takes the lock before it looks whether there is something that must not be there.
    await level.open({ createIfMissing: false, errorIfExists: true });
  } catch (error) {
    return reasonOf(error).code === 'LEVEL_LOCKED';
  }
  await level.close();
  return false;
}

async function openLevel(level: Level, create: boolean): Promise<void> {
  try {
    await level.open({ createIfMissing: create, errorIfExists: false });
  } catch (error) {
    throw asStorageError(error);
  }
}

function asStorageError(error: unknown): StorageError {
  const { code, text } = reasonOf(error);
  if (code === 'LEVEL_LOCKED') return new StorageError('locked', text, { cause: error });
  const damaged = code === 'LEVEL_CORRUPTION' || /corrupt|does not exist|No such file/i.test(text);
  return new StorageError(damaged ? 'damaged' : 'unavailable', text, { cause: error });
}

/** LevelDB's own word, which classic-level puts behind one of its own. */
function reasonOf(error: unknown): { readonly code: unknown; readonly text: string } {
  const reason = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (!(reason instanceof Error)) return { code: undefined, text: String(reason) };
  return { code: 'code' in reason ? reason.code : undefined, text: reason.message };
}
