import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Message } from '../../../src/broker/index.js';
import { MemoryAccount } from '../../../src/broker/index.js';
import type { MessageFormat, QueueStorage, StoredEntry } from '../../../src/broker/storage.js';
import type { CreateLevel, Level } from '../../../src/broker/store/database.js';
import { createLevel } from '../../../src/broker/store/database.js';
import type { LevelStoreOptions } from '../../../src/broker/store/index.js';
import { LevelStore } from '../../../src/broker/store/index.js';
import { teardown } from '../../support/teardown.js';

/** More octets than lie in an entry itself. */
export const LARGE_BYTES = 5_000;

/** A message that is nothing but its text. */
class TextMessage implements Message {
  readonly exchange = '';
  readonly routingKey = 'q';
  readonly persistent = true;
  readonly priority = 0;
  readonly expirationMs = undefined;
  readonly alsoTo = undefined;
  readonly text: string;
  holders = 0;

  constructor(text: string) {
    this.text = text;
  }

  get sizeBytes(): number {
    return Buffer.byteLength(this.text);
  }

  get bodyBytes(): number {
    return this.sizeBytes;
  }

  headers(): Record<string, never> {
    return {};
  }

  retain(): void {}

  republished(): Message {
    return this;
  }
}

const FORMAT: MessageFormat = {
  encode: (message) => [Buffer.from('text:'), Buffer.from(textOf(message))],
  decode(bytes) {
    const text = bytes.toString();
    if (!text.startsWith('text:')) throw new Error('no message of this test');
    return new TextMessage(text.slice(5));
  },
};

export function message(text: string): Message {
  return new TextMessage(text);
}

function textOf(message: Message): string {
  if (message instanceof TextMessage) return message.text;
  throw new Error('no message of this test');
}

export function entry(
  position: number,
  text: string | Message,
  more: Partial<StoredEntry> = {},
): StoredEntry {
  const content = typeof text === 'string' ? message(text) : text;
  return { position, priority: 0, message: content, expiresMs: undefined, transient: false, ...more };
}

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'xspace-store-'));
  teardown(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'data');
}

export interface TestStore {
  readonly store: LevelStore;
  readonly memory: MemoryAccount;
  readonly log: readonly string[];
}

/** A store that is closed after the test, unless the test has closed it. */
export async function openStore(
  dataDir: string,
  options: Partial<LevelStoreOptions> = {},
): Promise<TestStore> {
  const memory = new MemoryAccount({ limitBytes: 1e9, limitEntries: 1e9 });
  const log: string[] = [];
  const at = (level: string) => (_: object, text: string) => {
    log.push(`${level} ${text}`);
  };
  const logger = { info: at('info'), warn: at('warn'), error: at('error') };
  const store = await LevelStore.open(dataDir, {
    intervalMs: 0,
    diskLimitBytes: 0,
    format: FORMAT,
    memory,
    logger,
    ...options,
  });
  teardown(() => store.close().catch(() => {}));
  return { store, memory, log };
}

/** Waits until everything that has been asked for is on the disk. */
export async function synced(store: LevelStore, group = store.current): Promise<void> {
  if (store.synced >= group) return;
  await new Promise<void>((resolve) => {
    const stop = store.onSynced((done) => {
      if (done < group) return;
      stop();
      resolve();
    });
  });
}

/** All texts of a queue, by `position:text`, read in pages. */
export async function contentsOf(queue: QueueStorage, priority = 0, messages = 1_000): Promise<string[]> {
  const all: StoredEntry[] = [];
  for (let from = 0; ; from = (all.at(-1)?.position ?? 0) + 1) {
    const page = await queue.read(priority, from, { messages, bytes: 1e9 });
    if (page.length === 0) break;
    all.push(...page);
  }
  return all.map(({ position, message }) => `${position}:${textOf(message)}`);
}

type ChainedBatch = ReturnType<Level['batch']>;

/** A disk that can be told to fail, and that writes down what is written to it. */
export class FakeDisk {
  /** So many batches are yet to fail. */
  failures = 0;
  /** Held until `release`. */
  #held: (() => void) | undefined;
  #holding = false;
  /** Number of records put and deleted, by batch that got to the disk. */
  readonly batches: { readonly puts: number; readonly deletes: number }[] = [];

  readonly createLevel: CreateLevel = (location) => {
    const level = createLevel(location);
    const batch = level.batch.bind(level) as () => ChainedBatch;
    level.batch = ((...args: unknown[]) => {
      const real = Reflect.apply(batch, undefined, args) as ChainedBatch;
      return args.length > 0 ? real : this.#watch(real);
    }) as Level['batch'];
    return level;
  };

  hold(): void {
    this.#holding = true;
  }

  release(): void {
    this.#holding = false;
    this.#held?.();
  }

  #watch(real: ChainedBatch): ChainedBatch {
    const counts = { puts: 0, deletes: 0 };
    const [put, del, write] = [real.put.bind(real), real.del.bind(real), real.write.bind(real)];
    real.put = (key: Buffer, value: Buffer) => {
      counts.puts++;
      return put(key, value);
    };
    real.del = (key: Buffer) => {
      counts.deletes++;
      return del(key);
    };
    real.write = async (options: Parameters<typeof write>[0] = {}) => {
      if (this.#holding) {
        await new Promise<void>((resolve) => {
          this.#held = resolve;
        });
      }
      if (this.failures > 0) {
        this.failures--;
        throw new Error('No space left on device');
      }
      await write(options);
      this.batches.push(counts);
    };
    return real;
  }
}
