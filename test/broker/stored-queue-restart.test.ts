import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { settled } from './fake-storage.js';
import { declare, drainAll, restart, send, start, stored } from './stored-queue-support.js';
import { TestConsumer, take } from './support.js';

describe('after a restart', () => {
  it('a queue has its persistent messages in order, and no transient ones', async () => {
    const node = start();
    declare(node);
    send(node, 'abcdefgh');
    send(node, 'ijkl', { persistent: false });
    const again = restart(node.storage.stopped());
    expect([again.queue.messageCount, again.memory.entries]).toEqual([8, 0]);
    expect(await drainAll(again)).toEqual([...'abcdefgh']);
  });

  it('has what it was acknowledged for in no case, and what it had not been in any', async () => {
    const node = start();
    const queue = declare(node);
    send(node, 'abc');
    const a = take(queue);
    node.storage.sync();
    if (a !== undefined) queue.settle(a);
    send(node, 'd');
    expect(await drainAll(restart(node.storage.killed()))).toEqual(['a!', 'b!', 'c!']);
    node.storage.sync();
    expect(await drainAll(restart(node.storage.killed()))).toEqual(['b!', 'c!', 'd']);
  });

  it('numbers go on, so that later messages come behind earlier ones', async () => {
    const node = start();
    declare(node);
    send(node, 'abc');
    const second = restart(node.storage.stopped());
    send(second, 'de');
    const third = restart(second.storage.stopped());
    send(third, 'f');
    expect(await drainAll(third)).toEqual([...'abcdef']);
  });
});

describe('redelivered after the node was killed', () => {
  it('is what was handed out', async () => {
    const node = start();
    const queue = declare(node);
    send(node, 'ab');
    node.storage.sync();
    const waiting = queue.get(false);
    expect(waiting).toBeInstanceOf(Promise);
    node.storage.sync();
    await waiting;
    expect(take(queue)?.message).toMatchObject({ text: 'a' });
    send(node, 'c');
    node.storage.sync();
    const again = restart(node.storage.killed());
    expect(await drainAll(again)).toEqual(['a!', 'b!', 'c']);
  });

  it('is what came while there were consumers, which get it without waiting for the disk', async () => {
    const node = start();
    declare(node);
    const consumer = new TestConsumer();
    node.client.consume('q', consumer);
    send(node, 'ab');
    expect(consumer.texts).toEqual(['a', 'b']);
    node.storage.sync();
    const again = restart(node.storage.killed());
    expect(await drainAll(again)).toEqual(['a!', 'b!']);
  });

  it('is nothing where the node stops in good order and handed nothing out', async () => {
    const node = start();
    declare(node);
    const idle = new TestConsumer({ room: 0 });
    node.client.consume('q', idle);
    send(node, 'ab');
    node.host.stop();
    const again = restart(node.storage.stopped());
    expect(await drainAll(again)).toEqual(['a', 'b']);
  });

  it('and not acknowledged is redelivered after a stop in good order as well', async () => {
    const node = start();
    const queue = declare(node);
    const consumer = new TestConsumer({ room: 2 });
    const subscription = node.client.consume('q', consumer);
    send(node, 'abc');
    const [a] = consumer.entries;
    if (a !== undefined) queue.settle(a);
    subscription.cancel();
    queue.requeue(consumer.entries);
    node.host.stop();
    const again = restart(node.storage.stopped());
    expect(await drainAll(again)).toEqual(['b!', 'c']);
  });

  it('waits for nothing where entry and mark are written together', () => {
    const node = start();
    const queue = declare(node);
    send(node, 'a');
    expect(take(queue)?.message).toMatchObject({ text: 'a' });
  });
});

describe('expiry of stored messages', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] }));
  afterEach(() => void vi.useRealTimers());

  it('goes on from page to page without anybody asking', async () => {
    const node = start();
    const queue = declare(node, { 'x-message-ttl': 100 });
    send(node, 'abcdefghij');
    vi.advanceTimersByTime(100);
    for (let page = 0; page < 4; page++) await settled();
    expect([queue.messageCount, stored(node), node.memory.bytes]).toEqual([0, [], 0]);
  });

  it('goes on after a restart, where nobody uses the queue', async () => {
    const node = start();
    declare(node, { 'x-message-ttl': 100 });
    send(node, 'abcdefghij');
    const { queue } = restart(node.storage.stopped());
    await settled();
    expect(queue.messageCount).toBe(10);
    vi.advanceTimersByTime(100);
    for (let page = 0; page < 6; page++) await settled();
    expect(queue.messageCount).toBe(0);
  });

  it('happens at once for what expired while the node was down', async () => {
    const node = start();
    declare(node);
    send(node, 'ab', { expirationMs: 50 });
    send(node, 'c');
    vi.setSystemTime(Date.now() + 50);
    const again = restart(node.storage.stopped());
    for (let page = 0; page < 4; page++) await settled();
    expect(again.queue.messageCount).toBe(1);
    expect(await drainAll(again)).toEqual(['c']);
  });
});
