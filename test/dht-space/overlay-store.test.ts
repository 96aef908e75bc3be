import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LevelDatastore } from 'datastore-level';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { MAX_UNWRITTEN_ENTRIES } from '../../src/dht-space/limits.js';
import { OverlayStore } from '../../src/dht-space/overlay-store.js';
import { eventually } from '../support/eventually.js';
import { teardown } from '../support/teardown.js';
import { newFolder } from './data-folder.js';
import { LogStub } from './log-stub.js';

const log = new LogStub();
let folder: string;

beforeEach(async () => {
  folder = join(await newFolder(), 'overlay');
});

async function openStore(create?: (location: string) => LevelDatastore): Promise<OverlayStore> {
  const store = await OverlayStore.open(folder, log, create);
  teardown(() => store.close());
  return store;
}

async function contents(store: OverlayStore, prefix = '/'): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const { key, value } of store.entries(prefix))
    found[key.toString()] = Buffer.from(value).toString();
  return found;
}

describe('an overlay store', () => {
  it('has after a restart what was put last and not deleted', async () => {
    const store = await openStore();
    store.put('/peers/a', Buffer.from('1'));
    store.put('/peers/a', Buffer.from('2'));
    store.put('/spaces/b', Buffer.from('3'));
    store.put('/peers/c', Buffer.from('4'));
    store.delete('/peers/c');
    await store.close();
    const again = await openStore();
    expect(await contents(again)).toEqual({ '/peers/a': '2', '/spaces/b': '3' });
    expect(await contents(again, '/peers')).toEqual({ '/peers/a': '2' });
  });

  it('writes by itself, soon', async () => {
    const store = await openStore();
    store.put('/a', Buffer.from('1'));
    await eventually(async () => expect(await contents(store)).toEqual({ '/a': '1' }));
  });

  it('can be read by the owner of the process only', async () => {
    await openStore();
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
  });

  it('that another one has open is refused, and says by whom', async () => {
    await openStore();
    await expect(OverlayStore.open(folder, log)).rejects.toThrow(
      `the overlay store '${folder}' is in use: another process has it`,
    );
  });

  it.each([
    ['lacks CURRENT', () => rm(join(folder, 'CURRENT'))],
    ['has a CURRENT that makes no sense', () => writeFile(join(folder, 'CURRENT'), 'nonsense')],
  ])('that %s is refused with what to do, and left as it is', async (_, damage) => {
    const store = await openStore();
    store.put('/a', Buffer.from('1'));
    await store.close();
    await damage();
    const logOf = async () => (await readdir(folder)).filter((file) => /\.(log|ldb)$/.test(file));
    const before = await logOf();
    await expect(OverlayStore.open(folder, log)).rejects.toThrow(
      /overlay store '.*' cannot be opened: .*CURRENT.*no messages: move the folder away/,
    );
    expect(await logOf()).toEqual(before);
  });

  it('whose folder is none is refused with its name', async () => {
    await mkdir(join(folder, '..'), { recursive: true });
    await writeFile(folder, 'a file');
    await expect(OverlayStore.open(folder, log)).rejects.toThrow(`'${folder}' cannot be opened: EEXIST`);
    expect(await readFile(folder, 'utf8')).toBe('a file');
  });

  it('that cannot write warns once, and writes with the next change what it could not', async () => {
    let level: LevelDatastore['db'] | undefined;
    const store = await openStore((location) => {
      const datastore = new LevelDatastore(location);
      level = datastore.db;
      return datastore;
    });
    const warnings = log.entries.length;
    const batch = vi.spyOn(level as LevelDatastore['db'], 'batch').mockRejectedValue(new Error('disk full'));
    store.put('/a', Buffer.from('old'));
    store.put('/b', Buffer.from('1'));
    await eventually(() => batch.mock.calls.length >= 2);
    expect(log.entries.length - warnings).toBe(1);
    store.put('/a', Buffer.from('new'));
    for (let n = 0; n < MAX_UNWRITTEN_ENTRIES; n++) store.put(`/many/${n}`, Buffer.alloc(0));
    batch.mockRestore();
    await eventually(async () => expect(await contents(store, '/a')).toEqual({ '/a': 'new' }));
    expect(await contents(store, '/b')).toEqual({ '/b': '1' });
    const many = Object.keys(await contents(store, '/many'));
    expect(many.length).toBeGreaterThan(MAX_UNWRITTEN_ENTRIES / 2);
    expect(many.length).toBeLessThan(MAX_UNWRITTEN_ENTRIES);
  });
});
