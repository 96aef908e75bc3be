import { Socket } from 'node:net';
import { describe, expect, it, vi } from 'vitest';
import { encodeHeader, FRAME_HEADER } from '../../src/amqp-codec/index.js';
import { KEEP_ALIVE_IDLE_MS } from '../../src/amqp-gateway/limits.js';
import { withLength } from '../amqp-codec/octets.js';
import { startGateway } from '../support/amqp-gateway.js';
import type { RawClient } from '../support/amqp-raw-client.js';
import { frame, methodFrame, publication } from '../support/amqp-raw-client.js';
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

/** So many tables, one in the other. */
function deepTable(depth: number): Buffer {
  let table = withLength(Buffer.alloc(0));
  for (let at = 1; at < depth; at++) table = withLength(Buffer.concat([Buffer.from('\x01tF'), table]));
  return table;
}

/** One more value than the array in it has. */
function longTable(values: number): Buffer {
  const array = withLength(Buffer.alloc(values, 'V'));
  return withLength(Buffer.concat([Buffer.from('\x01aA'), array]));
}

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

  it('of silence, TCP asks whether the client is still there, also where it wants no heartbeats', async () => {
    const keepAlive = vi.spyOn(Socket.prototype, 'setKeepAlive');
    const { raw } = await startGateway();
    await (await raw()).open({ heartbeat: 0 });
    expect(keepAlive).toHaveBeenCalledWith(true, KEEP_ALIVE_IDLE_MS);
    keepAlive.mockRestore();
  });

  it.each([
    ['depth', 'nested more than 32 deep', deepTable(33)],
    ['values', 'more than 16384 values in one table', longTable(16_384)],
  ])('of %s, headers close the connection with SYNTAX_ERROR', async (_, text, table) => {
    const { client } = await withQueue();
    const header = Buffer.concat([encodeHeader(0, { headers: {} }).subarray(0, -4), table]);
    client.send(methodFrame(1, 'basic.publish'), frame(FRAME_HEADER, 1, header));
    expect(await client.expect('connection.close')).toMatchObject({
      replyCode: 502,
      replyText: expect.stringContaining(text),
      classId: 60,
      methodId: 40,
    });
  });

  it('of headers, which are as large as a frame, closes the connection with FRAME_ERROR', async () => {
    const { client } = await withQueue();
    const header = encodeHeader(0, { headers: { long: 'x'.repeat(131_072) } });
    client.send(methodFrame(1, 'basic.publish'), frame(FRAME_HEADER, 1, header));
    expect(await client.expect('connection.close')).toMatchObject({ replyCode: 501 });
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
