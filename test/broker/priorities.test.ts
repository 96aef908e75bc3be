import { describe, expect, it } from 'vitest';
import type { TestClient } from './support.js';
import { createBroker, drain, refusal, TestConsumer, take } from './support.js';

function send(client: TestClient, ...messages: (readonly [text: string, priority: number])[]): void {
  for (const [text, priority] of messages) client.publish('', 'q', text, { priority });
}

describe('a queue with priorities', () => {
  it('gives the highest first, and equal ones in the order in which they came', () => {
    const { client } = createBroker();
    const queue = client.queue('q', { arguments: { 'x-max-priority': 5 } });
    send(client, ['a', 1], ['b', 5], ['c', 1], ['d', 3], ['e', 5], ['f', 0]);
    expect(queue.messageCount).toBe(6);
    expect(drain(queue)).toEqual(['b', 'e', 'd', 'a', 'c', 'f']);
  });

  it('takes those above its highest for its highest', () => {
    const { client } = createBroker();
    const queue = client.queue('q', { arguments: { 'x-max-priority': 2 } });
    send(client, ['a', 2], ['b', 255], ['c', 3]);
    expect(drain(queue)).toEqual(['a', 'b', 'c']);
  });

  it('takes requeued messages back to their places', () => {
    const { client } = createBroker();
    const queue = client.queue('q', { arguments: { 'x-max-priority': 5 } });
    send(client, ['a', 1], ['b', 5], ['c', 5], ['d', 1]);
    const [b, c, a] = [take(queue), take(queue), take(queue)];
    send(client, ['e', 5], ['f', 1]);
    queue.requeue([a, c, b].filter((entry) => entry !== undefined));
    expect(drain(queue)).toEqual(['b', 'c', 'e', 'a', 'd', 'f']);
  });

  it('forgets all levels when it is purged', () => {
    const { client, host, memory } = createBroker();
    const queue = client.queue('q', { arguments: { 'x-max-priority': 5 } });
    send(client, ['a', 1], ['b', 5]);
    expect(host.purgeQueue('q', client)).toBe(2);
    expect([queue.messageCount, memory.bytes]).toEqual([0, 0]);
    send(client, ['c', 0]);
    expect(drain(queue)).toEqual(['c']);
  });
});

describe('a queue without priorities', () => {
  it('pays no attention to them', () => {
    const { client } = createBroker();
    const queue = client.queue('q');
    send(client, ['a', 1], ['b', 5]);
    expect(drain(queue)).toEqual(['a', 'b']);
  });
});

describe('a queue with a single active consumer', () => {
  const spec = { arguments: { 'x-single-active-consumer': true } };

  it('gives everything to the first that came, whatever the others could take', () => {
    const { client } = createBroker();
    const queue = client.queue('q', spec);
    const [first, second] = [new TestConsumer({ room: 1 }), new TestConsumer({ priority: 10 })];
    const subscription = client.consume('q', first);
    client.consume('q', second);
    client.send('q', 'a', 'b');
    expect([first.texts, second.texts, queue.messageCount]).toEqual([['a'], [], 1]);
    first.room = 1;
    subscription.wake();
    expect(first.texts).toEqual(['a', 'b']);
  });

  it('goes on with the next when the active one leaves: the highest priority, then who came first', () => {
    const { client } = createBroker();
    client.queue('q', spec);
    const consumers = [0, 1, 5, 5].map((priority) => new TestConsumer({ priority }));
    const subscriptions = consumers.map((consumer) => client.consume('q', consumer));
    const texts = () => consumers.map((consumer) => consumer.texts.join(''));
    client.send('q', 'a');
    subscriptions[0]?.cancel();
    client.send('q', 'b');
    subscriptions[3]?.cancel();
    client.send('q', 'c');
    subscriptions[2]?.cancel();
    client.send('q', 'd');
    expect(texts()).toEqual(['a', 'd', 'bc', '']);
  });

  it('hands the next one what was waiting', () => {
    const { client } = createBroker();
    const queue = client.queue('q', spec);
    const [first, second] = [new TestConsumer({ room: 0 }), new TestConsumer()];
    const subscription = client.consume('q', first);
    client.consume('q', second);
    client.send('q', 'a', 'b');
    subscription.cancel();
    expect([second.texts, queue.messageCount]).toEqual([['a', 'b'], 0]);
  });

  it('has a new active one after all had left', () => {
    const { client } = createBroker();
    client.queue('q', spec);
    client.consume('q', new TestConsumer()).cancel();
    const consumer = new TestConsumer();
    client.consume('q', consumer);
    client.send('q', 'a');
    expect(consumer.texts).toEqual(['a']);
  });

  it('takes no exclusive consumer', () => {
    const { client } = createBroker();
    client.queue('q', spec);
    expect(refusal(() => client.consume('q', new TestConsumer({ exclusive: true })))).toBe(
      "access-refused: queue 'q' in vhost '/' in exclusive use",
    );
  });
});
