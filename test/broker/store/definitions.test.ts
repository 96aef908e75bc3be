import { describe, expect, it } from 'vitest';
import type { LevelStore } from '../../../src/broker/store/index.js';
import { exchangeTypes } from '../../../src/overlay/index.js';
import { createBroker, exchangeSpec, refusal, TestClient, TestConsumer } from '../support.js';
import { FakeDisk, openStore, synced, temporaryFolder } from './support.js';

/** A broker on a data directory, and the next one on the same. */
async function brokerOn(dataDir: string, options: Partial<Parameters<typeof createBroker>[1]> = {}) {
  const { store } = await openStore(dataDir);
  const opened = createBroker(undefined, { storage: store, ...options });
  const restart = async (again: typeof options = {}) => {
    opened.broker.stop();
    await store.close();
    return brokerOn(dataDir, again);
  };
  return { ...opened, store, restart };
}

const start = () => brokerOn(temporaryFolder());
const DURABLE = { durable: true };

function countOf(client: TestClient, queue: string): number {
  return client.host.queue(queue, client).messageCount;
}

/** Where a message goes that is published with this key. */
function reached(
  client: TestClient,
  exchange: string,
  routingKey: string,
  queues: readonly string[],
): string[] {
  const before = queues.map((name) => countOf(client, name));
  client.publish(exchange, routingKey, 'm');
  return queues.filter((name, index) => countOf(client, name) > (before[index] ?? 0));
}

describe('after a restart', () => {
  it('durable exchanges are there with their properties, and others are not', async () => {
    const { host, restart } = await start();
    const args = { 'alternate-exchange': 'amq.fanout', list: [1, 'two', Buffer.from([3])] };
    const durable = { ...exchangeSpec({ type: 'topic', internal: true }), durable: true, arguments: args };
    host.declareExchange('durable', durable);
    host.declareExchange('transient', exchangeSpec({ type: 'topic' }));
    const { host: again } = await restart();
    expect(again.findExchange('durable')).toMatchObject({ ...durable, name: 'durable' });
    expect(again.findExchange('transient')).toBeUndefined();
    expect(again.findExchange('amq.topic')).toMatchObject({ type: 'topic', durable: true });
  });

  it('durable queues are there with their arguments, and neither others nor exclusive ones are', async () => {
    const { client, restart } = await start();
    const args = { 'x-max-priority': 5, 'x-max-length': 1_000_000_000_000n, 'x-message-ttl': 60_000 };
    client.queue('durable', { ...DURABLE, arguments: args });
    client.queue('transient');
    client.queue('exclusive', { ...DURABLE, exclusive: true });
    const { host, client: again } = await restart();
    expect(host.findQueue('durable')).toMatchObject({ durable: true, autoDelete: false, arguments: args });
    expect(host.findQueue('transient')).toBeUndefined();
    expect(host.findQueue('exclusive')).toBeUndefined();
    // Equivalent to what was declared.
    again.queue('durable', { ...DURABLE, arguments: args });
    expect(refusal(() => again.queue('durable'))).toMatch(/inequivalent arg 'durable'/);
  });

  it('the numbers among arguments are of the types that they were declared with', async () => {
    const { client, restart } = await start();
    const args = { 'x-max-priority': 5, 'x-message-ttl': 60_000, other: { scale: 1, value: 2 } };
    const types = { 'x-max-priority': 'byte', other: 'decimal' };
    const typed = Object.defineProperty({ ...args }, Symbol.for('amqp.field-types'), {
      value: new Map(Object.entries(types)),
    });
    client.queue('q', { ...DURABLE, arguments: typed });
    const { client: again } = await restart();
    again.queue('q', { ...DURABLE, arguments: args });
    expect(refusal(() => again.queue('q', { ...DURABLE, arguments: { 'x-message-ttl': 60_000 } }))).toMatch(
      /received none but current is the value '5' of type 'byte'/,
    );
    expect(refusal(() => again.queue('q', { ...DURABLE, arguments: { 'x-max-priority': 5 } }))).toMatch(
      /received none but current is the value '60000' of type 'signedint'/,
    );
  });

  it('bindings between durable ends are there, and others are not', async () => {
    const { host, client, restart } = await start();
    client.queue('durable', DURABLE);
    client.queue('transient');
    host.declareExchange('e', { ...exchangeSpec({ type: 'topic' }), durable: true });
    host.declareExchange('passing', exchangeSpec({ type: 'topic' }));
    client.bind('durable', 'e', 'a.#', { x: 1 });
    client.bind('durable', 'e', 'a.#', { x: 2 });
    client.bind('durable', 'amq.direct', 'k');
    client.bind('durable', 'passing', '#');
    client.bind('transient', 'e', '#');
    client.bindExchange('e', 'amq.fanout');
    client.unbind('durable', 'e', 'a.#', { x: 1 });
    const { host: again, client: other } = await restart();
    expect(reached(other, 'e', 'a.b', ['durable'])).toEqual(['durable']);
    expect(reached(other, 'e', 'b', ['durable'])).toEqual([]);
    expect(reached(other, 'amq.direct', 'k', ['durable'])).toEqual(['durable']);
    expect(reached(other, 'amq.fanout', 'a.b', ['durable'])).toEqual(['durable']);
    other.unbind('durable', 'e', 'a.#', { x: 2 });
    expect(reached(other, 'e', 'a.b', ['durable'])).toEqual([]);
    expect(again.findExchange('passing')).toBeUndefined();
  });

  it('what was deleted is not there, nor are its bindings, nor what went with it', async () => {
    const { host, client, restart } = await start();
    for (const name of ['gone', 'kept']) client.queue(name, DURABLE);
    host.declareExchange('auto', { ...exchangeSpec({ type: 'fanout', autoDelete: true }), durable: true });
    host.declareExchange('source', { ...exchangeSpec({ type: 'fanout' }), durable: true });
    client.bind('gone', 'auto');
    client.bind('kept', 'source');
    client.deleteQueue('gone');
    client.deleteExchange('source');
    const { host: again, client: other, store } = await restart();
    expect(again.findQueue('gone')).toBeUndefined();
    expect(again.findExchange('auto')).toBeUndefined();
    expect(store.definitions.filter(({ kind }) => kind === 'binding')).toEqual([]);
    other.queue('gone', DURABLE);
    expect(countOf(other, 'gone')).toBe(0);
    expect(countOf(other, 'kept')).toBe(0);
  });

  it('an exchange of a type that is not known keeps its place and its bindings, and takes no messages', async () => {
    const { host, client, restart } = await start();
    const hooks = {
      published: () => undefined,
      bound: () => undefined,
      unbound: () => {},
      deleted: () => {},
    };
    const spec = { ...exchangeSpec({ type: 'x-other' }), durable: true, arguments: { a: 1 } };
    host.declareExchange('e', spec, { matching: exchangeTypes[0] as never, hooks });
    client.queue('q', DURABLE);
    client.bind('q', 'e', 'k');
    const second = await restart();
    expect(second.host.findExchange('e')).toMatchObject(spec);
    expect(refusal(() => second.client.publish('e', 'k', 'm'))).toBe(
      "precondition-failed: exchange 'e' in vhost '/' is of the type 'x-other', which is not known",
    );
    const third = await second.restart();
    expect(third.store.definitions.map(({ kind }) => kind)).toContain('binding');
  });

  it('a decorated exchange is decorated again, and hears of its bindings', async () => {
    const { host, client, restart } = await start();
    const heard: string[] = [];
    const hooks = {
      published: () => undefined,
      bound: ({ routingKey }: { routingKey: string }) => void heard.push(routingKey),
      unbound: () => {},
      deleted: () => {},
    };
    const matching = exchangeTypes.find(({ name }) => name === 'topic') as never;
    const spec = { ...exchangeSpec({ type: 'x-exchange' }), durable: true, arguments: { secret: 's' } };
    host.declareExchange('alias', spec, { matching, hooks });
    client.queue('q', DURABLE);
    client.bind('q', 'alias', 'a.#');
    heard.length = 0;
    const asked: unknown[] = [];
    const { client: again } = await restart({
      restoreDecoration: (virtualHost, name, restored) => {
        asked.push([virtualHost.name, name, restored]);
        return name === 'alias' ? { matching, hooks } : undefined;
      },
    });
    expect(asked).toEqual([['/', 'alias', spec]]);
    expect(heard).toEqual(['a.#']);
    expect(reached(again, 'alias', 'a.b.c', ['q'])).toEqual(['q']);
  });

  it('virtual hosts are apart', async () => {
    const { broker, client, restart } = await start();
    broker.addVirtualHost('other');
    const other = new TestClient(broker.virtualHost('other') as never);
    client.queue('q', DURABLE);
    other.queue('q', { ...DURABLE, arguments: { 'x-max-length': 1 } });
    other.queue('only here', DURABLE);
    other.bind('q', 'amq.fanout');
    const { broker: again, host } = await restart();
    expect(host.findQueue('q')?.arguments).toEqual({});
    expect(host.findQueue('only here')).toBeUndefined();
    const restored = new TestClient(again.virtualHost('other') as never);
    expect(reached(restored, 'amq.fanout', '', ['q', 'only here'])).toEqual(['q']);
    again.removeVirtualHost('other');
  });
});

describe('a definition', () => {
  async function onDisk(): Promise<{ disk: FakeDisk; store: LevelStore; client: TestClient }> {
    const disk = new FakeDisk();
    const { store } = await openStore(temporaryFolder(), { createLevel: disk.createLevel });
    const { client } = createBroker(undefined, { storage: store });
    await synced(store);
    return { disk, store, client };
  }

  it('is settled once it is on the disk, and nothing has to be waited for when it was before', async () => {
    const { disk, store, client } = await onDisk();
    expect(client.host.settled()).toBeUndefined();
    disk.hold();
    client.queue('q', DURABLE);
    const settled = client.host.settled();
    expect(settled).toBeInstanceOf(Promise);
    const group = store.current;
    expect(store.synced).toBeLessThan(group);
    disk.release();
    await settled;
    expect(store.synced).toBeGreaterThanOrEqual(group);
    expect(client.host.settled()).toBeUndefined();
  });

  it('that is repeated, or of something transient, is not written', async () => {
    const { disk, store, client } = await onDisk();
    client.queue('q', DURABLE);
    client.bind('q', 'amq.topic', 'k');
    await synced(store);
    const written = disk.batches.length;
    client.queue('q', DURABLE);
    client.bind('q', 'amq.topic', 'k');
    client.queue('transient');
    client.bind('transient', 'amq.topic', 'k');
    client.consume('q', new TestConsumer());
    client.exchange('e', 'fanout');
    client.unbind('q', 'amq.topic', 'another');
    expect(client.host.settled()).toBeUndefined();
    await store.close();
    expect(disk.batches.length).toBe(written);
  });
});
