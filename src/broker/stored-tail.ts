import type { StoredEntry, StoredLevel } from './storage.js';

/** Entries of one priority that are only in the store: `messages` of them, from `fromPosition` on. */
interface Level {
  readonly priority: number;
  messages: number;
  bodyBytes: number;
  fromPosition: number;
}

/**
 * What of a queue is only in the store. In each priority it comes after what is in memory:
 *
 *     memory: every position   <   stored: every position
 */
export class StoredTail {
  readonly #levels = new Map<number, Level>();
  #messages = 0;
  #bodyBytes = 0;
  #top: Level | undefined;

  constructor(found: readonly StoredLevel[]) {
    for (const { priority, messages, bodyBytes, firstPosition } of found) {
      if (messages > 0) this.#insert({ priority, messages, bodyBytes, fromPosition: firstPosition });
      this.#messages += messages;
      this.#bodyBytes += bodyBytes;
    }
  }

  get messages(): number {
    return this.#messages;
  }

  get bodyBytes(): number {
    return this.#bodyBytes;
  }

  /** The highest priority that it has entries of. */
  get top(): { readonly priority: number; readonly fromPosition: number } | undefined {
    return this.#top;
  }

  has(priority: number): boolean {
    return this.#levels.has(priority);
  }

  /** Appends an entry behind all others. */
  add({ priority, position, message }: StoredEntry): void {
    let level = this.#levels.get(priority);
    if (level === undefined) {
      level = { priority, messages: 0, bodyBytes: 0, fromPosition: position };
      this.#insert(level);
    }
    this.#count(level, 1, message.bodyBytes);
  }

  /** The first entry of its priority was read. */
  took({ priority, position, message }: StoredEntry): void {
    const level = this.#levels.get(priority);
    if (level === undefined) return;
    level.fromPosition = position + 1;
    this.#count(level, -1, -message.bodyBytes);
    if (level.messages === 0) this.drop(priority);
  }

  /** Forgets what is there of a priority. */
  drop(priority: number): void {
    const level = this.#levels.get(priority);
    if (level === undefined) return;
    this.#count(level, -level.messages, -level.bodyBytes);
    this.#levels.delete(priority);
    if (this.#top !== level) return;
    this.#top = undefined;
    for (const other of this.#levels.values()) this.#raise(other);
  }

  clear(): void {
    this.#levels.clear();
    this.#top = undefined;
    this.#messages = 0;
    this.#bodyBytes = 0;
  }

  #insert(level: Level): void {
    this.#levels.set(level.priority, level);
    this.#raise(level);
  }

  #raise(level: Level): void {
    if (this.#top === undefined || level.priority > this.#top.priority) this.#top = level;
  }

  #count(level: Level, messages: number, bodyBytes: number): void {
    level.messages += messages;
    level.bodyBytes += bodyBytes;
    this.#messages += messages;
    this.#bodyBytes += bodyBytes;
  }
}
