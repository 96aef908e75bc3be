import type { QueueStorage, StoredEntry } from '../storage.js';
import type { Batch } from './batch.js';
import { entryKey, queueKey } from './keys.js';
import { encodeQueue, putEntry, seal } from './records.js';
import type { SharedBody } from './shared-bodies.js';

/** What a queue's storage needs of the store around it. */
export interface QueueLogContext {
  /** Something goes into the current group. */
  changed(queue: QueueLog): void;
  nextId(): number;
  /** The entry's message is held until `release`. */
  hold(entry: StoredEntry): SharedBody | undefined;
  release(entry: StoredEntry): void;
  forgetBody(body: SharedBody): void;
  /** Nothing of these contents counts any more. */
  discard(contents: number): void;
  encode(entry: StoredEntry): readonly Uint8Array[];
  read(queue: QueueLog, request: ReadRequest): Promise<readonly StoredEntry[]>;
}

export interface ReadRequest {
  readonly priority: number;
  readonly fromPosition: number;
  readonly limit: { readonly messages: number; readonly bytes: number };
}

/** Entries to write, and positions with the priorities of those to delete. */
export interface Changes {
  readonly kept: Map<number, StoredEntry>;
  readonly forgotten: Map<number, number>;
}

/** The entries of one queue: what is asked for and not written yet, and where the rest is. */
export class QueueLog implements QueueStorage {
  readonly id: number;
  readonly #context: QueueLogContext;
  #contents: number;
  #marked: number;
  /** The bodies of those entries that do not have their content themselves. */
  readonly #bodies: Map<number, SharedBody>;
  #pending: Changes = noChanges();
  /** Those of the group that is being written. */
  #writing: Changes | undefined;
  #state: 'stored' | 'changed' | 'removed';
  /** What was forgotten since, for each of the reads under way. */
  readonly #reads = new Set<Set<number>>();

  constructor(
    id: number,
    context: QueueLogContext,
    recovered?: { contents: number; marked: number; bodies: Map<number, SharedBody> },
  ) {
    this.id = id;
    this.#context = context;
    this.#contents = recovered?.contents ?? context.nextId();
    this.#marked = recovered?.marked ?? -1;
    this.#bodies = recovered?.bodies ?? new Map();
    this.#state = recovered === undefined ? 'changed' : 'stored';
  }

  get contents(): number {
    return this.#contents;
  }

  keep(entry: StoredEntry): void {
    if (this.#state === 'removed') return;
    const { position } = entry;
    this.#dropPending(position);
    const body = this.#context.hold(entry);
    if (body !== undefined) this.#bodies.set(position, body);
    this.#pending.kept.set(position, entry);
    this.#context.changed(this);
  }

  forget(position: number, priority: number): void {
    if (this.#state === 'removed') return;
    for (const forgotten of this.#reads) forgotten.add(position);
    if (this.#dropPending(position)) return;
    this.#dropBody(position);
    this.#pending.forgotten.set(position, priority);
    this.#context.changed(this);
  }

  clear(): void {
    for (const entry of this.#pending.kept.values()) this.#context.release(entry);
    for (const body of this.#bodies.values()) this.#context.forgetBody(body);
    this.#bodies.clear();
    this.#pending = noChanges();
    this.#writing = undefined;
    this.#context.discard(this.#contents);
    this.#contents = this.#context.nextId();
    this.#recordChanged();
  }

  mark(position: number): void {
    if (position === this.#marked) return;
    this.#marked = position;
    this.#recordChanged();
  }

  read(priority: number, fromPosition: number, limit: ReadRequest['limit']): Promise<readonly StoredEntry[]> {
    return this.#context.read(this, { priority, fromPosition, limit });
  }

  /** For the store: the queue is gone. */
  remove(): void {
    this.clear();
    this.#state = 'removed';
  }

  /** For the store: adds to a group what has changed. What it gives is to be released when the group is written. */
  form(batch: Batch): Changes {
    const changes = this.#pending;
    this.#pending = noChanges();
    this.#writing = changes;
    this.#formRecord(batch);
    // First: an entry may have been forgotten and kept again.
    for (const [position, priority] of changes.forgotten) {
      batch.delete(entryKey(this.#contents, priority, position));
    }
    for (const entry of changes.kept.values()) {
      const body = this.#bodies.get(entry.position);
      putEntry(batch, this.#contents, entry, body?.id ?? this.#context.encode(entry));
    }
    return changes;
  }

  /** For the store: what `form` gave is on the disk. */
  written(changes: Changes): void {
    if (this.#writing === changes) this.#writing = undefined;
  }

  /** For a read: what is not in the database, or is and should not be, as of now. */
  beginRead(): Overlay {
    const [writing, pending] = [this.#writing ?? noChanges(), this.#pending];
    const forgotten = new Set<number>();
    this.#reads.add(forgotten);
    return {
      contents: this.#contents,
      kept: (priority, fromPosition) =>
        [
          ...[...writing.kept.values()].filter(({ position }) => !pending.forgotten.has(position)),
          ...pending.kept.values(),
        ]
          .filter((entry) => entry.priority === priority && entry.position >= fromPosition)
          .sort((a, b) => a.position - b.position),
      isForgotten: (position) => forgotten.has(position),
      isDeleted: (position) =>
        forgotten.has(position) || pending.forgotten.has(position) || writing.forgotten.has(position),
      end: () => {
        this.#reads.delete(forgotten);
      },
    };
  }

  #formRecord(batch: Batch): void {
    if (this.#state === 'stored') return;
    const key = queueKey(this.id);
    if (this.#state === 'removed') batch.delete(key);
    else {
      batch.put(key, seal(key, encodeQueue({ contents: this.#contents, marked: this.#marked })));
      this.#state = 'stored';
    }
  }

  /** Whether there was such an entry, which nobody has to know of then. */
  #dropPending(position: number): boolean {
    const entry = this.#pending.kept.get(position);
    if (entry === undefined) return false;
    this.#pending.kept.delete(position);
    this.#dropBody(position);
    this.#context.release(entry);
    return true;
  }

  #dropBody(position: number): void {
    const body = this.#bodies.get(position);
    if (body === undefined) return;
    this.#bodies.delete(position);
    this.#context.forgetBody(body);
  }

  #recordChanged(): void {
    if (this.#state === 'stored') this.#state = 'changed';
    this.#context.changed(this);
  }
}

/** What a read has to lay over what the database says. */
export interface Overlay {
  readonly contents: number;
  kept(priority: number, fromPosition: number): StoredEntry[];
  /** Since the read began. */
  isForgotten(position: number): boolean;
  /** Since then, or before, and the database may not know yet. */
  isDeleted(position: number): boolean;
  end(): void;
}

function noChanges(): Changes {
  return { kept: new Map(), forgotten: new Map() };
}
