import { describe, expect, it } from 'vitest';
import type { Queue } from '../../src/broker/index.js';
import { BrokerError, PRIVATE_VIRTUAL_HOST } from '../../src/broker/index.js';
import { DefinitionsOnly } from './definitions-only.js';
import { createBroker, drain, refusal, TestClient, TestConsumer } from './support.js';

const ALL = { configure: '.*', write: '.*', read: '.*' };
const PASSWORD = 'a password that nobody guesses';

function openPrivate(options: { storage?: DefinitionsOnly; maxBindings?: number } = {}) {
  const { broker } = createBroker(undefined, options.storage && { storage: options.storage });
  const events: string[] = [];
  const note = (event: string) => (queue: Queue) =>
    void events.push(`${queue.name} ${event} ${queue.consumerCount}`);
  const rules = {
    maxBindingsPerQueue: options.maxBindings ?? 10,
    assertDeclarable(name: string) {
      if (name.startsWith('bad')) throw new BrokerError('not-found', 'no such place');
    },
    declared: note('declared'),
    consumersChanged: note('consumers'),
    deleted: note('deleted'),
  };
  const host = broker.openPrivateVirtualHost(rules);
  return { broker, host, rules, events, client: new TestClient(host) };
}

describe('the private virtual host', () => {
  it('is not there for administrators and users', () => {
    const { broker } = openPrivate();
    expect(broker.virtualHostNames).toEqual(['/']);
    expect(broker.virtualHost(PRIVATE_VIRTUAL_HOST)).toBeUndefined();
    const missing = `not-found: vhost '${PRIVATE_VIRTUAL_HOST}' does not exist`;
    expect(refusal(() => broker.removeVirtualHost(PRIVATE_VIRTUAL_HOST))).toBe(missing);
    expect(refusal(() => broker.setPermissions('guest', PRIVATE_VIRTUAL_HOST, ALL))).toBe(missing);
    expect(refusal(() => broker.enter(broker.users.get('guest'), PRIVATE_VIRTUAL_HOST))).toBe(
      `not-allowed: vhost ${PRIVATE_VIRTUAL_HOST} not found`,
    );
  });

  it('has a name that nobody can take, also while it is not open', () => {
    const text = "precondition-failed: vhost name: 'xspace-relay' is reserved for relays of other nodes";
    expect(refusal(() => createBroker().broker.addVirtualHost('xspace-relay'))).toBe(text);
    expect(refusal(() => openPrivate().broker.addVirtualHost('xspace-relay'))).toBe(text);
  });

  it('is one', () => {
    const { broker, rules } = openPrivate();
    expect(() => broker.openPrivateVirtualHost(rules)).toThrow("vhost 'xspace-relay' is open already");
  });

  it('is entered by accounts of login sources that lead into it', async () => {
    const { broker, host } = openPrivate();
    const account = { password: PASSWORD, virtualHost: PRIVATE_VIRTUAL_HOST, permissions: ALL };
    broker.addLoginSource({ account: (name) => (name === 'relay' ? account : undefined) });
    const user = await broker.users.authenticate('relay', PASSWORD, { loopback: false });
    expect(broker.enter(user, PRIVATE_VIRTUAL_HOST).virtualHost).toBe(host);
    expect(refusal(() => broker.enter(user, '/'))).toContain("access to vhost '/' refused");
  });

  it('keeps nothing, whatever the node keeps', () => {
    const storage = new DefinitionsOnly();
    const { client, host } = openPrivate({ storage });
    client.queue('q', { durable: true });
    host.declareExchange('x', {
      type: 'fanout',
      durable: true,
      autoDelete: false,
      internal: false,
      arguments: {},
    });
    expect(storage.text()).not.toContain(PRIVATE_VIRTUAL_HOST);
  });

  it('tells of its queues: declared, read, not read, gone', () => {
    const { client, events } = openPrivate();
    client.queue('q');
    client.queue('q');
    const [first, second] = [0, 1].map(() => client.consume('q', new TestConsumer({ noAck: true })));
    first?.cancel();
    second?.cancel();
    client.deleteQueue('q');
    expect(events).toEqual(['q declared 0', 'q consumers 1', 'q consumers 0', 'q deleted 0']);
  });

  it('tells once of a queue that goes with its last consumer, or its owner', () => {
    const { client, host, events } = openPrivate();
    client.queue('q', { autoDelete: true });
    client.consume('q', new TestConsumer({ noAck: true })).cancel();
    client.queue('r', { exclusive: true });
    client.consume('r', new TestConsumer({ noAck: true }));
    host.releaseOwner(client);
    expect(events.filter((event) => !event.includes('declared'))).toEqual([
      'q consumers 1',
      'q deleted 0',
      'r consumers 1',
      'r deleted 0',
    ]);
  });

  it('has no queues that its rules refuse, and no more bindings of one than they allow', () => {
    const { client, events } = openPrivate({ maxBindings: 2 });
    expect(refusal(() => client.queue('bad'))).toBe('not-found: no such place');
    expect(events).toEqual([]);
    client.queue('q');
    client.queue('r');
    for (const queue of ['q', 'r']) for (const key of ['a', 'b']) void client.bind(queue, 'amq.topic', key);
    void client.bind('q', 'amq.topic', 'a');
    expect(refusal(() => client.bind('q', 'amq.topic', 'c'))).toBe(
      "precondition-failed: cannot bind: limit of 2 bindings of 'q' is reached",
    );
    client.unbind('q', 'amq.topic', 'a');
    void client.bind('q', 'amq.topic', 'c');
  });

  it('lets nobody hold messages without taking them: they are consumed without acknowledgement', () => {
    const { client } = openPrivate();
    const queue = client.queue('q');
    const refused =
      "access-refused: queue 'q' in vhost 'xspace-relay' is consumed without acknowledgement only";
    expect(refusal(() => client.consume('q', new TestConsumer()))).toBe(refused);
    expect(refusal(() => queue.get(false))).toBe(refused);
    client.send('q', 'm');
    expect(drain(queue)).toEqual(['m']);
  });
});

describe('what a queue tells of itself', () => {
  it('is how many messages it has taken in, those handed over at once included', () => {
    const { client } = createBroker();
    const queue = client.queue('q', { arguments: { 'x-max-length': 2, 'x-overflow': 'reject-publish' } });
    client.send('q', 'a', 'b', 'refused');
    expect([queue.enqueuedCount, queue.messageCount]).toEqual([2, 2]);
    queue.purge();
    const consumer = new TestConsumer({ noAck: true });
    client.consume('q', consumer);
    client.send('q', 'c');
    expect([queue.enqueuedCount, queue.messageCount, consumer.texts]).toEqual([3, 0, ['c']]);
  });

  it.each([{}, { 'x-max-priority': 5 }])('is how many octets are ready, headers included (%j)', (args) => {
    const { client } = createBroker();
    const queue = client.queue('q', { arguments: args });
    client.send('q', 'a', 'b', 'c');
    expect(queue.readyBytes).toBe(300);
    const entry = queue.get(false);
    expect(queue.readyBytes).toBe(200);
    if (entry === undefined || entry instanceof Promise) throw new Error('it is in memory');
    queue.requeue([entry]);
    expect(queue.readyBytes).toBe(300);
    queue.purge();
    expect(queue.readyBytes).toBe(0);
  });

  it('is how many bindings there are of it', () => {
    const { client, host } = createBroker();
    const queue = client.queue('q');
    expect(host.bindingCount(queue)).toBe(0);
    for (const key of ['a', 'b', 'b']) void client.bind('q', 'amq.topic', key);
    expect(host.bindingCount(queue)).toBe(2);
    client.unbind('q', 'amq.topic', 'a');
    expect(host.bindingCount(queue)).toBe(1);
  });
});
