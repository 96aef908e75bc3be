import { describe, expect, it, vi } from 'vitest';
import { startGateway } from '../support/amqp-gateway.js';
import type { RawClient } from '../support/amqp-raw-client.js';
import { publication } from '../support/amqp-raw-client.js';
import { eventually } from '../support/eventually.js';

/** The same limits, small enough to be reached. */
vi.mock('../../src/amqp-gateway/limits.js', async (original) => ({
  ...(await original<typeof import('../../src/amqp-gateway/limits.js')>()),
  MAX_CONNECTIONS: 3,
  MAX_CONSUMERS_PER_CHANNEL: 2,
  MAX_UNACKNOWLEDGED_PER_CHANNEL: 4,
  MAX_TRANSACTION_BYTES: 1000,
  MAX_TRANSACTION_OPERATIONS: 5,
}));

const message = (size: number) => publication(1, { routingKey: 'q' }, [Buffer.alloc(size)]);

async function withQueue() {
  const gateway = await startGateway();
  const client = await gateway.rawChannel();
  await client.call('queue.declare', { queue: 'q' }, 'queue.declare-ok');
  return { ...gateway, client, queue: gateway.virtualHost.queue('q', {}) };
}

async function take(client: RawClient): Promise<number> {
  const { deliveryTag } = await client.expect('basic.deliver');
  await client.expectContent();
  return Number(deliveryTag);
}

describe('at its limit', () => {
  it('of connections, the gateway closes further sockets, and serves again when one is free', async () => {
    const { raw, rawChannel, log, gateway } = await startGateway();
    const clients = [await raw(), await raw(), await rawChannel()];
    const refused = await raw();
    expect(await refused.next()).toEqual({ type: 'end' });
    expect(log.join()).toContain('more than 3 connections');
    clients[0]?.destroy();
    clients[2]?.destroy();
    await eventually(() => gateway.status().connections === 0);
    await eventually(async () => (await rawChannel()) !== undefined);
  });

  it('of consumers, a channel closes its connection with NOT_ALLOWED', async () => {
    const { client } = await withQueue();
    for (let count = 0; count < 2; count++)
      await client.call('basic.consume', { queue: 'q' }, 'basic.consume-ok');
    expect(await client.call('basic.consume', { queue: 'q' }, 'connection.close')).toMatchObject({
      replyCode: 530,
      replyText: 'NOT_ALLOWED - reached maximum (2) of consumers per channel',
    });
  });

  it('of unacknowledged deliveries, the consumers of a channel wait, and go on with the next acknowledgement', async () => {
    const { client, queue } = await withQueue();
    for (let count = 0; count < 6; count++) client.send(message(1));
    await client.call('basic.consume', { queue: 'q', consumerTag: 'a' }, 'basic.consume-ok');
    await eventually(() => queue.unacknowledgedCount === 4);
    expect(queue.messageCount).toBe(2);
    client.sendMethod(1, 'basic.ack', { deliveryTag: 1 });
    await eventually(() => queue.messageCount === 1);
    expect(queue.unacknowledgedCount).toBe(4);
  });

  it('of unacknowledged deliveries, basic.get is refused where it wants to acknowledge', async () => {
    const { client } = await withQueue();
    for (let count = 0; count < 6; count++) client.send(message(1));
    for (let count = 0; count < 4; count++) {
      await client.call('basic.get', { queue: 'q' }, 'basic.get-ok');
      await client.expectContent();
    }
    await client.call('basic.get', { queue: 'q', noAck: true }, 'basic.get-ok');
    await client.expectContent();
    expect(await client.call('basic.get', { queue: 'q' }, 'channel.close')).toMatchObject({
      replyCode: 406,
      replyText: 'PRECONDITION_FAILED - 4 deliveries are not acknowledged on this channel',
    });
  });

  it.each([
    ['octets', [message(600), message(600)]],
    ['operations', Array.from({ length: 6 }, () => message(1))],
  ])('of %s, a transaction closes its channel, and nothing of it happens', async (what, messages) => {
    const { client, queue, memory } = await withQueue();
    await client.call('tx.select', {}, 'tx.select-ok');
    client.send(...messages);
    const { replyCode, replyText } = await client.expect('channel.close');
    expect(replyCode).toBe(406);
    expect(replyText).toContain(what);
    expect(queue.messageCount).toBe(0);
    expect(memory.bytes).toBe(0);
  });

  it('of operations, a transaction gives back the deliveries it acknowledged', async () => {
    const { client, queue } = await withQueue();
    for (let count = 0; count < 3; count++) client.send(message(1));
    await client.call('tx.select', {}, 'tx.select-ok');
    await client.call('basic.consume', { queue: 'q' }, 'basic.consume-ok');
    const tags = [await take(client), await take(client), await take(client)];
    for (let count = 0; count < 4; count++) client.send(message(1));
    for (const deliveryTag of tags) client.sendMethod(1, 'basic.ack', { deliveryTag });
    expect(await client.expect('channel.close')).toMatchObject({ replyCode: 406 });
    expect(queue.messageCount).toBe(3);
    expect(queue.unacknowledgedCount).toBe(0);
  });
});
