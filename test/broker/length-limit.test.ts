import { describe, expect, it } from 'vitest';
import { createBroker, drain, TestConsumer, take } from './support.js';

describe('a queue with a limit that drops its head', () => {
  it('keeps the latest messages', () => {
    const { client, memory } = createBroker();
    const queue = client.queue('q', { arguments: { 'x-max-length': 2 } });
    client.send('q', 'a', 'b', 'c', 'd');
    expect([queue.messageCount, memory.entries, client.refusals]).toEqual([2, 2, 0]);
    expect(drain(queue)).toEqual(['c', 'd']);
  });

  it('counts the octets of bodies where that is the limit', () => {
    const { client } = createBroker();
    const queue = client.queue('q', { arguments: { 'x-max-length-bytes': 5 } });
    client.send('q', 'aa', 'bb', 'c');
    expect(queue.messageCount).toBe(3);
    client.send('q', 'dddd');
    expect(drain(queue)).toEqual(['c', 'dddd']);
    client.send('q', 'longer');
    expect(queue.messageCount).toBe(0);
  });

  it('counts what is ready, and drops again when more comes back', () => {
    const { client } = createBroker();
    const queue = client.queue('q', { arguments: { 'x-max-length': 2 } });
    client.send('q', 'a', 'b');
    const [a, b] = [take(queue), take(queue)];
    client.send('q', 'c', 'd');
    expect(queue.messageCount).toBe(2);
    if (a === undefined || b === undefined) throw new Error('nothing was ready');
    queue.requeue([b]);
    expect(queue.messageCount).toBe(2);
    expect(drain(queue)).toEqual(['c', 'd']);
    queue.requeue([a]);
    expect(drain(queue)).toEqual(['a']);
  });

  it('of 0 hands over what can be taken at once', () => {
    const { client } = createBroker();
    const queue = client.queue('q', { arguments: { 'x-max-length': 0 } });
    const consumer = new TestConsumer({ room: 1 });
    client.consume('q', consumer);
    client.send('q', 'a', 'b');
    expect([consumer.texts, queue.messageCount]).toEqual([['a'], 0]);
  });

  it('drops from the highest priority, where the head is', () => {
    const { client } = createBroker();
    const queue = client.queue('q', { arguments: { 'x-max-length': 2, 'x-max-priority': 5 } });
    for (const [text, priority] of [
      ['a', 5],
      ['b', 1],
      ['c', 1],
      ['d', 3],
    ] as const)
      client.publish('', 'q', text, { priority });
    expect(drain(queue)).toEqual(['b', 'c']);
  });
});

describe('a queue with a limit that refuses', () => {
  it('tells the publisher, and counts as one that the message was routed to', () => {
    const { client } = createBroker();
    const queue = client.queue('q', { arguments: { 'x-max-length': 1, 'x-overflow': 'reject-publish' } });
    expect([client.publish('', 'q', 'a'), client.refusals]).toEqual([1, 0]);
    expect([client.publish('', 'q', 'b'), client.refusals]).toEqual([1, 1]);
    expect(drain(queue)).toEqual(['a']);
    client.send('q', 'c');
    expect(client.refusals).toBe(1);
  });

  it('of 0 refuses everything, also what could be taken at once', () => {
    const { client } = createBroker();
    client.queue('q', { arguments: { 'x-max-length': 0, 'x-overflow': 'reject-publish' } });
    const consumer = new TestConsumer();
    client.consume('q', consumer);
    client.send('q', 'a');
    expect([consumer.texts, client.refusals]).toEqual([[], 1]);
  });

  it('counts octets with those of the message that comes', () => {
    const { client } = createBroker();
    const args = { 'x-max-length-bytes': 4, 'x-overflow': 'reject-publish' };
    const queue = client.queue('q', { arguments: args });
    client.send('q', 'aa', 'bbb', 'cc');
    expect(drain(queue)).toEqual(['aa', 'cc']);
  });

  it('takes back what is requeued, above the limit', () => {
    const { client } = createBroker();
    const queue = client.queue('q', { arguments: { 'x-max-length': 1, 'x-overflow': 'reject-publish' } });
    client.send('q', 'a');
    const a = take(queue);
    client.send('q', 'b');
    if (a !== undefined) queue.requeue([a]);
    expect(drain(queue)).toEqual(['a', 'b']);
  });

  it('buries what it refuses where that is asked for', () => {
    const { client } = createBroker();
    const args = { 'x-max-length': 1, 'x-overflow': 'reject-publish-dlx', 'x-dead-letter-exchange': '' };
    client.queue('q', { arguments: { ...args, 'x-dead-letter-routing-key': 'dead' } });
    const dead = client.queue('dead');
    client.send('q', 'a', 'b');
    expect(client.refusals).toBe(1);
    const letter = take(dead)?.message;
    expect(letter).toMatchObject({ text: 'b' });
    expect(letter?.headers()).toMatchObject({ 'x-first-death-reason': 'maxlen', 'x-first-death-queue': 'q' });
  });
});
