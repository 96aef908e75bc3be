import { DeliveryMark } from './delivery-mark.js';
import {
  PAGE_BYTES,
  PAGE_MESSAGES,
  QUEUE_MEMORY_BYTES,
  QUEUE_MEMORY_MESSAGES,
  QUEUE_TIGHT_MEMORY_MESSAGES,
} from './limits.js';
import type { MemoryAccount } from './memory-account.js';
import type { QueueEntry } from './queue-entry.js';
import type { QueueStorage, Storage, StoredEntry } from './storage.js';
import { StoredTail } from './stored-tail.js';

/** How much of a durable queue is in memory. */
export interface PagingLimits {
  readonly memoryMessages: number;
  readonly memoryBytes: number;
  readonly tightMemoryMessages: number;
  readonly pageMessages: number;
  readonly pageBytes: number;
}

export const PAGING_LIMITS: PagingLimits = {
  memoryMessages: QUEUE_MEMORY_MESSAGES,
  memoryBytes: QUEUE_MEMORY_BYTES,
  tightMemoryMessages: QUEUE_TIGHT_MEMORY_MESSAGES,
  pageMessages: PAGE_MESSAGES,
  pageBytes: PAGE_BYTES,
};

/** The queue whose entries these are. */
export interface StoreClient {
  readonly consumerCount: number;
  /** The next entry of its priority, which was only in the store, is in memory. */
  readBack(entry: StoredEntry, redelivered: boolean): void;
  /** Entries may be ready that were not before. */
  goOn(): void;
  /** The store does not give back what it was given. What could not be read stays there. */
  unreadable(error: unknown): void;
}

/**
 * The store's part of a durable queue. Persistent messages are kept there from when they come until they are settled;
 * and whatever does not fit into memory, transient messages as well, is only there until it is read back in pages.
 */
export class QueueStore {
  readonly id: number;
  /** Higher than that of any entry so far. */
  readonly firstFreePosition: number;
  readonly #storage: Storage;
  readonly #entries: QueueStorage;
  readonly #client: StoreClient;
  readonly #memory: MemoryAccount;
  readonly #limits: PagingLimits;
  readonly #mark: DeliveryMark;
  readonly #tail: StoredTail;
  /** Entries up to here may have been handed out before the node started. */
  readonly #redeliveredUpTo: number;
  /** Entries that the store has and that are out for acknowledgement. */
  readonly #out = new Set<QueueEntry>();
  /** `failed`: nothing is read until somebody asks again. */
  #reading: 'no' | 'yes' | 'failed' | 'closed' = 'no';
  /** Changes when the tail is cleared: what is being read is then out of date. */
  #generation = 0;
  #pageMessages: number;
  #unsubscribe: (() => void) | undefined;
  #waiters: (() => void)[] = [];

  constructor(
    id: number,
    storage: Storage,
    client: StoreClient,
    memory: MemoryAccount,
    limits: PagingLimits,
  ) {
    const { storage: entries, recovered } = storage.openQueue(id);
    const last = Math.max(recovered.marked, ...recovered.levels.map((level) => level.lastPosition));
    this.id = id;
    this.firstFreePosition = last + 1;
    this.#storage = storage;
    this.#entries = entries;
    this.#client = client;
    this.#memory = memory;
    this.#limits = limits;
    this.#redeliveredUpTo = recovered.marked;
    this.#mark = new DeliveryMark(entries, storage, recovered.marked, last);
    this.#tail = new StoredTail(recovered.levels);
    // Of a queue that nobody has used since the start, only the head is of interest: it may be to expire.
    this.#pageMessages = recovered.levels.length > 0 ? 1 : limits.pageMessages;
  }

  /** Messages that are only in the store. */
  get messages(): number {
    return this.#tail.messages;
  }

  get bodyBytes(): number {
    return this.#tail.bodyBytes;
  }

  /** The group that what is kept now is written with. */
  get group(): number {
    return this.#storage.current;
  }

  /** Whether a further entry of this priority is to be in the store only. */
  spills(priority: number, ready: { readonly length: number; readonly bodyBytes: number }): boolean {
    if (this.#tail.messages > 0 && this.#tail.has(priority)) return true;
    const { memoryMessages, memoryBytes, tightMemoryMessages } = this.#limits;
    if (ready.length >= memoryMessages || ready.bodyBytes >= memoryBytes) return true;
    return ready.length >= tightMemoryMessages && this.#memory.tight;
  }

  /** Keeps an entry in the store only. */
  spill(entry: StoredEntry): void {
    entry.message.retain();
    this.#keep(entry);
    this.#tail.add(entry);
  }

  /** Keeps an entry that is in memory as well. */
  keep(entry: QueueEntry): void {
    entry.stored = true;
    this.#keep(entry);
  }

  /** An entry was taken. */
  taken(entry: QueueEntry): void {
    if (!entry.stored) return;
    this.#out.add(entry);
    this.#mark.handedOut(entry.position);
  }

  restored(entry: QueueEntry): void {
    if (entry.stored) this.#out.delete(entry);
  }

  settled(entry: QueueEntry): void {
    if (!entry.stored || this.#reading === 'closed') return;
    entry.stored = false;
    this.#out.delete(entry);
    this.#entries.forget(entry.position, entry.priority);
  }

  /** Whether what is only in the store comes before the first entry that is in memory. */
  precedes(first: QueueEntry | undefined): boolean {
    const { top } = this.#tail;
    return top !== undefined && (first === undefined || first.priority < top.priority);
  }

  /** Whether an entry may be handed out now; if not, the client goes on when it may. */
  allows(entry: QueueEntry): boolean {
    if (!entry.stored || entry.transient || this.#mark.covers(entry.position)) return true;
    this.#unsubscribe ??= this.#storage.onSynced((group) => {
      if (group < this.#mark.awaited) return;
      this.#unsubscribe?.();
      this.#unsubscribe = undefined;
      this.#wake();
    });
    return false;
  }

  /** Reads the next page, unless enough is ready. */
  readAhead(readyMessages: number): void {
    if (readyMessages < this.#limits.pageMessages / 2) this.read();
  }

  read(): void {
    const { top } = this.#tail;
    if (top !== undefined && this.#reading === 'no') void this.#read(top.priority, top.fromPosition);
  }

  /** Somebody asks for messages: what could not be read is tried again. */
  retry(): void {
    if (this.#reading === 'failed') this.#reading = 'no';
  }

  /** Settles when more has been read; undefined: there is no more, or it cannot be read just now. */
  reading(): Promise<void> | undefined {
    if (this.#reading === 'yes') return this.waiting();
    this.retry();
    return undefined;
  }

  /** Settles when there may be something to hand out. */
  waiting(): Promise<void> {
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  /**
   * Forgets all entries at once but those that are out; false, and nothing is done, where it is better to forget each.
   */
  clear(): boolean {
    if (this.#tail.messages === 0 && this.#out.size > 0) return false;
    this.#generation++;
    this.#tail.clear();
    this.#entries.clear();
    for (const entry of this.#out) this.#entries.keep(entry);
    return true;
  }

  /** The queue is deleted. */
  delete(): void {
    this.#close();
    this.#storage.removeQueue(this.id);
  }

  /** The node stops: all stays in the store. */
  stop(): void {
    this.#mark.setBack();
    this.#close();
  }

  #keep(entry: StoredEntry): void {
    this.#entries.keep(entry);
    if (!entry.transient) this.#mark.kept(entry.position, this.#client.consumerCount > 0);
  }

  async #read(priority: number, fromPosition: number): Promise<void> {
    this.#reading = 'yes';
    const generation = this.#generation;
    let page: readonly StoredEntry[] | undefined;
    let problem: unknown;
    try {
      page = await this.#readPage(priority, fromPosition);
    } catch (error) {
      problem = error;
    }
    // Closed while it was being read.
    if (this.#reading !== 'yes') return;
    this.#reading = page === undefined ? 'failed' : 'no';
    if (page === undefined) this.#client.unreadable(problem);
    else if (generation === this.#generation) this.#take(priority, page);
    this.#wake();
  }

  /** With what is before an entry that cannot be read, as far as that can be told. */
  async #readPage(priority: number, fromPosition: number): Promise<readonly StoredEntry[]> {
    const bytes = this.#limits.pageBytes;
    let messages = this.#pageMessages;
    this.#pageMessages = this.#limits.pageMessages;
    for (;;) {
      try {
        return await this.#entries.read(priority, fromPosition, { messages, bytes });
      } catch (error) {
        if (messages === 1) throw error;
        messages = Math.ceil(messages / 4);
      }
    }
  }

  #take(priority: number, page: readonly StoredEntry[]): void {
    for (const entry of page) {
      this.#tail.took(entry);
      this.#client.readBack(entry, entry.position <= this.#redeliveredUpTo);
    }
    if (page.length > 0 || !this.#tail.has(priority)) return;
    // The store has lost them: better to go on without than to wait for ever.
    this.#tail.drop(priority);
    this.#client.unreadable(new Error('messages are missing in the store'));
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const resolve of waiters) resolve();
    this.#client.goOn();
  }

  #close(): void {
    this.#reading = 'closed';
    this.#tail.clear();
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
    for (const resolve of this.#waiters) resolve();
    this.#waiters = [];
  }
}
