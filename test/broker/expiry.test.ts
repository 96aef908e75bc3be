import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createBroker, drain, refusal, TestConsumer, take } from './support.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('messages in a queue with a time to live', () => {
  it('are gone when their time is over, by one timer however many there are', () => {
    const { client, memory } = createBroker();
    const queue = client.queue('q', { arguments: { 'x-message-ttl': 1_000 } });
    client.send('q', 'a');
    vi.advanceTimersByTime(500);
    client.send('q', 'b', 'c');
    expect(vi.getTimerCount()).toBe(1);

    vi.advanceTimersByTime(499);
    expect(queue.messageCount).toBe(3);
    vi.advanceTimersByTime(1);
    expect(queue.messageCount).toBe(2);
    vi.advanceTimersByTime(500);
    expect([queue.messageCount, memory.bytes, vi.getTimerCount()]).toEqual([0, 0, 0]);
  });

  it('live as long as the message itself says where that is shorter', () => {
    const { client } = createBroker();
    const queue = client.queue('q', { arguments: { 'x-message-ttl': 1_000 } });
    client.publish('', 'q', 'short', { expirationMs: 100 });
    client.publish('', 'q', 'long', { expirationMs: 5_000 });
    vi.advanceTimersByTime(100);
    expect(queue.messageCount).toBe(1);
    vi.advanceTimersByTime(900);
    expect(queue.messageCount).toBe(0);
  });

  it('expire at the head only: what is behind a message without an end waits for it', () => {
    const { client } = createBroker();
    const queue = client.queue('q');
    client.publish('', 'q', 'for ever');
    client.publish('', 'q', 'short', { expirationMs: 10 });
    client.publish('', 'q', 'after');
    vi.advanceTimersByTime(1_000);
    expect(queue.messageCount).toBe(3);
    expect(take(queue)?.message).toMatchObject({ text: 'for ever' });
    expect(queue.messageCount).toBe(1);
    expect(drain(queue)).toEqual(['after']);
  });

  it('keep their end when they are requeued', () => {
    const { client } = createBroker();
    const queue = client.queue('q', { arguments: { 'x-message-ttl': 1_000 } });
    client.send('q', 'a', 'b');
    const [a, b] = [take(queue), take(queue)];
    vi.advanceTimersByTime(999);
    if (a !== undefined) queue.requeue([a]);
    expect(queue.messageCount).toBe(1);
    vi.advanceTimersByTime(1);
    if (b !== undefined) queue.requeue([b]);
    expect(queue.messageCount).toBe(0);
  });

  it('are not handed out late, even where the timer has not rung yet', () => {
    const { client } = createBroker();
    const queue = client.queue('q', { arguments: { 'x-message-ttl': 1_000 } });
    client.send('q', 'a');
    vi.setSystemTime(Date.now() + 1_000);
    const consumer = new TestConsumer();
    client.consume('q', consumer);
    expect([consumer.texts, queue.messageCount]).toEqual([[], 0]);
  });

  it('of 0 are delivered at once or never', () => {
    const { client } = createBroker();
    const queue = client.queue('q', { arguments: { 'x-message-ttl': 0 } });
    expect(client.publish('', 'q', 'nobody is there')).toBe(1);
    expect(queue.messageCount).toBe(0);
    const consumer = new TestConsumer({ room: 1 });
    client.consume('q', consumer);
    client.send('q', 'taken', 'nobody can take it');
    expect([consumer.texts, queue.messageCount]).toEqual([['taken'], 0]);
  });

  it('with an expiration of 0 likewise', () => {
    const { client, memory } = createBroker();
    const queue = client.queue('q');
    client.publish('', 'q', 'nobody is there', { expirationMs: 0 });
    expect([queue.messageCount, memory.entries]).toEqual([0, 0]);
    const consumer = new TestConsumer({ room: 1 });
    client.consume('q', consumer);
    client.publish('', 'q', 'taken', { expirationMs: 0 });
    expect(consumer.texts).toEqual(['taken']);
  });

  it('of years need no timer that node does not have', () => {
    const { client } = createBroker();
    const queue = client.queue('q', { arguments: { 'x-message-ttl': 315_360_000_000 } });
    client.send('q', 'a');
    vi.advanceTimersByTime(2 ** 31);
    expect(queue.messageCount).toBe(1);
    vi.advanceTimersByTime(315_360_000_000 - 2 ** 31);
    expect(queue.messageCount).toBe(0);
  });

  it('go in parts where there are many, so that the node goes on meanwhile', () => {
    const { client } = createBroker();
    const queue = client.queue('q', { arguments: { 'x-message-ttl': 10 } });
    client.send('q', ...Array.from({ length: 2_500 }, () => 'x'));
    vi.advanceTimersByTime(10);
    expect(queue.messageCount).toBe(1_500);
    vi.advanceTimersByTime(2);
    expect(queue.messageCount).toBe(0);
  });
});

describe('a queue that expires', () => {
  const spec = { arguments: { 'x-expires': 1_000 } };

  it('goes with its messages when nobody has used it for so long', () => {
    const { client, host, memory } = createBroker();
    client.queue('q', spec);
    client.send('q', 'a');
    vi.advanceTimersByTime(999);
    expect(host.findQueue('q')).toBeDefined();
    vi.advanceTimersByTime(1);
    expect([host.findQueue('q'), memory.bytes]).toEqual([undefined, 0]);
  });

  it('stays while it has a consumer, and for its time after the last one has left', () => {
    const { client, host } = createBroker();
    client.queue('q', spec);
    const subscription = client.consume('q', new TestConsumer());
    vi.advanceTimersByTime(10_000);
    expect(host.findQueue('q')).toBeDefined();
    subscription.cancel();
    vi.advanceTimersByTime(999);
    expect(host.findQueue('q')).toBeDefined();
    vi.advanceTimersByTime(1);
    expect(host.findQueue('q')).toBeUndefined();
  });

  it('is used by declaring it again, also passively, and not by publishing to it', () => {
    const { client, host } = createBroker();
    client.queue('q', spec);
    vi.advanceTimersByTime(900);
    client.queue('q', spec);
    vi.advanceTimersByTime(900);
    host.queue('q', client);
    vi.advanceTimersByTime(900);
    client.send('q', 'a');
    vi.advanceTimersByTime(100);
    expect(refusal(() => host.queue('q', client))).toBe("not-found: no queue 'q' in vhost '/'");
  });

  it('leaves no timer behind when it is deleted before', () => {
    const { client } = createBroker();
    client.queue('q', { arguments: { 'x-expires': 1_000, 'x-message-ttl': 10 } });
    client.send('q', 'a');
    client.deleteQueue('q');
    expect(vi.getTimerCount()).toBe(0);
  });
});
