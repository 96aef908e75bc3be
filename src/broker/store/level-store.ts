import { setTimeout } from 'node:timers/promises';
import type { MemoryAccount } from '../memory-account.js';
import type { Definition, MessageFormat, QueueStorage, RecoveredQueue, Storage } from '../storage.js';
import { Batch } from './batch.js';
import type { CreateLevel, Database } from './database.js';
import { createLevel } from './database.js';
import { DiskAlarm } from './disk-alarm.js';
import { encodeTable } from './field-values.js';
import type { GroupSource } from './groups.js';
import { Groups } from './groups.js';
import { definitionKey } from './keys.js';
import { MAX_RETRY_MS, MIN_RETRY_MS } from './limits.js';
import type { StoreLogger } from './logger.js';
import { closeDatabase, explained, openDatabase } from './opening.js';
import type { Changes, QueueLogContext } from './queue-log.js';
import { QueueLog } from './queue-log.js';
import { readEntries } from './reading.js';
import { seal } from './records.js';
import type { Found } from './recovery.js';
import { countOpening, recover } from './recovery.js';
import { SharedBodies } from './shared-bodies.js';
import { Sweeper } from './sweeper.js';
import { Unwritten } from './unwritten.js';

export interface LevelStoreOptions {
  /** How long a group gathers before it is written and synced; 0: no longer than it takes to write the one before. */
  readonly intervalMs: number;
  /** Free space of the disk below this is short. */
  readonly diskLimitBytes: number;
  readonly format: MessageFormat;
  readonly memory: MemoryAccount;
  readonly logger: StoreLogger;
  /** For tests. */
  readonly createLevel?: CreateLevel;
}

interface Group {
  readonly batch: Batch;
  readonly changes: readonly (readonly [QueueLog, Changes])[];
}

/**
 * A node's durable state in LevelDB. All writing goes through groups, one at a time, in the order things were asked for;
 * one that fails is tried until it succeeds, and the disk alarm holds publishers up meanwhile.
 */
export class LevelStore implements Storage {
  readonly disk: DiskAlarm;
  readonly #dataDir: string;
  readonly #database: Database;
  readonly #logger: StoreLogger;
  readonly #found: Found;
  readonly #bodies: SharedBodies;
  readonly #unwritten: Unwritten;
  readonly #sweeper: Sweeper;
  readonly #groups: Groups<Group>;
  readonly #queues = new Map<number, QueueLog>();
  readonly #context: QueueLogContext;
  readonly #nextId: () => number;
  readonly #closing = new AbortController();
  #definedIn = 0;
  readonly #changedQueues = new Set<QueueLog>();
  /** By key; undefined: deleted. */
  readonly #changedDefinitions = new Map<
    string,
    { readonly key: Buffer; readonly value: Buffer | undefined }
  >();

  /**
   * Opens the store of a data directory, or makes one where there has never been one.
   *
   * @throws StorageError that says what to do
   */
  static async open(dataDir: string, options: LevelStoreOptions): Promise<LevelStore> {
    let database: Database | undefined;
    try {
      database = await openDatabase(dataDir, options.createLevel ?? createLevel);
      const store = await database.read(async (level) => {
        let nextId = 0;
        const bodies = new SharedBodies(() => nextId++, options.format);
        const found = await recover(level, bodies);
        nextId = (await countOpening(level)) * 2 ** 32;
        return { bodies, found, nextId: () => nextId++ };
      });
      const opened = new LevelStore(dataDir, database, options, store);
      await opened.disk.start();
      return opened;
    } catch (error) {
      await database?.close();
      throw explained(error, dataDir);
    }
  }

  private constructor(
    dataDir: string,
    database: Database,
    options: LevelStoreOptions,
    recovered: { readonly bodies: SharedBodies; readonly found: Found; readonly nextId: () => number },
  ) {
    const { format, logger, memory, diskLimitBytes, intervalMs } = options;
    this.#dataDir = dataDir;
    this.#database = database;
    this.#logger = logger;
    this.#found = recovered.found;
    this.#nextId = recovered.nextId;
    this.#bodies = recovered.bodies;
    this.#unwritten = new Unwritten(memory);
    this.#groups = new Groups(this.#source(), intervalMs);
    this.#sweeper = new Sweeper(database, () => this.#groups.ask());
    this.#context = this.#queueContext(format);
    this.disk = new DiskAlarm({ path: dataDir, limitBytes: diskLimitBytes, logger });
  }

  get definitions(): readonly Definition[] {
    return this.#found.definitions;
  }

  get definedIn(): number {
    return this.#definedIn;
  }

  get current(): number {
    return this.#groups.current;
  }

  get synced(): number {
    return this.#groups.synced;
  }

  get congestion(): Promise<void> | undefined {
    return this.#unwritten.congestion;
  }

  onSynced(listener: (group: number) => void): () => void {
    return this.#groups.onSynced(listener);
  }

  define({ kind, key: parts, value }: Definition): void {
    const key = definitionKey(kind, parts);
    this.#redefine(key, seal(key, encodeTable(value)));
  }

  undefine(kind: Definition['kind'], parts: readonly string[]): void {
    this.#redefine(definitionKey(kind, parts), undefined);
  }

  nextQueueId(): number {
    return this.#nextId();
  }

  openQueue(id: number): { readonly storage: QueueStorage; readonly recovered: RecoveredQueue } {
    const found = this.#found.queues.get(id);
    const queue = new QueueLog(id, this.#context, found);
    this.#queues.set(id, queue);
    if (found === undefined) this.#context.changed(queue);
    return { storage: queue, recovered: found ?? { levels: [], marked: -1 } };
  }

  removeQueue(id: number): void {
    this.#queues.get(id)?.remove();
    this.#queues.delete(id);
  }

  /**
   * Writes what was asked for, and gives the data directory free. Only the first call does.
   *
   * @throws Error when it could not be written
   */
  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#sweeper.end();
    this.#closing.abort();
    this.#unwritten.relieve();
    this.disk.stop();
    try {
      await this.#groups.close();
    } catch (error) {
      await this.#database.close();
      throw error;
    }
    await closeDatabase(this.#dataDir, this.#database);
  }

  #redefine(key: Buffer, value: Buffer | undefined): void {
    this.#definedIn = this.#groups.current;
    this.#changedDefinitions.set(key.toString('latin1'), { key, value });
    this.#groups.askUrgently();
  }

  #source(): GroupSource<Group> {
    return {
      form: () => this.#form(),
      write: ({ batch }) => this.#write(batch),
      written: ({ changes }) => {
        for (const [queue, written] of changes) {
          for (const { message } of written.kept.values()) this.#unwritten.release(message);
          queue.written(written);
        }
        this.#sweeper.written();
      },
    };
  }

  #queueContext(format: MessageFormat): QueueLogContext {
    return {
      changed: (queue) => {
        this.#changedQueues.add(queue);
        this.#groups.ask();
      },
      nextId: this.#nextId,
      hold: ({ message }) => {
        this.#unwritten.hold(message);
        return this.#bodies.refer(message);
      },
      release: ({ message }) => this.#unwritten.release(message),
      forgetBody: (body) => this.#bodies.release(body),
      discard: (contents) => this.#sweeper.discard(contents),
      encode: ({ message }) => format.encode(message),
      read: (queue, request) => this.#database.read((level) => readEntries(level, format, queue, request)),
    };
  }

  #form(): Group | undefined {
    const batch = new Batch();
    const changes: [QueueLog, Changes][] = [];
    for (const queue of this.#changedQueues) changes.push([queue, queue.form(batch)]);
    this.#changedQueues.clear();
    this.#bodies.form(batch);
    this.#sweeper.form(batch);
    for (const { key, value } of this.#changedDefinitions.values()) {
      if (value === undefined) batch.delete(key);
      else batch.put(key, value);
    }
    this.#changedDefinitions.clear();
    return batch.keys.length === 0 ? undefined : { batch, changes };
  }

  /** Again and again, until it succeeds or the store is closed. */
  async #write(batch: Batch): Promise<void> {
    for (let delayMs = MIN_RETRY_MS, failures = 0; ; delayMs = Math.min(2 * delayMs, MAX_RETRY_MS)) {
      try {
        await this.#database.write(batch);
        if (failures > 0) this.#recovered(failures);
        return;
      } catch (err) {
        if (failures++ === 0) {
          this.#logger.error(
            { err, path: this.#dataDir },
            'the store cannot be written; trying again until it can',
          );
        }
        this.disk.failing = true;
        if (this.#closing.signal.aborted) throw err;
        await setTimeout(delayMs, undefined, { signal: this.#closing.signal }).catch(() => {});
      }
    }
  }

  #recovered(failures: number): void {
    this.#logger.warn({ failures, path: this.#dataDir }, 'the store can be written again');
    this.disk.failing = false;
  }
}
