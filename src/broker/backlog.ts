import type { Alarm } from './alarm.js';
import type { DeathReason } from './death-headers.js';
import { describe } from './errors.js';
import { LengthLimit } from './length-limit.js';
import type { MemoryAccount } from './memory-account.js';
import type { Message } from './message.js';
import type { Publisher } from './publisher.js';
import type { Queue, QueueContext, QueueParts } from './queue.js';
import type { QueueFeatures } from './queue-arguments.js';
import { QueueEntry } from './queue-entry.js';
import type { StoreClient } from './queue-store.js';
import { QueueStore } from './queue-store.js';
import { ReadyLevels } from './ready-levels.js';
import { ReadyList } from './ready-list.js';
import type { StoredEntry } from './storage.js';

/**
 * The messages of a queue and what its arguments make of them: in which order they come, how many there may be, when
 * they expire, where they are, and where they go when they are dropped.
 *
 *     waiting (in memory or in the store) ──▶ out for acknowledgement ──▶ settled or dead letter
 *                  ▲                                   │
 *                  └───────────── restore ─────────────┘
 */
export class Backlog implements StoreClient {
  readonly #queue: Queue;
  readonly #context: QueueContext;
  readonly #memory: MemoryAccount;
  readonly #alarm: Alarm;
  readonly #features: QueueFeatures;
  readonly #limit: LengthLimit | undefined;
  readonly #ready: ReadyList | ReadyLevels;
  /** Undefined: all messages are in memory. */
  readonly #store: QueueStore | undefined;
  #nextPosition = 0;

  /** The alarm is set for the head to expire; who owns it calls {@link expire}. */
  constructor(queue: Queue, { features, stored }: QueueParts, context: QueueContext, alarm: Alarm) {
    this.#queue = queue;
    this.#context = context;
    this.#memory = context.memory;
    this.#alarm = alarm;
    this.#features = features;
    this.#limit = LengthLimit.of(features);
    this.#ready =
      features.maxPriority === undefined ? new ReadyList() : new ReadyLevels(features.maxPriority);
    if (stored === undefined) return;
    this.#store = new QueueStore(stored.id, stored.storage, this, context.memory, context.paging);
    this.#nextPosition = this.#store.firstFreePosition;
    // It may have expired while the node was down.
    this.#head();
  }

  /** Waiting messages. */
  get length(): number {
    return this.#store === undefined ? this.#ready.length : this.#ready.length + this.#store.messages;
  }

  /** Octets of their bodies. */
  get bodyBytes(): number {
    return this.#ready.bodyBytes + (this.#store?.bodyBytes ?? 0);
  }

  /** Octets of content in memory. */
  get readyBytes(): number {
    return this.#ready.sizeBytes;
  }

  get storageId(): number | undefined {
    return this.#store?.id;
  }

  get consumerCount(): number {
    return this.#queue.consumerCount;
  }

  /** Whether a message is not to be taken in: then its publisher is told, and it may be a dead letter already. */
  refuses(message: Message, publisher: Publisher): boolean {
    if (!this.#limit?.refuses(message, this)) return false;
    publisher.refused();
    if (this.#limit.refusedAreDeadLetters) this.#publishDeadLetter(message, 'maxlen');
    return true;
  }

  /** Takes a message in, at the end. */
  add(message: Message, publisher: Publisher): void {
    const { messageTtlMs, deadLetters } = this.#features;
    // RabbitMQ: nobody can take it now, and it expires at once.
    if (messageTtlMs === 0 && deadLetters === undefined) return;
    const store = this.#store;
    if (store?.spills(this.#level(message), this.#ready)) {
      this.#spill(store, message, publisher);
      this.tidy();
      return;
    }
    const entry = this.hold(message, publisher);
    this.#ready.push(entry);
    if (this.#limit !== undefined || entry.expiresMs !== undefined) this.tidy();
  }

  /** Makes the entry of a message, and lets the store keep it where it is to last. It is not among those that wait yet. */
  hold(message: Message, publisher: Publisher): QueueEntry {
    this.#memory.hold(message);
    const priority = this.#level(message);
    const expiresMs = this.#expiryOf(message);
    const entry = new QueueEntry(this.#queue, message, this.#nextPosition++, priority, expiresMs);
    if (this.#store !== undefined && message.persistent) {
      this.#store.keep(entry);
      publisher.storing(this.#store.group);
    }
    return entry;
  }

  /** The entry that is next, where it can be handed out now. */
  next(): QueueEntry | undefined {
    const entry = this.expire();
    return entry === undefined || this.#store?.allows(entry) === false ? undefined : entry;
  }

  /** Takes what {@link next} gave. */
  take(entry: QueueEntry): void {
    this.#ready.shift();
    this.taken(entry);
  }

  /** The entry is out for acknowledgement. */
  taken(entry: QueueEntry): void {
    entry.state = 'unacknowledged';
    this.#store?.taken(entry);
  }

  /** Where there is no next entry: settles when there may be one; undefined: not before a message comes. */
  waiting(): Promise<void> | undefined {
    return this.#head() === undefined ? this.#store?.reading() : this.#store?.waiting();
  }

  /** An entry that was out is back in its place. */
  restore(entry: QueueEntry): void {
    entry.state = 'ready';
    entry.redelivered = true;
    this.#store?.restored(entry);
    this.#ready.restore(entry);
  }

  /** The entry is over. */
  forget(entry: QueueEntry): void {
    entry.state = 'settled';
    this.#store?.settled(entry);
    this.#memory.release(entry.message);
  }

  /** The entry is over, and may be a dead letter. */
  bury(entry: QueueEntry, reason: DeathReason): void {
    this.forget(entry);
    this.#publishDeadLetter(entry.message, reason);
  }

  /** Drops what is too much or too old. Consumers may call back, by way of dead letters. */
  tidy(): void {
    while (this.#limit?.dropsHead(this)) {
      const entry = this.#head();
      if (entry === undefined) return;
      this.#ready.shift();
      this.bury(entry, 'maxlen');
    }
    this.expire();
  }

  /**
   * Drops what is too old, but no more than this, and gives the entry that is next. Only the head expires, as in
   * RabbitMQ: what is behind it does when its turn comes.
   */
  expire(limit = Number.POSITIVE_INFINITY): QueueEntry | undefined {
    for (let dropped = 0; ; dropped++) {
      const entry = this.#head();
      if (entry?.expiresMs === undefined) return entry;
      if (entry.expiresMs > Date.now() || dropped === limit) {
        this.#alarm.at(entry.expiresMs);
        return entry;
      }
      this.#ready.shift();
      this.bury(entry, 'expired');
    }
  }

  /** Reads more from the store before it is missed. */
  readAhead(): void {
    this.#store?.readAhead(this.#ready.length);
  }

  /** What could not be read is tried again. */
  retry(): void {
    this.#store?.retry();
  }

  /** Forgets what is waiting; the number of messages. */
  purge(): number {
    const count = this.length;
    const cleared = this.#store?.clear() ?? true;
    this.#ready.clear((entry) => {
      entry.state = 'settled';
      if (!cleared) this.#store?.settled(entry);
      this.#memory.release(entry.message);
    });
    return count;
  }

  /** The queue is deleted; the number of messages that were waiting. */
  delete(): number {
    const count = this.length;
    this.#store?.delete();
    this.#releaseReady();
    return count;
  }

  /** The node stops: what is in the store stays there. */
  stop(): void {
    this.#store?.stop();
    this.#releaseReady();
  }

  /** As {@link StoreClient}. */
  readBack({ message, position, priority, expiresMs }: StoredEntry, redelivered: boolean): void {
    this.#memory.hold(message);
    const entry = new QueueEntry(this.#queue, message, position, priority, expiresMs);
    entry.stored = true;
    entry.redelivered = redelivered;
    this.#ready.push(entry);
  }

  /** As {@link StoreClient}. */
  goOn(): void {
    this.tidy();
    this.#queue.goOn();
  }

  /** As {@link StoreClient}. */
  unreadable(error: unknown): void {
    const label = describe('queue', this.#queue.name, this.#context.virtualHost);
    this.#context.warn(`${label}: messages cannot be read from the store`, error);
  }

  /** The first entry; undefined: there is none, or it is being read from the store. */
  #head(): QueueEntry | undefined {
    const first = this.#ready.first();
    if (this.#store === undefined || !this.#store.precedes(first)) return first;
    this.#store.read();
    return undefined;
  }

  #spill(store: QueueStore, message: Message, publisher: Publisher): void {
    const { persistent } = message;
    const priority = this.#level(message);
    const expiresMs = this.#expiryOf(message);
    const position = this.#nextPosition++;
    store.spill({ message, position, priority, expiresMs, transient: !persistent });
    if (persistent) publisher.storing(store.group);
  }

  #level(message: Message): number {
    const { maxPriority } = this.#features;
    return maxPriority === undefined ? 0 : Math.min(message.priority, maxPriority);
  }

  /** RabbitMQ: the shorter time of the queue's and the message's counts. */
  #expiryOf({ expirationMs }: Message): number | undefined {
    const { messageTtlMs } = this.#features;
    if (expirationMs === undefined && messageTtlMs === undefined) return undefined;
    return Date.now() + Math.min(expirationMs ?? Infinity, messageTtlMs ?? Infinity);
  }

  #publishDeadLetter(message: Message, reason: DeathReason): void {
    const { deadLetters } = this.#features;
    if (deadLetters === undefined) return;
    this.#context.deadLetters.publish(message, this.#queue.name, reason, deadLetters);
  }

  #releaseReady(): void {
    this.#ready.clear((entry) => {
      entry.state = 'settled';
      this.#memory.release(entry.message);
    });
  }
}
