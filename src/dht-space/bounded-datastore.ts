import { NotFoundError } from '@libp2p/interface';
import type { Libp2pInit } from 'libp2p';
import { STORED_ENTRY_BYTES } from './limits.js';
import type { OverlayStore } from './overlay-store.js';

type Datastore = NonNullable<Libp2pInit['datastore']>;
type Key = Parameters<Datastore['put']>[0];
type Query = Parameters<Datastore['query']>[0];
type KeyQuery = Parameters<Datastore['queryKeys']>[0];
type Many<T> = Iterable<T> | AsyncIterable<T>;

interface Pair {
  readonly key: Key;
  readonly value: Uint8Array;
}

/** Of a section, what starts with its prefix. */
export interface SectionOptions {
  /** At this the least recently written entries make room. */
  readonly limitBytes: number;
  /** Its entries are kept over restarts. */
  readonly store?: OverlayStore | undefined;
}

/**
 * What libp2p keeps, in memory: known peers, provider records, values of the DHT. Strangers can write all of these, so
 * each section has a limit. Queries yield the most recently written entries first, so that those of live members come
 * before those that nobody renews.
 */
export class BoundedDatastore implements Datastore {
  readonly #sections: readonly Section[];

  /** @param sections by prefix; the longest that fits counts */
  constructor(sections: { readonly [prefix: string]: SectionOptions }) {
    const byLength = Object.entries(sections).sort(([a], [b]) => b.length - a.length);
    this.#sections = byLength.map(([prefix, options]) => new Section(prefix, options));
  }

  /** Reads what earlier starts have kept. */
  async load(): Promise<void> {
    for (const section of this.#sections) await section.load();
  }

  put(key: Key, value: Uint8Array): Key {
    this.#section(key.toString()).put({ key, value });
    return key;
  }

  get(key: Key): Uint8Array {
    const name = key.toString();
    const pair = this.#section(name).pairs.get(name);
    if (pair === undefined) throw new NotFoundError(`nothing under ${name}`);
    return pair.value;
  }

  has(key: Key): boolean {
    const name = key.toString();
    return this.#section(name).pairs.has(name);
  }

  delete(key: Key): void {
    const name = key.toString();
    this.#section(name).delete(name);
  }

  async *putMany(source: Many<Pair>): AsyncGenerator<Key> {
    for await (const { key, value } of source) yield this.put(key, value);
  }

  async *getMany(source: Many<Key>): AsyncGenerator<{ key: Key; value: Uint8Array }> {
    for await (const key of source) yield { key, value: this.get(key) };
  }

  async *deleteMany(source: Many<Key>): AsyncGenerator<Key> {
    for await (const key of source) {
      this.delete(key);
      yield key;
    }
  }

  batch(): ReturnType<Datastore['batch']> {
    let changes: (() => void)[] = [];
    return {
      put: (key, value) => void changes.push(() => this.put(key, value)),
      delete: (key) => void changes.push(() => this.delete(key)),
      commit: () => {
        for (const change of changes) change();
        changes = [];
      },
    };
  }

  *query(query: Query): Generator<{ key: Key; value: Uint8Array }> {
    yield* selected(this.#pairs(query.prefix), query);
  }

  *queryKeys(query: KeyQuery): Generator<Key> {
    yield* selected(
      this.#pairs(query.prefix).map((pair) => pair.key),
      query,
    );
  }

  #section(name: string): Section {
    const section = this.#sections.find(({ prefix }) => name.startsWith(prefix));
    if (section === undefined) throw new NotFoundError(`no place for ${name}`);
    return section;
  }

  #pairs(prefix = ''): Pair[] {
    const sections = this.#sections.filter(
      (section) => prefix.startsWith(section.prefix) || section.prefix.startsWith(prefix),
    );
    const names = sections.flatMap(({ pairs }) =>
      [...pairs].filter(([name]) => name.startsWith(prefix)).reverse(),
    );
    return names.map(([, pair]) => pair);
  }
}

class Section {
  readonly prefix: string;
  readonly #limitBytes: number;
  readonly #store: OverlayStore | undefined;
  /** In the order of writing. */
  readonly pairs = new Map<string, Pair>();
  #bytes = 0;

  constructor(prefix: string, { limitBytes, store }: SectionOptions) {
    this.prefix = prefix;
    this.#limitBytes = limitBytes;
    this.#store = store;
  }

  async load(): Promise<void> {
    for await (const pair of this.#store?.entries(this.prefix) ?? []) this.#keep(pair);
  }

  put(pair: Pair): void {
    this.#store?.put(pair.key.toString(), pair.value);
    this.#keep(pair);
  }

  delete(name: string): void {
    if (!this.#drop(name)) return;
    this.#store?.delete(name);
  }

  #keep(pair: Pair): void {
    const name = pair.key.toString();
    this.#drop(name);
    this.pairs.set(name, pair);
    this.#bytes += costOf(name, pair);
    for (const oldest of this.pairs.keys()) {
      if (this.#bytes <= this.#limitBytes) break;
      this.delete(oldest);
    }
  }

  #drop(name: string): boolean {
    const pair = this.pairs.get(name);
    if (pair === undefined) return false;
    this.#bytes -= costOf(name, pair);
    return this.pairs.delete(name);
  }
}

function costOf(name: string, { value }: Pair): number {
  return name.length + value.length + STORED_ENTRY_BYTES;
}

interface Selection<T> {
  filters?: ((item: T) => boolean)[];
  orders?: ((a: T, b: T) => number)[];
  offset?: number;
  limit?: number;
}

function selected<T>(items: T[], { filters = [], orders = [], offset = 0, limit }: Selection<T>): T[] {
  const kept = items.filter((item) => filters.every((filter) => filter(item)));
  for (const order of orders) kept.sort(order);
  return kept.slice(offset, limit === undefined ? undefined : offset + limit);
}
