import type { FieldTable, Message } from './message.js';

/** A message at its place in a durable queue. */
export interface StoredEntry {
  /** Unique in its queue, and ascending in the order of arrival; requeued entries keep theirs. */
  readonly position: number;
  /** The level it waits at in a queue with priorities; 0 in others. */
  readonly priority: number;
  readonly message: Message;
  /** When it is dropped unless it was consumed, in milliseconds since 1970; undefined: never. */
  readonly expiresMs: number | undefined;
  /** It is dropped at the next start; it is written only so that it need not be held in memory. */
  readonly transient: boolean;
}

/** What is known of the entries of one priority of a queue. */
export interface StoredLevel {
  readonly priority: number;
  readonly messages: number;
  readonly bodyBytes: number;
  readonly firstPosition: number;
  readonly lastPosition: number;
}

/**
 * Where a durable queue's messages are kept. Calls take effect in their order; what is asked for within a group is
 * written together, or not at all.
 */
export interface QueueStorage {
  /**
   * Writes the entry with the current group, unless it is forgotten before that. Once for each position, unless it was
   * forgotten in between.
   */
  keep(entry: StoredEntry): void;
  forget(position: number, priority: number): void;
  /** Forgets all entries. */
  clear(): void;
  /**
   * Every entry up to this position may have been handed to somebody: after a restart it is redelivered. Written with
   * the current group, so a mark is there whenever an entry is that was kept in the same group or later.
   */
  mark(position: number): void;
  /**
   * Entries of this priority from this position on, in order, at most so many and of so many octets of content in all,
   * but at least one unless there is none. Those kept and not written yet are among them.
   *
   * @throws StorageError when they cannot be read
   */
  read(
    priority: number,
    fromPosition: number,
    limit: { readonly messages: number; readonly bytes: number },
  ): Promise<readonly StoredEntry[]>;
}

/** What a start of the node found of a queue's messages. */
export interface RecoveredQueue {
  /** Those that were not transient; transient ones are gone. */
  readonly levels: readonly StoredLevel[];
  /** The last mark, -1 where there is none. */
  readonly marked: number;
}

/** Writes groups, one after the other. */
export interface GroupCommit {
  /** Number of the group that what is asked for now goes into. */
  readonly current: number;
  /** All groups up to this one are on the disk. */
  readonly synced: number;
  /** Calls back whenever a group is on the disk. Returns what ends that. */
  onSynced(listener: (group: number) => void): () => void;
  /** While more waits to be written than should: settles when publishers may go on. */
  readonly congestion: Promise<void> | undefined;
}

/** Something durable other than a message: a virtual host, a user, an exchange, a queue, a binding. */
export interface Definition {
  readonly kind: 'virtual-host' | 'user' | 'permission' | 'exchange' | 'queue' | 'binding';
  /** What identifies it among those of its kind, outermost first, such as virtual host and name. */
  readonly key: readonly string[];
  /** All else about it: plain data, as field tables may hold. */
  readonly value: FieldTable;
}

/** Where a node's durable state is kept. Without one, durable things live as long as the node. */
export interface Storage extends GroupCommit {
  /** What a start of the node found. */
  readonly definitions: readonly Definition[];
  /** Writes the definition with the current group, in place of an earlier one of its kind and key. */
  define(definition: Definition): void;
  undefine(kind: Definition['kind'], key: readonly string[]): void;
  /** The group that the last of these went into, 0 where there was none. */
  readonly definedIn: number;
  /** A number for a new queue; never used again. */
  nextQueueId(): number;
  openQueue(id: number): { readonly storage: QueueStorage; readonly recovered: RecoveredQueue };
  /** Forgets the queue with its messages. */
  removeQueue(id: number): void;
}

/** How messages become octets for a store and messages again; whoever knows their bytes provides it. */
export interface MessageFormat {
  /** All that is needed to deliver the message later. The parts may be the message's own memory. */
  encode(message: Message): readonly Uint8Array[];
  /** @throws Error when these are no octets that `encode` made */
  decode(bytes: Buffer): Message;
}
