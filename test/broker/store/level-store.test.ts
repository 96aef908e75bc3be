import { describe, expect, it } from 'vitest';
import {
  contentsOf,
  entry,
  FakeDisk,
  LARGE_BYTES,
  message,
  openStore,
  synced,
  temporaryFolder,
} from './support.js';

describe('a store', () => {
  it('has after a restart what it was asked to keep, and not what was forgotten', async () => {
    const dataDir = temporaryFolder();
    const { store } = await openStore(dataDir);
    const id = store.nextQueueId();
    const { storage } = store.openQueue(id);
    for (let position = 0; position < 5; position++) storage.keep(entry(position, `m${position}`));
    await synced(store);
    storage.forget(1, 0);
    storage.mark(2);
    await store.close();

    const { store: again } = await openStore(dataDir);
    const queue = again.openQueue(id);
    expect(queue.recovered).toMatchObject({
      marked: 2,
      levels: [{ priority: 0, messages: 4, bodyBytes: 8, firstPosition: 0, lastPosition: 4 }],
    });
    expect(await contentsOf(queue.storage)).toEqual(['0:m0', '2:m2', '3:m3', '4:m4']);
  });

  it('keeps priorities apart, each in the order of positions', async () => {
    const dataDir = temporaryFolder();
    const { store } = await openStore(dataDir);
    const id = store.nextQueueId();
    const { storage } = store.openQueue(id);
    const positions = [300, 2, 70_000, 2 ** 40, 0];
    for (const [index, position] of positions.entries()) {
      storage.keep(entry(position, `m${index}`, { priority: index % 2 === 0 ? 9 : 1 }));
    }
    await store.close();
    const { store: again } = await openStore(dataDir);
    const queue = again.openQueue(id);
    expect(queue.recovered.levels).toMatchObject([
      { priority: 1, messages: 2, firstPosition: 2, lastPosition: 2 ** 40 },
      { priority: 9, messages: 3, firstPosition: 0, lastPosition: 70_000 },
    ]);
    expect(await contentsOf(queue.storage, 1)).toEqual(['2:m1', `${2 ** 40}:m3`]);
    expect(await contentsOf(queue.storage, 9)).toEqual(['0:m4', '300:m0', '70000:m2']);
  });

  it('gives an entry back as it was: expiry, priority and content, small, large or empty', async () => {
    const dataDir = temporaryFolder();
    const { store } = await openStore(dataDir);
    const id = store.nextQueueId();
    const { storage } = store.openQueue(id);
    const entries = ['', 'small', 'x'.repeat(4_096), 'y'.repeat(4_097), 'z'.repeat(1_000_000)].map(
      (text, index) =>
        entry(index, text, {
          priority: 3,
          expiresMs: index % 2 === 0 ? undefined : 1_700_000_000_123 + index,
        }),
    );
    for (const one of entries) storage.keep(one);
    await store.close();
    const { store: again } = await openStore(dataDir);
    const { storage: found } = again.openQueue(id);
    const read = await found.read(3, 0, { messages: 10, bytes: 1e9 });
    expect(read.map((one) => ({ ...one, message: { ...one.message } }))).toEqual(
      entries.map((one) => ({ ...one, message: { ...one.message, holders: 0 } })),
    );
  });

  it('drops transient entries at the next start, and keeps those beside them', async () => {
    const dataDir = temporaryFolder();
    const { store } = await openStore(dataDir);
    const id = store.nextQueueId();
    const { storage } = store.openQueue(id);
    storage.keep(entry(0, 'x'.repeat(LARGE_BYTES), { transient: true }));
    storage.keep(entry(1, 'kept'));
    storage.keep(entry(2, 'gone', { transient: true }));
    await synced(store);
    expect(await contentsOf(storage)).toHaveLength(3);
    await store.close();
    for (let start = 0; start < 2; start++) {
      const { store: again } = await openStore(dataDir);
      const queue = again.openQueue(id);
      expect(queue.recovered.levels).toMatchObject([{ messages: 1, bodyBytes: 4 }]);
      expect(await contentsOf(queue.storage)).toEqual(['1:kept']);
      await again.close();
    }
  });

  it('has definitions with the types of their values, virtual hosts before what is in them', async () => {
    const dataDir = temporaryFolder();
    const { store } = await openStore(dataDir);
    const value = {
      durable: true,
      'x-max-length': 9_007_199_254_740_991n,
      big: 18_446_744_073_709_551_615n,
      half: 0.5,
      nothing: null,
      when: new Date(1_700_000_000_000),
      octets: Buffer.from([0, 255]),
      nested: { list: [1, 'two', [3n], { four: 4 }], '': '' },
    };
    store.define({ kind: 'binding', key: ['/', 'a\0b', 'ü'.repeat(127), ''], value: {} });
    store.define({ kind: 'queue', key: ['/', 'q'], value: { first: true } });
    store.define({ kind: 'queue', key: ['/', 'q'], value });
    store.define({ kind: 'exchange', key: ['/', 'gone'], value: {} });
    store.define({ kind: 'virtual-host', key: ['/'], value: {} });
    await synced(store);
    store.undefine('exchange', ['/', 'gone']);
    await store.close();
    const { store: again } = await openStore(dataDir);
    expect(again.definitions.map(({ kind }) => kind)).toEqual(['virtual-host', 'queue', 'binding']);
    expect(again.definitions[1]).toEqual({ kind: 'queue', key: ['/', 'q'], value });
    expect(again.definitions[2]?.key).toEqual(['/', 'a\0b', 'ü'.repeat(127), '']);
  });

  it('never gives the number of a queue twice', async () => {
    const dataDir = temporaryFolder();
    const ids = new Set<number>();
    for (let start = 0; start < 3; start++) {
      const { store } = await openStore(dataDir);
      for (let count = 0; count < 10; count++) ids.add(store.nextQueueId());
      await store.close();
    }
    expect(ids.size).toBe(30);
  });

  it('writes a large message once for all of its queues, and deletes it with the last of them', async () => {
    const dataDir = temporaryFolder();
    const disk = new FakeDisk();
    const { store } = await openStore(dataDir, { createLevel: disk.createLevel });
    const [one, other] = [
      store.openQueue(store.nextQueueId()).storage,
      store.openQueue(store.nextQueueId()).storage,
    ];
    const large = message('x'.repeat(LARGE_BYTES));
    await synced(store);
    one.keep(entry(0, large));
    other.keep(entry(5, large));
    await synced(store);
    expect(disk.batches.at(-1)).toEqual({ puts: 3, deletes: 0 });
    one.forget(0, 0);
    await synced(store);
    expect(disk.batches.at(-1)).toEqual({ puts: 0, deletes: 1 });
    expect(await contentsOf(other)).toEqual([`5:${'x'.repeat(LARGE_BYTES)}`]);
    other.forget(5, 0);
    await synced(store);
    expect(disk.batches.at(-1)).toEqual({ puts: 0, deletes: 2 });
  });

  it('deletes a large message after a restart with the last queue that has it', async () => {
    const dataDir = temporaryFolder();
    const disk = new FakeDisk();
    const { store } = await openStore(dataDir);
    const ids = [store.nextQueueId(), store.nextQueueId()];
    const large = message('x'.repeat(LARGE_BYTES));
    for (const id of ids) store.openQueue(id).storage.keep(entry(0, large));
    await store.close();
    const { store: again } = await openStore(dataDir, { createLevel: disk.createLevel });
    for (const [index, id] of ids.entries()) {
      again.openQueue(id).storage.forget(0, 0);
      await synced(again);
      expect(disk.batches.at(-1)).toEqual({ puts: 0, deletes: index + 1 });
    }
  });

  it('has nothing of a queue that was cleared, or removed, from that group on', async () => {
    const dataDir = temporaryFolder();
    const { store } = await openStore(dataDir);
    const [id, removedId] = [store.nextQueueId(), store.nextQueueId()];
    const { storage } = store.openQueue(id);
    const { storage: removed } = store.openQueue(removedId);
    for (let position = 0; position < 10_000; position++) {
      storage.keep(entry(position, 'old'));
      removed.keep(entry(position, 'old'));
    }
    removed.keep(entry(10_000, 'x'.repeat(LARGE_BYTES)));
    await synced(store);
    storage.keep(entry(10_000, 'old'));
    storage.clear();
    storage.keep(entry(10_001, 'new'));
    store.removeQueue(removedId);
    removed.keep(entry(10_001, 'late'));
    removed.forget(3, 0);
    expect(await contentsOf(storage)).toEqual(['10001:new']);
    await store.close();
    const { store: again } = await openStore(dataDir);
    const { storage: found, recovered } = again.openQueue(id);
    expect(recovered.levels).toMatchObject([{ messages: 1, firstPosition: 10_001 }]);
    expect(await contentsOf(found)).toEqual(['10001:new']);
    expect(again.openQueue(removedId).recovered.levels).toEqual([]);
  });

  it('deletes what was in a cleared queue with the groups that follow', async () => {
    const disk = new FakeDisk();
    const { store } = await openStore(temporaryFolder(), { createLevel: disk.createLevel });
    const { storage } = store.openQueue(store.nextQueueId());
    for (let position = 0; position < 10_000; position++) storage.keep(entry(position, 'old'));
    await synced(store);
    storage.clear();
    const deletes = () => disk.batches.reduce((sum, batch) => sum + batch.deletes, 0);
    await new Promise<void>((resolve) => {
      store.onSynced(() => {
        if (deletes() === 10_000) resolve();
      });
    });
    expect(Math.max(...disk.batches.map((batch) => batch.deletes))).toBe(4_096);
  });

  it('books in memory what is not written yet, and nothing once it is', async () => {
    const { store, memory } = await openStore(temporaryFolder());
    const { storage } = store.openQueue(store.nextQueueId());
    storage.keep(entry(0, 'x'.repeat(1_000)));
    storage.keep(entry(1, 'forgotten'));
    storage.forget(1, 0);
    expect(memory.entries).toBe(1);
    expect(memory.bytes).toBeGreaterThan(1_000);
    await synced(store);
    expect(memory.entries).toBe(0);
    expect(memory.bytes).toBe(0);
  });

  it('asks publishers to pause while more than 64 MiB wait to be written', async () => {
    const disk = new FakeDisk();
    const { store } = await openStore(temporaryFolder(), { createLevel: disk.createLevel });
    const { storage } = store.openQueue(store.nextQueueId());
    await synced(store);
    disk.hold();
    for (let position = 0; position < 64; position++) storage.keep(entry(position, 'x'.repeat(1_048_576)));
    expect(store.congestion).toBeUndefined();
    storage.keep(entry(64, 'x'));
    expect(store.congestion).toBeInstanceOf(Promise);
    const relieved = store.congestion;
    disk.release();
    await relieved;
    expect(store.congestion).toBeUndefined();
  });
});
