import { describe, expect, it, vi } from 'vitest';
import { Broker, MemoryAccount } from '../../src/broker/index.js';
import { exchangeTypes } from '../../src/overlay/index.js';
import { createBroker, createCountingClient, refusal, TestConsumer } from './support.js';

const PREDECLARED_EXCHANGES = 7;

vi.mock(import('../../src/broker/limits.js'), async (original) => ({
  ...(await original()),
  MAX_QUEUES: 3 as never,
  MAX_EXCHANGES: 8 as never,
  MAX_BINDINGS: 3 as never,
  MAX_CONSUMERS: 3 as never,
  MAX_VIRTUAL_HOSTS: 2 as never,
  MAX_USERS: 2 as never,
  MAX_CACHED_ROUTE_WEIGHT: 20 as never,
}));

describe('what a broker holds is limited', () => {
  const create = () =>
    new Broker({ exchangeTypes, memory: new MemoryAccount({ limitBytes: 1e6, limitEntries: 1e6 }) });

  it('to a number of virtual hosts, and removing one makes room for another', () => {
    const broker = create();
    broker.addVirtualHost('one');
    expect(refusal(() => broker.addVirtualHost('two'))).toBe(
      'precondition-failed: the limit of 2 virtual hosts is reached',
    );
    broker.addVirtualHost('one');
    broker.removeVirtualHost('one');
    broker.addVirtualHost('two');
    expect(broker.virtualHostNames).toEqual(['/', 'two']);
  });

  it('to a number of users, and removing one makes room for another', async () => {
    const broker = create();
    await broker.users.add('one', '', []);
    await expect(broker.users.add('two', '', [])).rejects.toThrow('the limit of 2 users is reached');
    broker.removeUser('one');
    await broker.users.add('two', '', []);
    expect(broker.users.size).toBe(2);
  });
});

describe('what a virtual host holds is limited', () => {
  it('to a number of queues, and deleting one makes room for another', () => {
    const { client } = createBroker();
    for (const name of ['a', 'b', 'c']) client.queue(name);
    expect(refusal(() => client.queue('d'))).toBe(
      "precondition-failed: cannot declare queue 'd': queue limit in vhost '/' (3) is reached",
    );
    client.queue('c');
    client.deleteQueue('a');
    client.queue('d');
  });

  it('to a number of exchanges, and deleting one makes room for another', () => {
    const { client } = createBroker();
    for (let count = PREDECLARED_EXCHANGES; count < 8; count++) client.exchange(`x${count}`, 'fanout');
    expect(refusal(() => client.exchange('y', 'fanout'))).toBe(
      "precondition-failed: cannot declare exchange 'y': exchange limit in vhost '/' (8) is reached",
    );
    client.deleteExchange('x7');
    client.exchange('y', 'fanout');
  });

  it('to a number of bindings, and those undone or gone with a queue make room for others', () => {
    const { client } = createBroker();
    client.queue('q');
    client.queue('r');
    for (const key of ['a', 'b', 'c']) client.bind('q', 'amq.direct', key);
    expect(refusal(() => client.bind('r', 'amq.direct', 'd'))).toBe(
      'precondition-failed: cannot bind: binding limit in the vhost (3) is reached',
    );
    client.bind('q', 'amq.direct', 'c');
    client.unbind('q', 'amq.direct', 'a');
    client.bind('r', 'amq.direct', 'd');
    client.deleteQueue('q');
    client.bind('r', 'amq.direct', 'e');
    client.bind('r', 'amq.direct', 'f');
  });

  it('to a number of consumers per queue, and one that cancels makes room for another', () => {
    const { client } = createBroker();
    client.queue('q');
    const subscriptions = ['a', 'b', 'c'].map((tag) => client.consume('q', new TestConsumer({ tag })));
    expect(refusal(() => client.consume('q', new TestConsumer()))).toBe(
      "precondition-failed: cannot consume from queue 'q' in vhost '/': consumer limit (3) is reached",
    );
    subscriptions[1]?.cancel();
    client.consume('q', new TestConsumer());
  });
});

describe('the routes that are kept', () => {
  it('are limited in number and length over all exchanges, and found again after they were forgotten', () => {
    const { client, matches } = createCountingClient();
    client.queue('q');
    client.bind('q', 'amq.topic', '#');
    client.bind('q', 'amq.fanout');
    // The limit is 20, and a route to one queue weighs 2.
    const keys = Array.from({ length: 5 }, (_, index) => `${index}`);
    const publishAll = () => {
      for (const key of keys) {
        expect([client.publish('amq.topic', key, 'x'), client.publish('amq.fanout', key, 'x')]).toEqual([
          1, 1,
        ]);
      }
      return matches();
    };
    expect(publishAll()).toBe(10);
    expect(publishAll()).toBe(10);
    client.publish('amq.topic', 'one more', 'x');
    expect(matches()).toBe(11);
    expect(publishAll()).toBe(21);
  });
});
