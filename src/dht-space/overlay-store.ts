import { mkdir, readdir } from 'node:fs/promises';
import { LevelDatastore } from 'datastore-level';
import type { Libp2pInit } from 'libp2p';
import type { Logger } from '../overlay/index.js';
import { MAX_UNWRITTEN_ENTRIES, WRITE_DELAY_MS } from './limits.js';

type Datastore = NonNullable<Libp2pInit['datastore']>;
type Key = Parameters<Datastore['put']>[0];

/** Only the owner's: it tells whom this node deals with. */
const PRIVATE = 0o700;

/**
 * What a node knows of the overlay, kept over restarts: LevelDB in a folder of the data directory. There are no messages
 * in it, and what is lost of it can be learned again from any node. So nobody waits for it: writes of the same second
 * leave together, unsynced, and what fails is tried again with the next.
 */
export class OverlayStore {
  readonly #datastore: LevelDatastore;
  readonly #logger: Logger;
  /** What is to be written, by name; undefined: deleted. */
  #unwritten = new Map<string, Uint8Array | undefined>();
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  #state: 'working' | 'failing' | 'closed' = 'working';

  private constructor(datastore: LevelDatastore, logger: Logger) {
    this.#datastore = datastore;
    this.#logger = logger;
  }

  /** @throws Error that says what to do, when the folder is another process's, damaged, or not to be used */
  static async open(
    folder: string,
    logger: Logger,
    create = (location: string) => new LevelDatastore(location),
  ): Promise<OverlayStore> {
    try {
      await mkdir(folder, { recursive: true, mode: PRIVATE });
      const files = await readdir(folder);
      // LevelDB would begin anew, and delete what is there.
      if (files.some((file) => /^(MANIFEST-|\d+\.)/.test(file)) && !files.includes('CURRENT'))
        throw new Error('CURRENT: the file is missing');
      const datastore = create(folder);
      await datastore.db.open({ createIfMissing: true, compression: false });
      return new OverlayStore(datastore, logger);
    } catch (error) {
      throw explained(folder, error);
    }
  }

  /** What is kept under names that begin so. */
  async *entries(prefix: string): AsyncGenerator<{ readonly key: Key; readonly value: Uint8Array }> {
    for await (const { key, value } of this.#datastore.query({ prefix })) yield { key, value };
  }

  put(name: string, value: Uint8Array): void {
    this.#change(name, value);
  }

  delete(name: string): void {
    this.#change(name, undefined);
  }

  async close(): Promise<void> {
    if (this.#state === 'closed') return;
    await this.#flush();
    clearTimeout(this.#timer);
    this.#state = 'closed';
    await this.#datastore.close();
  }

  #change(name: string, value: Uint8Array | undefined): void {
    if (this.#state === 'closed') return;
    // Only where nothing can be written: what is on the disk is older then, which does no harm.
    if (this.#unwritten.size >= MAX_UNWRITTEN_ENTRIES && !this.#unwritten.has(name)) return;
    this.#unwritten.set(name, value);
    this.#writeSoon();
  }

  #writeSoon(): void {
    this.#timer ??= setTimeout(() => void this.#flush(), WRITE_DELAY_MS).unref();
  }

  #flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#writing = this.#writing.then(() => this.#write());
    return this.#writing;
  }

  async #write(): Promise<void> {
    if (this.#unwritten.size === 0) return;
    const changes = this.#unwritten;
    this.#unwritten = new Map();
    try {
      await this.#datastore.db.batch(
        [...changes].map(([key, value]) =>
          value === undefined ? { type: 'del', key } : { type: 'put', key, value },
        ),
      );
      this.#state = 'working';
    } catch (err) {
      if (this.#state === 'working')
        this.#logger.warn({ err }, 'what is known of the overlay cannot be written, and is tried again');
      this.#state = 'failing';
      const later = this.#unwritten;
      this.#unwritten = changes;
      for (const [name, value] of later) this.#change(name, value);
      this.#writeSoon();
    }
  }
}

function explained(folder: string, error: unknown): Error {
  const reasons: string[] = [];
  let isLocked = false;
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    reasons.push(cause.message);
    isLocked ||= 'code' in cause && cause.code === 'LEVEL_LOCKED';
  }
  const text = isLocked
    ? `the overlay store '${folder}' is in use: another process has it. Stop the node that runs there`
    : `the overlay store '${folder}' cannot be opened: ${reasons.at(-1) ?? String(error)}. It was left as it is. It holds ` +
      'what this node knows of other nodes, and no messages: move the folder away to start without that, which needs seeds';
  return new Error(text, { cause: error });
}
