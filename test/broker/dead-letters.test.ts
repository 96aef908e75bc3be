import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ExchangeHooks, FieldTable, Message, Queue, QueueEntry } from '../../src/broker/index.js';
import { exchangeType } from '../../src/overlay/index.js';
import type { TestClient } from './support.js';
import { createBroker, drain, exchangeSpec, TestConsumer, take, textOf } from './support.js';

const NOW = Date.UTC(2030, 0, 2, 3, 4, 5, 678);

beforeEach(() => void vi.useFakeTimers({ now: NOW }));
afterEach(() => void vi.useRealTimers());

/** A queue whose dead letters go to another one, by the default exchange. */
function buriedIn(client: TestClient, name: string, target: string, args: FieldTable = {}): Queue {
  const deadLetters = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': target };
  return client.queue(name, { arguments: { ...deadLetters, ...args } });
}

function taken(queue: Queue): QueueEntry {
  const entry = take(queue);
  if (entry === undefined) throw new Error('nothing was ready');
  return entry;
}

function rejectNext(queue: Queue): void {
  queue.reject([taken(queue)]);
}

describe('a dead letter', () => {
  it('says where it died, why, when, and how it came there', () => {
    const { client } = createBroker();
    client.exchange('dead', 'fanout');
    const queue = client.queue('q', { arguments: { 'x-dead-letter-exchange': 'dead' } });
    const dead = client.queue('d');
    client.bind('d', 'dead');
    client.bind('q', 'amq.topic', '#');
    const headers = { CC: ['copy'], BCC: ['hidden'], other: 1 };
    client.publish('amq.topic', 'key', 'a', { headers, expirationMs: 60_000 });
    rejectNext(queue);

    const { message } = taken(dead);
    expect(message).toMatchObject({
      text: 'a',
      exchange: 'dead',
      routingKey: 'key',
      expirationMs: undefined,
    });
    expect(message.headers()).toEqual({
      CC: ['copy'],
      other: 1,
      'x-first-death-reason': 'rejected',
      'x-first-death-queue': 'q',
      'x-first-death-exchange': 'amq.topic',
      'x-death': [
        {
          count: 1n,
          reason: 'rejected',
          queue: 'q',
          time: new Date(Date.UTC(2030, 0, 2, 3, 4, 5)),
          exchange: 'amq.topic',
          'routing-keys': ['key', 'copy'],
          'original-expiration': '60000',
        },
      ],
    });
  });

  it('goes by all the keys that the message came with, hidden ones as well', () => {
    const { client } = createBroker();
    client.exchange('dead', 'direct');
    const queue = client.queue('q', { arguments: { 'x-dead-letter-exchange': 'dead' } });
    const names = ['key', 'copy', 'hidden'];
    const queues = names.map((name) => client.queue(name));
    for (const name of names) client.bind(name, 'dead', name);
    client.bind('q', 'amq.fanout');
    client.publish('amq.fanout', 'key', 'a', { headers: { CC: ['copy'], BCC: ['hidden'] } });
    rejectNext(queue);
    expect(queues.map((each) => each.messageCount)).toEqual([1, 1, 1]);
  });

  it("goes by the queue's key alone where it has one", () => {
    const { client } = createBroker();
    const queue = buriedIn(client, 'q', 'd');
    const [dead, copy] = [client.queue('d'), client.queue('copy')];
    client.bind('q', 'amq.fanout');
    client.publish('amq.fanout', 'key', 'a', { headers: { CC: ['copy'] } });
    rejectNext(queue);
    expect(copy.messageCount).toBe(0);
    const { message } = taken(dead);
    expect([message.routingKey, message.headers().CC]).toEqual(['d', undefined]);
    expect(message.headers()['x-death']).toMatchObject([{ 'routing-keys': ['key', 'copy'] }]);
  });

  it('has one entry for each queue and reason, the latest first, with how often it was there', () => {
    const { client } = createBroker();
    const [one, two] = [buriedIn(client, 'one', 'two'), buriedIn(client, 'two', 'one')];
    client.send('one', 'a');
    for (const queue of [one, two, one]) rejectNext(queue);
    const deaths = taken(two).message.headers()['x-death'];
    expect(deaths).toMatchObject([
      { queue: 'one', reason: 'rejected', count: 2n, 'routing-keys': ['one'] },
      { queue: 'two', reason: 'rejected', count: 1n },
    ]);
  });

  it('keeps the entries that it came with, and the first death', () => {
    const { client } = createBroker();
    const queue = buriedIn(client, 'q', 'd', { 'x-message-ttl': 10 });
    const dead = client.queue('d');
    const earlier = { queue: 'elsewhere', reason: 'rejected', count: 3 };
    const first = { 'x-first-death-queue': 'elsewhere', 'x-death': [earlier, earlier, 'nonsense'] };
    client.publish('', 'q', 'a', { headers: first });
    vi.advanceTimersByTime(10);
    expect(queue.messageCount).toBe(0);
    expect(taken(dead).message.headers()).toMatchObject({
      'x-first-death-queue': 'elsewhere',
      'x-death': [{ queue: 'q', reason: 'expired' }, earlier],
    });
  });

  it('counts entries that came without a count, and turns several round, as RabbitMQ does', () => {
    const { client } = createBroker();
    const queue = buriedIn(client, 'q', 'd');
    const dead = client.queue('d');
    const [one, two] = [
      { queue: 'one', reason: 'expired' },
      { queue: 'two', reason: 'maxlen', count: 7 },
    ];
    client.publish('', 'q', 'a', { headers: { 'x-death': [one, one, two, one] } });
    rejectNext(queue);
    const deaths = taken(dead).message.headers()['x-death'];
    expect(deaths).toEqual([expect.objectContaining({ queue: 'q', count: 1n }), two, { ...one, count: 3n }]);
  });

  it('leaves a single entry as it came', () => {
    const { client } = createBroker();
    const queue = buriedIn(client, 'q', 'd');
    const dead = client.queue('d');
    const one = { queue: 'one', reason: 'expired' };
    client.publish('', 'q', 'a', { headers: { 'x-death': [one] } });
    rejectNext(queue);
    expect(taken(dead).message.headers()['x-death']).toEqual([expect.objectContaining({ queue: 'q' }), one]);
  });

  it('starts anew where x-death is something else', () => {
    const { client } = createBroker();
    const queue = buriedIn(client, 'q', 'd');
    const dead = client.queue('d');
    client.publish('', 'q', 'a', { headers: { 'x-death': 'yes' } });
    rejectNext(queue);
    const headers = taken(dead).message.headers();
    expect(headers).toMatchObject({ 'x-death': [{ queue: 'q', count: 1n }] });
    expect(headers['x-first-death-queue']).toBeUndefined();
  });
});

describe('dead letters', () => {
  it('come for what is rejected, has expired and was too much, in order', () => {
    const { client } = createBroker();
    const queue = buriedIn(client, 'q', 'd', { 'x-max-length': 3, 'x-message-ttl': 10 });
    const dead = client.queue('d');
    client.send('q', 'a', 'b', 'c', 'd', 'e');
    queue.reject([taken(queue), taken(queue)]);
    vi.advanceTimersByTime(10);
    const letters = Array.from({ length: 5 }, () => taken(dead).message);
    const reasons = letters.map((letter) => letter.headers()['x-first-death-reason']);
    expect(letters.map(textOf)).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(reasons).toEqual(['maxlen', 'maxlen', 'rejected', 'rejected', 'expired']);
    expect(dead.messageCount).toBe(0);
  });

  it('do not come for what is acknowledged, purged, or goes with its queue', () => {
    const { client, host, memory } = createBroker();
    const queue = buriedIn(client, 'q', 'd');
    const dead = client.queue('d');
    client.send('q', 'a', 'b', 'c', 'd');
    queue.settle(taken(queue));
    const out = taken(queue);
    host.purgeQueue('q', client);
    client.send('q', 'e');
    client.deleteQueue('q');
    queue.reject([out]);
    expect([dead.messageCount, memory.entries]).toEqual([0, 0]);
  });

  it('are dropped while their exchange is not there', () => {
    const { client, memory } = createBroker();
    const queue = client.queue('q', { arguments: { 'x-dead-letter-exchange': 'later' } });
    const dead = client.queue('d');
    client.send('q', 'a', 'b');
    rejectNext(queue);
    expect(memory.entries).toBe(1);
    client.exchange('later', 'fanout');
    client.bind('d', 'later');
    rejectNext(queue);
    expect(drain(dead)).toEqual(['b']);
  });

  it('that come to the queue again without having been rejected are dropped', () => {
    const { client, memory } = createBroker();
    const queue = buriedIn(client, 'q', 'q', { 'x-message-ttl': 10 });
    client.send('q', 'a');
    vi.advanceTimersByTime(10);
    expect(queue.messageCount).toBe(0);

    buriedIn(client, 'one', 'two', { 'x-message-ttl': 10 });
    buriedIn(client, 'two', 'one', { 'x-message-ttl': 10 });
    client.send('one', 'b');
    vi.advanceTimersByTime(100);
    expect(memory.entries).toBe(0);
  });

  it('may go round for as long as somebody rejects them on the way', () => {
    const { client } = createBroker();
    const work = buriedIn(client, 'work', 'retry');
    buriedIn(client, 'retry', 'work', { 'x-message-ttl': 10 });
    client.send('work', 'a');
    for (let round = 0; round < 5; round++) {
      rejectNext(work);
      vi.advanceTimersByTime(10);
    }
    expect(taken(work).message.headers()['x-death']).toMatchObject([
      { queue: 'retry', reason: 'expired', count: 5n },
      { queue: 'work', reason: 'rejected', count: 5n },
    ]);
  });

  it('that bring about further ones do so one after the other, however long the chain', () => {
    const { client } = createBroker();
    const length = 10_000;
    for (let index = 0; index < length; index++) {
      buriedIn(client, `q${index}`, `q${index + 1}`, { 'x-max-length': 1 });
      client.send(`q${index}`, `${index}`);
    }
    const last = client.queue(`q${length}`);
    client.send('q0', 'push');
    expect(drain(last)).toEqual([`${length - 1}`]);
  });

  it('are delivered from inside the call that buries them, and may be rejected there again', () => {
    const { client } = createBroker();
    const queue = buriedIn(client, 'q', 'd');
    buriedIn(client, 'd', 'end');
    const end = client.queue('end');
    const consumer: TestConsumer = new TestConsumer({
      onDeliver: ({ entry }) => entry?.queue.reject([entry]),
    });
    client.consume('d', consumer);
    client.send('q', 'a', 'b');
    queue.reject([taken(queue), taken(queue)]);
    expect(consumer.texts).toEqual(['a', 'b']);
    expect(drain(end)).toEqual(['a', 'b']);
  });
});

describe('a decorated exchange for dead letters', () => {
  function decorate(client: TestClient, published: ExchangeHooks['published']): void {
    const hooks = { published, bound: () => undefined, unbound: () => {}, deleted: () => {} };
    const decoration = { matching: exchangeType('topic'), hooks };
    client.host.declareExchange('alias', exchangeSpec({ type: 'x-exchange' }), decoration);
  }

  it('hears of them as of publications', () => {
    const { client } = createBroker();
    const heard: Message[] = [];
    decorate(client, (message) => void heard.push(message) as undefined);
    const queue = client.queue('q', { arguments: { 'x-dead-letter-exchange': 'alias' } });
    client.send('q', 'a');
    rejectNext(queue);
    expect(heard).toMatchObject([{ text: 'a', exchange: 'alias', routingKey: 'q' }]);
  });

  it('hears of none while it asks to pause; queues get them', async () => {
    const warnings: string[] = [];
    const { client } = createBroker(undefined, { warn: (text) => warnings.push(text) });
    const heard: string[] = [];
    let goOn = () => {};
    decorate(client, (message) => {
      heard.push(textOf(message));
      return new Promise<void>((resolve) => {
        goOn = resolve;
      });
    });
    const queue = client.queue('q', { arguments: { 'x-dead-letter-exchange': 'alias' } });
    const dead = client.queue('d');
    client.bind('d', 'alias', '#');
    client.send('q', 'a', 'b', 'c');
    rejectNext(queue);
    rejectNext(queue);
    goOn();
    await Promise.resolve();
    rejectNext(queue);
    expect(heard).toEqual(['a', 'c']);
    expect(drain(dead)).toEqual(['a', 'b', 'c']);
    expect(warnings[0]).toMatch(/^dead letters to exchange 'alias' stay on this node/);
  });

  it('can refuse them: they are dropped, and the queue goes on', () => {
    const warnings: string[] = [];
    const { client } = createBroker(undefined, { warn: (text) => warnings.push(text) });
    decorate(client, () => {
      throw new Error('in conflict');
    });
    const queue = client.queue('q', { arguments: { 'x-dead-letter-exchange': 'alias' } });
    const dead = client.queue('d');
    client.bind('d', 'alias', '#');
    client.send('q', 'a', 'b');
    rejectNext(queue);
    expect([dead.messageCount, queue.messageCount]).toEqual([0, 1]);
    expect(warnings[0]).toMatch(/refused by exchange 'alias': in conflict/);
  });
});
