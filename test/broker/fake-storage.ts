import type { Definition, QueueStorage, Storage, StoredEntry } from '../../src/broker/storage.js';
import { TextMessage } from './support.js';

interface StoredQueue {
  /** By position: ascending, as each position is kept once, or again where it was. */
  readonly entries: Map<number, StoredEntry>;
  marked: number;
}

type Queues = Map<number, StoredQueue>;
/** By kind and key. */
type Definitions = Map<string, Definition>;

/** A storage in memory. Groups are synced, and pages read, when the test says so. */
export class FakeStorage implements Storage {
  current = 1;
  synced = 0;
  readonly definedIn = 0;
  readonly congestion = undefined;
  /** Makes reading fail from this position on. */
  damagedFrom = Number.POSITIVE_INFINITY;
  reads = 0;
  /** Whether a read waits for {@link letReads}. */
  holdsReads = false;
  #nextId: number;
  #queues: Queues;
  readonly #definitions: Definitions;
  #disk: Queues = new Map();
  #diskDefinitions: Definitions = new Map();
  readonly #listeners = new Set<(group: number) => void>();
  #held: (() => void)[] = [];

  private constructor(queues: Queues, definitions: Definitions, nextId: number) {
    this.#queues = queues;
    this.#definitions = new Map(definitions);
    this.#nextId = nextId;
  }

  static empty(): FakeStorage {
    return new FakeStorage(new Map(), new Map(), 1);
  }

  get definitions(): readonly Definition[] {
    return [...this.#definitions.values()];
  }

  /** What the next start finds when the node stops in good order. */
  stopped(): FakeStorage {
    return new FakeStorage(copy(this.#queues, true), this.#definitions, this.#nextId);
  }

  /** What the next start finds when the node dies now. */
  killed(): FakeStorage {
    return new FakeStorage(copy(this.#disk, true), this.#diskDefinitions, this.#nextId);
  }

  /** The entries of a queue, with those that are not on the disk yet. */
  entries(id: number): readonly StoredEntry[] {
    return [...(this.#queues.get(id)?.entries.values() ?? [])].sort((a, b) => a.position - b.position);
  }

  /** Writes the current group. */
  sync(): void {
    this.#disk = copy(this.#queues, false);
    this.#diskDefinitions = new Map(this.#definitions);
    this.synced = this.current++;
    for (const listener of [...this.#listeners]) listener(this.synced);
  }

  /** Lets the reads that wait, and all later ones, go on. */
  async letReads(): Promise<void> {
    this.holdsReads = false;
    for (const go of this.#held.splice(0)) go();
    await settled();
  }

  onSynced(listener: (group: number) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  define(definition: Definition): void {
    this.#definitions.set([definition.kind, ...definition.key].join(), definition);
  }

  undefine(kind: Definition['kind'], key: readonly string[]): void {
    this.#definitions.delete([kind, ...key].join());
  }

  nextQueueId(): number {
    return this.#nextId++;
  }

  openQueue(id: number): ReturnType<Storage['openQueue']> {
    const queue = this.#queues.get(id) ?? { entries: new Map(), marked: -1 };
    this.#queues.set(id, queue);
    const priorities = new Set([...queue.entries.values()].map(({ priority }) => priority));
    const levels = [...priorities].map((priority) => {
      const entries = this.entries(id).filter((entry) => entry.priority === priority);
      const positions = entries.map(({ position }) => position);
      const bodyBytes = entries.reduce((sum, { message }) => sum + message.bodyBytes, 0);
      const [firstPosition, lastPosition] = [Math.min(...positions), Math.max(...positions)];
      return { priority, messages: entries.length, bodyBytes, firstPosition, lastPosition };
    });
    return { storage: this.#storageOf(queue), recovered: { levels, marked: queue.marked } };
  }

  removeQueue(id: number): void {
    this.#queues.delete(id);
  }

  #storageOf(queue: StoredQueue): QueueStorage {
    return {
      keep: (entry) => {
        const { message, position, priority, expiresMs, transient } = entry;
        queue.entries.set(position, { message: again(message), position, priority, expiresMs, transient });
      },
      forget: (position) => {
        if (!queue.entries.delete(position)) throw new Error(`there is no entry ${position} to forget`);
      },
      clear: () => queue.entries.clear(),
      mark: (position) => {
        queue.marked = position;
      },
      read: async (priority, fromPosition, limit) => {
        this.reads++;
        if (this.holdsReads) await new Promise<void>((resolve) => this.#held.push(resolve));
        const found = [...queue.entries.values()]
          .filter((entry) => entry.priority === priority && entry.position >= fromPosition)
          .sort((a, b) => a.position - b.position)
          .slice(0, limit.messages);
        if (found.some(({ position }) => position >= this.damagedFrom)) throw new Error('damaged');
        let bytes = 0;
        const end = found.findIndex(({ message }, index) => {
          bytes += message.sizeBytes;
          return index > 0 && bytes > limit.bytes;
        });
        return found.slice(0, end < 0 ? found.length : end).map((entry) => ({
          ...entry,
          message: again(entry.message),
        }));
      },
    };
  }
}

/** What is to happen without the test doing anything has happened. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function copy(queues: Queues, withoutTransient: boolean): Queues {
  const result: Queues = new Map();
  for (const [id, { entries, marked }] of queues) {
    const kept = [...entries].filter(([, { transient }]) => !(withoutTransient && transient));
    result.set(id, { entries: new Map(kept), marked });
  }
  return result;
}

/** Another object for the same message, as a store gives back. */
function again(message: StoredEntry['message']): TextMessage {
  if (!(message instanceof TextMessage)) throw new Error('not a message of this test');
  const { exchange, routingKey, text, persistent, priority, expirationMs, alsoTo } = message;
  const expiration = expirationMs === undefined ? {} : { expirationMs };
  const properties = { headers: message.headers(), alsoTo, persistent, priority, ...expiration };
  return new TextMessage(exchange, routingKey, text, properties);
}
