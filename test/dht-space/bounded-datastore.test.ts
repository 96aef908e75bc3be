import { describe, expect, it } from 'vitest';
import { BoundedDatastore } from '../../src/dht-space/bounded-datastore.js';
import { STORED_ENTRY_BYTES } from '../../src/dht-space/limits.js';
import { OverlayStore } from '../../src/dht-space/overlay-store.js';
import { eventually } from '../support/eventually.js';
import { teardown } from '../support/teardown.js';
import { newFolder } from './data-folder.js';
import { LogStub } from './log-stub.js';

type Key = Parameters<BoundedDatastore['put']>[0];

/** The datastore uses nothing but the name of a key. */
function key(name: string): Key {
  return { toString: () => name } as Key;
}

function names(store: BoundedDatastore, prefix?: string): string[] {
  const keys = [...store.queryKeys(prefix === undefined ? {} : { prefix })];
  return keys.map(String);
}

/** With room for so many entries of the form `/dht/1`, and their names in them. */
function filled(entries: { readonly [prefix: string]: number }, ...names: string[]): BoundedDatastore {
  const entryBytes = STORED_ENTRY_BYTES + 2 * '/dht/1'.length;
  const sections = Object.entries(entries).map(([prefix, count]) => [
    prefix,
    { limitBytes: count * entryBytes },
  ]);
  const store = new BoundedDatastore(Object.fromEntries(sections));
  for (const name of names) store.put(key(name), Buffer.from(name));
  return store;
}

it('a section with a store has after a restart what was put, not deleted and not pushed out', async () => {
  const store = await OverlayStore.open(await newFolder(), new LogStub());
  teardown(() => store.close());
  const sections = { '/kept': { limitBytes: 2 * 300, store }, '': { limitBytes: 900 } };
  const before = new BoundedDatastore(sections);
  for (const name of ['/kept/1', '/kept/2', '/kept/3', '/kept/4', '/not/1'])
    before.put(key(name), Buffer.from(name));
  before.delete(key('/kept/3'));
  const after = new BoundedDatastore(sections);
  await eventually(async () => {
    await after.load();
    expect(names(after)).toEqual(['/kept/4']);
  });
  expect(Buffer.from(after.get(key('/kept/4'))).toString()).toBe('/kept/4');
});

describe('a bounded datastore', () => {
  it('gives back what was put, and throws a NotFoundError for the rest', () => {
    const store = filled({ '': 9 }, '/a');
    expect(Buffer.from(store.get(key('/a'))).toString()).toBe('/a');
    expect(store.has(key('/a'))).toBe(true);
    store.delete(key('/a'));
    expect(store.has(key('/a'))).toBe(false);
    expect(() => store.get(key('/a'))).toThrow(expect.objectContaining({ name: 'NotFoundError' }));
  });

  it('forgets the least recently written entry of a full section, and nothing of the others', () => {
    const store = filled({ '/dht': 2, '': 9 }, '/peer', '/dht/1', '/dht/2', '/dht/1', '/dht/3');
    expect(names(store, '/dht')).toEqual(['/dht/3', '/dht/1']);
    expect(store.has(key('/peer'))).toBe(true);
  });

  it('yields the most recently written entries first, of one section or of all', () => {
    const store = filled(
      { '/dht/provider': 9, '': 9 },
      '/dht/provider/x/1',
      '/dht/provider/y/1',
      '/dht/provider/x/2',
    );
    expect(names(store, '/dht/provider/x')).toEqual(['/dht/provider/x/2', '/dht/provider/x/1']);
    expect(names(store)).toHaveLength(3);
  });

  it('filters, orders and limits a query', () => {
    const store = filled({ '': 9 }, '/1', '/2', '/3', '/4');
    const found = store.query({
      filters: [({ key }) => String(key) !== '/2'],
      orders: [(a, b) => (String(a.key) < String(b.key) ? -1 : 1)],
      offset: 1,
      limit: 1,
    });
    expect([...found].map((pair) => String(pair.key))).toEqual(['/3']);
  });

  it('commits a batch in its order', async () => {
    const store = filled({ '': 9 });
    const batch = store.batch();
    batch.put(key('/a'), Buffer.from('1'));
    batch.delete(key('/a'));
    batch.put(key('/b'), Buffer.from('2'));
    expect(names(store)).toEqual([]);
    await batch.commit();
    expect(names(store)).toEqual(['/b']);
  });
});
