import { describe, expect, it } from 'vitest';
import { FakeStorage, settled } from './fake-storage.js';
import { declare, drain4, drainAll, PAGING, send, start, stored } from './stored-queue-support.js';
import { createBroker, drain, MESSAGE_BYTES, TestConsumer, take, textOf } from './support.js';

describe('a durable queue', () => {
  it('keeps persistent messages from when they come until they are settled, and tells the publisher', () => {
    const node = start();
    const queue = declare(node);
    send(node, 'ab');
    send(node, 'c', { persistent: false });
    expect(stored(node)).toEqual(['a', 'b']);
    expect(node.client.groups).toEqual([1, 1]);
    const [a, b] = [take(queue), take(queue)];
    if (a === undefined || b === undefined) throw new Error('nothing was ready');
    queue.settle(a);
    expect(stored(node)).toEqual(['b']);
    queue.requeue([b]);
    expect(stored(node)).toEqual(['b']);
    expect(drain(queue)).toEqual(['b', 'c']);
    expect(stored(node)).toEqual([]);
  });

  it('keeps what it hands over at once only where it is to be acknowledged', () => {
    const node = start();
    declare(node);
    const consumer = new TestConsumer({ noAck: true });
    const subscription = node.client.consume('q', consumer);
    send(node, 'a');
    expect([consumer.texts, node.client.groups]).toEqual([['a'], []]);
    subscription.cancel();
    node.client.consume('q', new TestConsumer());
    send(node, 'b');
    expect([stored(node), node.client.groups]).toEqual([['b'], [1]]);
  });

  it('forgets what is dropped, has expired or was rejected, and keeps dead letters in the same group', () => {
    const node = start();
    const args = { 'x-max-length': 1, 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'd' };
    const queue = declare(node, args);
    node.client.queue('d', { durable: true });
    send(node, 'ab');
    const b = take(queue);
    if (b !== undefined) queue.reject([b]);
    expect(stored(node)).toEqual([]);
    expect(node.storage.entries(2).map(({ message }) => textOf(message))).toEqual(['a', 'b']);
  });

  it('forgets everything when it is purged, but for what is out', () => {
    const node = start();
    const queue = declare(node);
    send(node, 'abcdefghij');
    const a = take(queue);
    expect(node.host.purgeQueue('q', node.client)).toBe(9);
    expect([stored(node), queue.messageCount]).toEqual([['a'], 0]);
    send(node, 'k');
    if (a !== undefined) queue.requeue([a]);
    expect(drain(queue)).toEqual(['a', 'k']);
  });

  it('takes its store along when it is deleted', () => {
    const node = start();
    const queue = declare(node);
    send(node, 'abcdefghij');
    const a = take(queue);
    expect(node.client.deleteQueue('q')).toBe(9);
    if (a !== undefined) queue.settle(a);
    expect([stored(node), node.memory.bytes]).toEqual([[], 0]);
  });
});

describe('a long durable queue', () => {
  it('has its end in the store only, and gives back everything in order', async () => {
    const node = start();
    const queue = declare(node);
    const texts = Array.from({ length: 50 }, (_, index) => `${index}`);
    send(node, texts);
    expect([queue.messageCount, node.memory.entries]).toEqual([50, 4]);
    expect(await drainAll({ ...node, queue })).toEqual(texts);
    expect([stored(node), node.memory.bytes, queue.messageCount]).toEqual([[], 0, 0]);
  });

  it('leaves transient messages to the store as well, without their publisher waiting for it', async () => {
    const node = start();
    const queue = declare(node);
    send(node, 'abcdef', { persistent: false });
    expect([stored(node), node.client.groups]).toEqual([['e', 'f'], []]);
    expect(await drainAll({ ...node, queue })).toEqual([...'abcdef']);
    expect(stored(node)).toEqual([]);
  });

  it('is read back while it is consumed, with more coming meanwhile', async () => {
    const node = start();
    const queue = declare(node);
    const consumer: TestConsumer = new TestConsumer({
      onDeliver: ({ entry }) => entry?.queue.settle(entry),
    });
    send(node, 'abcdefghij');
    node.client.consume('q', consumer);
    send(node, 'kl');
    node.storage.sync();
    await settled();
    send(node, 'mn');
    await settled();
    node.storage.sync();
    await settled();
    expect(consumer.texts).toEqual([...'abcdefghijklmn']);
    expect([queue.messageCount, stored(node)]).toEqual([0, []]);
  });

  it('has less of it in memory while memory is tight', () => {
    const storage = FakeStorage.empty();
    const { client, memory } = createBroker(undefined, { storage, paging: PAGING });
    memory.add(Number.MAX_SAFE_INTEGER * 0.6);
    client.queue('q', { durable: true });
    client.send('q', 'a', 'b', 'c', 'd');
    expect(memory.entries).toBe(2);
  });

  it('counts the octets that are in memory, too', () => {
    const node = start();
    const queue = declare(node);
    send(node, ['x'.repeat(999), 'y'.repeat(10), 'z']);
    expect([queue.messageCount, node.memory.entries]).toEqual([3, 2]);
  });

  it('keeps to its length limit, reading what it has to drop', async () => {
    const node = start();
    const queue = declare(node, { 'x-max-length': 8 });
    send(
      node,
      Array.from({ length: 30 }, (_, index) => `${index}`),
    );
    await settled();
    await settled();
    expect(queue.messageCount).toBe(8);
    expect(await drainAll({ ...node, queue })).toEqual(['22', '23', '24', '25', '26', '27', '28', '29']);
    expect(stored(node)).toEqual([]);
  });

  it('with priorities reads the higher ones first', async () => {
    const node = start();
    const queue = declare(node, { 'x-max-priority': 2 });
    for (const [index, text] of [...'abcdefghijkl'].entries()) send(node, text, { priority: index % 3 });
    expect(node.memory.entries).toBe(4);
    expect(await drainAll({ ...node, queue })).toEqual([...'cfilbehkadgj']);
    expect(stored(node)).toEqual([]);
  });

  it('forgets a page that is being read when it is purged', async () => {
    const node = start();
    const queue = declare(node);
    send(node, 'abcdefgh');
    drain4(queue);
    node.storage.holdsReads = true;
    expect(queue.get(true)).toBeInstanceOf(Promise);
    expect(node.host.purgeQueue('q', node.client)).toBe(4);
    send(node, 'ijklmnop');
    await node.storage.letReads();
    expect(await drainAll({ ...node, queue })).toEqual([...'ijklmnop']);
    expect([stored(node), node.memory.bytes]).toEqual([[], 0]);
  });

  it('may be deleted while it is being read', async () => {
    const node = start();
    const queue = declare(node);
    send(node, 'abcdefgh');
    drain4(queue);
    node.storage.holdsReads = true;
    const waiting = queue.get(true);
    node.client.deleteQueue('q');
    await waiting;
    await node.storage.letReads();
    expect([queue.get(true), node.memory.bytes]).toEqual([undefined, 0]);
  });

  it('gives what can be read where the store is damaged, says so, and tries again when it is asked', async () => {
    const node = start();
    const queue = declare(node);
    send(node, 'abcdefgh');
    node.storage.damagedFrom = 6;
    expect(await drainAll({ ...node, queue })).toEqual([...'abcdef']);
    expect([queue.messageCount, stored(node)]).toEqual([2, ['g', 'h']]);
    expect(node.warnings[0]).toBe("queue 'q' in vhost '/': messages cannot be read from the store");
    const consumer = new TestConsumer();
    node.client.consume('q', consumer);
    await settled();
    expect(consumer.texts).toEqual([]);
    node.storage.damagedFrom = Number.POSITIVE_INFINITY;
    expect(await drainAll({ ...node, queue })).toEqual([]);
    node.client.consume('q', new TestConsumer());
    node.storage.sync();
    await settled();
    node.storage.sync();
    await settled();
    expect(queue.messageCount).toBe(0);
  });
});

describe('the memory account', () => {
  it('has nothing of what is only in the store', async () => {
    const node = start();
    const queue = declare(node);
    send(node, 'abcdefgh');
    const perEntry = node.memory.bytes / node.memory.entries;
    expect(perEntry).toBeGreaterThan(MESSAGE_BYTES);
    expect(node.memory.entries).toBe(4);
    drain4(queue);
    expect(node.memory.bytes).toBe(0);
    await queue.get(false);
    expect([node.memory.entries, node.memory.bytes]).toEqual([4, 4 * perEntry]);
  });
});
