import { afterEach, describe, expect, it, vi } from 'vitest';
import { MAX_BACKLOG_BYTES, MAX_CONSUMER_BACKLOG_BYTES } from '../../src/amqp-gateway/limits.js';
import { startGateway } from '../support/amqp-gateway.js';
import { methodFrame, publication, stuck } from '../support/amqp-raw-client.js';
import { eventually } from '../support/eventually.js';

const KIBIBYTE = 1024;
const MEBIBYTE = 1024 * KIBIBYTE;

function numbered(count: number, size: number): Buffer[] {
  return Array.from({ length: count }, (_, index) => {
    const body = Buffer.alloc(size);
    body.writeUInt32BE(index, 0);
    return publication(1, { routingKey: 'q' }, [body]);
  });
}

describe('a consumer that does not read', () => {
  it('leaves its messages in the queue, and gets them all in order when it reads again', async () => {
    const { rawChannel, virtualHost, memory } = await startGateway();
    const consumer = await rawChannel();
    await consumer.call('queue.declare', { queue: 'q' }, 'queue.declare-ok');
    await consumer.call('basic.consume', { queue: 'q', noAck: true }, 'basic.consume-ok');
    consumer.socket.pause();
    const publisher = await rawChannel();
    const messages = numbered(1000, 32 * KIBIBYTE);
    publisher.send(...messages);
    const queue = virtualHost.queue('q', {});
    await eventually(async () => {
      await publisher.call('queue.declare', { queue: 'q', passive: true }, 'queue.declare-ok');
      return queue.messageCount > 0;
    });
    // What is neither in the queue nor with the kernel is bounded.
    expect(memory.bytes - queue.messageCount * 32 * KIBIBYTE).toBeLessThan(
      2 * MAX_CONSUMER_BACKLOG_BYTES + MEBIBYTE,
    );
    consumer.socket.resume();
    for (let index = 0; index < messages.length; index++) {
      await consumer.expect('basic.deliver');
      expect((await consumer.expectContent()).body.readUInt32BE(0)).toBe(index);
    }
    await eventually(() => memory.bytes === 0);
  });

  it('holds up no other consumer of its queue', async () => {
    const { rawChannel } = await startGateway();
    const [slow, fast, publisher] = [await rawChannel(), await rawChannel(), await rawChannel()];
    await slow.call('queue.declare', { queue: 'q' }, 'queue.declare-ok');
    for (const consumer of [slow, fast]) {
      await consumer.call('basic.consume', { queue: 'q', noAck: true }, 'basic.consume-ok');
    }
    slow.socket.pause();
    publisher.send(...numbered(1000, 32 * KIBIBYTE));
    let last = -1;
    for (let count = 0; last < 999 && count < 1000; count++) {
      await fast.expect('basic.deliver');
      last = (await fast.expectContent()).body.readUInt32BE(0);
    }
    expect(last).toBeGreaterThan(900);
  });

  it('is dropped without a trace when it leaves, what it had not taken included', async () => {
    const { rawChannel, memory, virtualHost } = await startGateway();
    const consumer = await rawChannel();
    await consumer.call('queue.declare', { queue: 'q' }, 'queue.declare-ok');
    await consumer.call('basic.consume', { queue: 'q' }, 'basic.consume-ok');
    consumer.socket.pause();
    const publisher = await rawChannel();
    publisher.send(...numbered(1000, 32 * KIBIBYTE));
    const queue = virtualHost.queue('q', {});
    await eventually(() => queue.messageCount > 0 && queue.messageCount + queue.unacknowledgedCount === 1000);
    consumer.destroy();
    await eventually(() => queue.messageCount === 1000);
    await publisher.call('queue.delete', { queue: 'q' }, 'queue.delete-ok');
    await eventually(() => memory.bytes === 0);
  });
});

it(`a client that asks for more than ${MAX_BACKLOG_BYTES} octets and does not read is not read either, until it does`, async () => {
  const { rawChannel, memory } = await startGateway();
  const client = await rawChannel();
  client.socket.pause();
  const returned = publication(1, { routingKey: 'none', mandatory: true }, [Buffer.alloc(64 * KIBIBYTE)]);
  await stuck(client.flood(returned, 1000));
  expect(memory.bytes).toBeLessThan(MAX_BACKLOG_BYTES + 4 * MEBIBYTE);
  client.socket.resume();
  for (let count = 0; count < 1000; count++) {
    await client.expect('basic.return');
    await client.expectContent();
  }
  await client.call('tx.select', {}, 'tx.select-ok');
});

describe('when memory is short', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  const limits = { memoryBytes: MEBIBYTE };
  const large = publication(1, { routingKey: 'q' }, [Buffer.alloc(64 * KIBIBYTE)]);

  async function full(capabilities: readonly string[]) {
    const gateway = await startGateway(limits);
    const publisher = await gateway.rawChannel(capabilities);
    await publisher.call('queue.declare', { queue: 'q' }, 'queue.declare-ok');
    const flood = publisher.flood(large, 500);
    await eventually(() => gateway.memory.high);
    return { ...gateway, publisher, flood };
  }

  it('publishers are not read, and told so if they want', async () => {
    const { publisher, flood, virtualHost, memory } = await full(['connection.blocked']);
    expect(await publisher.expect('connection.blocked')).toMatchObject({
      reason: 'low on memory',
      channel: 0,
    });
    await stuck(flood);
    expect(virtualHost.queue('q', {}).messageCount).toBeLessThan(100);
    expect(memory.bytes).toBeLessThan(4 * MEBIBYTE);
  });

  it('consumers go on, and publishers with them once enough is free', async () => {
    const { publisher, rawChannel, memory } = await full(['connection.blocked']);
    await publisher.expect('connection.blocked');
    const consumer = await rawChannel(['connection.blocked']);
    await consumer.call('basic.consume', { queue: 'q', noAck: true }, 'basic.consume-ok');
    for (let count = 0; count < 500; count++) {
      await consumer.expect('basic.deliver');
      await consumer.expectContent();
    }
    await publisher.expect('connection.unblocked');
    await eventually(() => memory.bytes === 0);
  });

  it('publishers that cannot take the notice get none', async () => {
    const { publisher, flood } = await full([]);
    await stuck(flood);
    expect(publisher.pending()).toEqual([]);
  });

  it('a client that has not published is blocked by its first publish', async () => {
    const { rawChannel } = await full([]);
    const client = await rawChannel(['connection.blocked']);
    await client.call('queue.declare', { exclusive: true }, 'queue.declare-ok');
    client.send(publication(1, { routingKey: 'none' }, [Buffer.from('x')]));
    await client.expect('connection.blocked');
    client.sendMethod(1, 'queue.declare', { exclusive: true });
    const other = await rawChannel();
    await other.call('queue.purge', { queue: 'q' }, 'queue.purge-ok');
    await client.expect('connection.unblocked');
    await client.expect('queue.declare-ok');
  });

  it('a publisher can still be told that the gateway closes, and its answer is read', async () => {
    const gateway = await startGateway({ memoryBytes: KIBIBYTE });
    const publisher = await gateway.rawChannel();
    await publisher.call('queue.declare', { queue: 'q' }, 'queue.declare-ok');
    publisher.send(large);
    await eventually(() => gateway.memory.high);
    // No time limit comes to the rescue.
    vi.useFakeTimers({ toFake: ['setTimeout'] });
    const closed = gateway.gateway.close();
    publisher.send(large, methodFrame(0, 'connection.close-ok'));
    await closed;
  });
});
