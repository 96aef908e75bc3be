import { describe, expect, it } from 'vitest';
import { contentsOf, entry, FakeDisk, LARGE_BYTES, openStore, synced, temporaryFolder } from './support.js';

async function fakeDiskStore(intervalMs = 0) {
  const disk = new FakeDisk();
  const dataDir = temporaryFolder();
  const opened = await openStore(dataDir, { createLevel: disk.createLevel, intervalMs });
  const id = opened.store.nextQueueId();
  const { storage } = opened.store.openQueue(id);
  if (intervalMs === 0) await synced(opened.store);
  return { ...opened, disk, dataDir, id, storage };
}

describe('a group', () => {
  it('has all that was asked for in a turn, and the next one all that came while it was written', async () => {
    const { store, disk, storage } = await fakeDiskStore();
    const before = disk.batches.length;
    disk.hold();
    for (let position = 0; position < 100; position++) storage.keep(entry(position, 'm'));
    const group = store.current;
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    expect(store.current).toBe(group + 1);
    for (let position = 100; position < 150; position++) storage.keep(entry(position, 'm'));
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    storage.keep(entry(150, 'm'));
    expect(store.current).toBe(group + 1);
    expect(store.synced).toBe(group - 1);
    disk.release();
    await synced(store);
    expect(disk.batches.slice(before)).toEqual([
      { puts: 100, deletes: 0 },
      { puts: 51, deletes: 0 },
    ]);
  });

  it('never gets to the disk with what was forgotten before it was formed, nor with the deletion', async () => {
    const { store, disk, storage } = await fakeDiskStore();
    const before = disk.batches.length;
    for (let position = 0; position < 100; position++) {
      storage.keep(entry(position, position % 2 === 0 ? 'm' : 'x'.repeat(LARGE_BYTES)));
      storage.forget(position, 0);
    }
    const group = store.current;
    await synced(store, group);
    expect(disk.batches.length).toBe(before);
    expect(store.synced).toBe(group);
  });

  it('deletes what was forgotten while it was being written', async () => {
    const { store, disk, storage, dataDir, id } = await fakeDiskStore();
    disk.hold();
    storage.keep(entry(0, 'forgotten'));
    storage.keep(entry(1, 'kept'));
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    storage.forget(0, 0);
    expect(await contentsOf(storage)).toEqual(['1:kept']);
    disk.release();
    await synced(store);
    expect(disk.batches.at(-1)).toEqual({ puts: 0, deletes: 1 });
    await store.close();
    const { store: again } = await openStore(dataDir);
    expect(await contentsOf(again.openQueue(id).storage)).toEqual(['1:kept']);
  });

  it('is told of in order, each once it is on the disk', async () => {
    const { store, disk, storage } = await fakeDiskStore();
    const told: [number, number][] = [];
    store.onSynced((group) => told.push([group, disk.batches.length]));
    const [first, batches] = [store.current, disk.batches.length];
    for (let position = 0; position < 3; position++) {
      storage.keep(entry(position, 'm'));
      await synced(store);
    }
    expect(told).toEqual([0, 1, 2].map((index) => [first + index, batches + index + 1]));
  });

  it('has a mark with the entries that were kept with it', async () => {
    const { store, disk, storage, dataDir, id } = await fakeDiskStore();
    const before = disk.batches.length;
    storage.keep(entry(0, 'm'));
    storage.mark(0);
    await synced(store);
    storage.mark(0);
    await store.close();
    expect(disk.batches.slice(before)).toEqual([{ puts: 2, deletes: 0 }]);
    const { store: again } = await openStore(dataDir);
    expect(again.openQueue(id).recovered.marked).toBe(0);
  });

  it('gathers for the interval that was set', async () => {
    const { store, disk, storage } = await fakeDiskStore(60_000);
    const before = disk.batches.length;
    storage.keep(entry(0, 'm'));
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    storage.keep(entry(1, 'm'));
    await store.close();
    expect(disk.batches.slice(before)).toEqual([{ puts: 3, deletes: 0 }]);
  });

  it('does not gather any longer when a definition is asked for', async () => {
    const { store, disk, storage } = await fakeDiskStore(60_000);
    const before = disk.batches.length;
    storage.keep(entry(0, 'm'));
    store.define({ kind: 'queue', key: ['/', 'q'], value: {} });
    await synced(store);
    expect(disk.batches.slice(before)).toEqual([{ puts: 3, deletes: 0 }]);
  });
});

describe('a disk that fails', () => {
  it('raises the alarm and is tried until it takes the group, with nothing lost and the order kept', async () => {
    const { store, disk, storage, log, dataDir, id } = await fakeDiskStore();
    const alarms: boolean[] = [];
    store.disk.onChange((high) => alarms.push(high));
    disk.failures = 3;
    storage.keep(entry(0, 'first'));
    const group = store.current;
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    storage.keep(entry(1, 'second'));
    storage.forget(0, 0);
    storage.keep(entry(2, 'x'.repeat(LARGE_BYTES)));
    expect(store.synced).toBe(group - 1);
    expect((await contentsOf(storage)).map((text) => text.slice(0, 8))).toEqual(['1:second', '2:xxxxxx']);
    await synced(store);
    expect(alarms).toEqual([true, false]);
    expect(log).toEqual([
      'error the store cannot be written; trying again until it can',
      'warn the store can be written again',
    ]);
    await store.close();
    const { store: again } = await openStore(dataDir);
    expect(await contentsOf(again.openQueue(id).storage)).toHaveLength(2);
  });

  it('while the store is closed makes the closing fail, and what was synced is there at the next start', async () => {
    const { store, disk, storage, dataDir, id } = await fakeDiskStore();
    storage.keep(entry(0, 'synced'));
    await synced(store);
    disk.failures = Number.POSITIVE_INFINITY;
    storage.keep(entry(1, 'lost'));
    await expect(store.close()).rejects.toThrow('No space left on device');
    const { store: again } = await openStore(dataDir);
    expect(await contentsOf(again.openQueue(id).storage)).toEqual(['0:synced']);
  });
});
