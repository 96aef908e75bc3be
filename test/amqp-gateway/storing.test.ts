import { describe, expect, it } from 'vitest';
import { contentFormat } from '../../src/amqp-gateway/index.js';
import { FakeDisk, openStore, synced, temporaryFolder } from '../broker/store/support.js';
import { startGateway } from '../support/amqp-gateway.js';
import type { RawClient } from '../support/amqp-raw-client.js';
import { publication } from '../support/amqp-raw-client.js';
import { eventually } from '../support/eventually.js';
import { teardown } from '../support/teardown.js';

/** A gateway whose disk can be held up. */
async function start() {
  const disk = new FakeDisk();
  const { store } = await openStore(temporaryFolder(), {
    createLevel: disk.createLevel,
    format: contentFormat,
  });
  const gateway = await startGateway({ store });
  await synced(store);
  teardown(() => disk.release());
  return { ...gateway, store, disk };
}

function persistent(queue: string, body = 'x'): Buffer {
  return publication(1, { routingKey: queue }, [Buffer.from(body)], { deliveryMode: 2 });
}

function transient(queue: string): Buffer {
  return publication(1, { routingKey: queue }, [Buffer.from('x')]);
}

/** Fails where anything was sent before the answer to a request on a channel of its own. */
async function expectNothing(client: RawClient): Promise<void> {
  client.sendMethod(2, 'channel.open');
  await client.expect('channel.open-ok');
  client.sendMethod(2, 'channel.close');
  await client.expect('channel.close-ok');
}

async function confirming(client: RawClient, queue: object = { queue: 'q', durable: true }): Promise<void> {
  await client.call('queue.declare', queue, 'queue.declare-ok');
  await client.call('confirm.select', {}, 'confirm.select-ok');
}

describe('a persistent message on a durable queue', () => {
  it('is confirmed once it is on the disk, with all that are in its group', async () => {
    const { disk, rawChannel } = await start();
    const client = await rawChannel();
    await confirming(client);
    disk.hold();
    client.send(persistent('q'), persistent('q'), persistent('q'));
    await expectNothing(client);
    disk.release();
    expect(await client.expect('basic.ack')).toMatchObject({ deliveryTag: 3, multiple: true });
    client.send(persistent('q'));
    expect(await client.expect('basic.ack')).toMatchObject({ deliveryTag: 4, multiple: false });
  });

  it('holds up the confirms of what comes behind it, and of no other channel', async () => {
    const { disk, rawChannel } = await start();
    const [client, other] = [await rawChannel(), await rawChannel()];
    await confirming(client);
    await confirming(other);
    disk.hold();
    client.send(transient('q'));
    expect(await client.expect('basic.ack')).toMatchObject({ deliveryTag: 1 });
    client.send(persistent('q'), transient('q'), transient('nowhere'));
    other.send(transient('q'));
    expect(await other.expect('basic.ack')).toMatchObject({ deliveryTag: 1 });
    await expectNothing(client);
    disk.release();
    expect(await client.expect('basic.ack')).toMatchObject({ deliveryTag: 4, multiple: true });
  });

  it('is confirmed at once where no queue has to keep it', async () => {
    const { disk, rawChannel } = await start();
    const client = await rawChannel();
    await confirming(client, { queue: 'transient' });
    disk.hold();
    client.send(persistent('transient'));
    expect(await client.expect('basic.ack')).toMatchObject({ deliveryTag: 1 });
  });

  it('that was consumed and acknowledged before it was written is confirmed all the same', async () => {
    const { disk, rawChannel } = await start();
    const [client, consumer] = [await rawChannel(), await rawChannel()];
    await confirming(client);
    await consumer.call('basic.consume', { queue: 'q' }, 'basic.consume-ok');
    disk.hold();
    client.send(persistent('q', 'first'));
    const { deliveryTag } = (await consumer.expect('basic.deliver')) as { deliveryTag: number };
    await consumer.expectContent();
    client.send(persistent('q', 'second'));
    await consumer.expect('basic.deliver');
    await consumer.expectContent();
    consumer.sendMethod(1, 'basic.ack', { deliveryTag: deliveryTag + 1, multiple: true });
    await expectNothing(consumer);
    disk.release();
    await client.expect('basic.ack');
  });

  it('whose channel is closed meanwhile is not confirmed, and stays', async () => {
    const { disk, rawChannel, virtualHost } = await start();
    const client = await rawChannel();
    await confirming(client);
    disk.hold();
    client.send(transient('q'), persistent('q'));
    client.sendMethod(1, 'channel.close');
    expect(await client.expect('basic.ack')).toMatchObject({ deliveryTag: 1, multiple: false });
    await client.expect('channel.close-ok');
    disk.release();
    expect(virtualHost.findQueue('q')?.messageCount).toBe(2);
  });
});

describe('a message that a full queue refuses', () => {
  it('is told with basic.nack at once, and never covered by the confirm of one before', async () => {
    const { disk, rawChannel } = await start();
    const client = await rawChannel();
    const args = { 'x-max-length': 2, 'x-overflow': 'reject-publish' };
    await confirming(client, { queue: 'q', durable: true, arguments: args });
    disk.hold();
    client.send(persistent('q'), persistent('q'), persistent('q'), transient('q'), transient('nowhere'));
    for (const deliveryTag of [3, 4]) {
      expect(await client.expect('basic.nack')).toMatchObject({ deliveryTag, multiple: false });
    }
    disk.release();
    expect(await client.expect('basic.ack')).toMatchObject({ deliveryTag: 5, multiple: true });
    client.send(persistent('q'), transient('nowhere'));
    expect(await client.expect('basic.nack')).toMatchObject({ deliveryTag: 6, multiple: false });
    expect(await client.expect('basic.ack')).toMatchObject({ deliveryTag: 7, multiple: false });
  });
});

describe('a transaction', () => {
  it('is committed once its messages are on the disk', async () => {
    const { disk, rawChannel } = await start();
    const client = await rawChannel();
    await client.call('queue.declare', { queue: 'q', durable: true }, 'queue.declare-ok');
    await client.call('tx.select', {}, 'tx.select-ok');
    disk.hold();
    client.send(transient('q'));
    await client.call('tx.commit', {}, 'tx.commit-ok');
    client.send(persistent('q'));
    client.sendMethod(1, 'tx.commit');
    client.sendMethod(1, 'basic.qos', {});
    await expectNothing(client);
    disk.release();
    await client.expect('tx.commit-ok');
    await client.expect('basic.qos-ok');
  });
});

describe('what is durable', () => {
  it.each([
    ['exchange.declare', { exchange: 'new', type: 'topic', durable: true }],
    ['exchange.delete', { exchange: 'e' }],
    ['exchange.bind', { destination: 'e', source: 'amq.topic', routingKey: 'new' }],
    ['exchange.unbind', { destination: 'e', source: 'amq.topic', routingKey: 'k' }],
    ['queue.declare', { queue: 'new', durable: true }],
    ['queue.delete', { queue: 'q' }],
    ['queue.bind', { queue: 'q', exchange: 'e', routingKey: 'new' }],
    ['queue.unbind', { queue: 'q', exchange: 'e', routingKey: 'k' }],
  ] as const)('is on the disk before %s is answered', async (method, args) => {
    const { disk, rawChannel } = await start();
    const client = await rawChannel();
    await client.call(
      'exchange.declare',
      { exchange: 'e', type: 'topic', durable: true },
      'exchange.declare-ok',
    );
    await client.call('queue.declare', { queue: 'q', durable: true }, 'queue.declare-ok');
    await client.call('queue.bind', { queue: 'q', exchange: 'e', routingKey: 'k' }, 'queue.bind-ok');
    const toExchange = { destination: 'e', source: 'amq.topic', routingKey: 'k' };
    await client.call('exchange.bind', toExchange, 'exchange.bind-ok');
    disk.hold();
    client.sendMethod(1, method, args);
    await expectNothing(client);
    disk.release();
    await client.expect(`${method}-ok`);
  });

  it('is no business of those who declare something else', async () => {
    const { disk, rawChannel } = await start();
    const client = await rawChannel();
    disk.hold();
    await client.call('queue.declare', { queue: 'q' }, 'queue.declare-ok');
    await client.call('queue.bind', { queue: 'q', exchange: 'amq.topic' }, 'queue.bind-ok');
    await client.call('queue.delete', { queue: 'q' }, 'queue.delete-ok');
  });
});

describe('a disk that cannot be written', () => {
  it('holds publishers up, tells them so, and loses nothing', async () => {
    const { disk, rawChannel, virtualHost } = await start();
    const client = await rawChannel(['connection.blocked']);
    await confirming(client);
    disk.failures = 3;
    client.send(persistent('q', 'first'));
    expect(await client.expect('connection.blocked')).toMatchObject({ reason: 'low on disk' });
    client.send(persistent('q', 'second'));
    await client.expect('connection.unblocked');
    await eventually(() => expect(virtualHost.findQueue('q')?.messageCount).toBe(2));
    await client.expect('basic.ack');
  });

  it('beside memory that is short is one shortage with it', async () => {
    const { store, memory, rawChannel } = await start();
    const client = await rawChannel(['connection.blocked']);
    client.send(transient('nowhere'));
    memory.add(2 ** 31);
    expect(await client.expect('connection.blocked')).toMatchObject({ reason: 'low on memory' });
    store.disk.failing = true;
    const late = await rawChannel(['connection.blocked']);
    late.send(transient('nowhere'));
    expect(await late.expect('connection.blocked')).toMatchObject({ reason: 'low on memory & disk' });
    memory.add(-(2 ** 31));
    expect(client.pending()).toEqual([]);
    store.disk.failing = false;
    await client.expect('connection.unblocked');
    await late.expect('connection.unblocked');
  });
});
