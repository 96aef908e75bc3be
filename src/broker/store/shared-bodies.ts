import type { Message } from '../message.js';
import type { MessageFormat } from '../storage.js';
import type { Batch } from './batch.js';
import { bodyKey } from './keys.js';
import { INLINE_BYTES } from './limits.js';
import { seal } from './records.js';

/** The content of a large message, which lies once in the store for all entries that have it. */
export interface SharedBody {
  readonly id: number;
  references: number;
  /** `new` and `forgotten`: a group has yet to write or to delete it. */
  state: 'new' | 'stored' | 'forgotten';
  /** While it is new. */
  message: Message | undefined;
}

/** Counts who refers to large contents, writes them with the first entry, and deletes them with the last. */
export class SharedBodies {
  readonly #nextId: () => number;
  readonly #format: MessageFormat;
  readonly #byMessage = new WeakMap<Message, SharedBody>();
  /** Those with something to write or to delete. */
  readonly #changed = new Set<SharedBody>();

  constructor(nextId: () => number, format: MessageFormat) {
    this.#nextId = nextId;
    this.#format = format;
  }

  /** One more entry has this message. Undefined: it is small, and lies in its entry. */
  refer(message: Message): SharedBody | undefined {
    if (message.sizeBytes <= INLINE_BYTES) return undefined;
    const known = this.#byMessage.get(message);
    if (known !== undefined && known.references > 0) {
      known.references++;
      return known;
    }
    const body: SharedBody = { id: this.#nextId(), references: 1, state: 'new', message };
    this.#byMessage.set(message, body);
    this.#changed.add(body);
    return body;
  }

  /** One that was found in the store. */
  recovered(id: number): SharedBody {
    return { id, references: 0, state: 'stored', message: undefined };
  }

  release(body: SharedBody): void {
    if (--body.references > 0) return;
    if (body.state === 'new') this.#changed.delete(body);
    else this.#changed.add(body);
    body.state = 'forgotten';
    body.message = undefined;
  }

  /** Adds to a group what has changed. */
  form(batch: Batch): void {
    for (const body of this.#changed) {
      const key = bodyKey(body.id);
      if (body.message === undefined) batch.delete(key);
      else batch.put(key, seal(key, ...this.#format.encode(body.message)));
      if (body.state === 'new') body.state = 'stored';
      body.message = undefined;
    }
    this.#changed.clear();
  }
}
