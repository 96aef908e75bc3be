import { expect, it } from 'vitest';
import type { RawClient } from '../../support/amqp-raw-client.js';
import { publication } from '../../support/amqp-raw-client.js';
import { drain, openChannel, rawChannel, ready, sharedQueue, take, unique } from './app.js';
import type { Server } from './server.js';
import { onEachServer } from './server.js';

onEachServer('a transaction', (server) => {
  it('holds publications back until it is committed', async () => {
    const { channel, queue, client } = await transactional(server);
    client.send(publication(1, { routingKey: queue }, [Buffer.from('one')]));
    await roundTrip(client);
    expect(await drain(channel, queue)).toEqual([]);
    await client.call('tx.commit', {}, 'tx.commit-ok');
    expect(await drain(channel, queue)).toEqual(['one']);
  });

  it('forgets publications that are rolled back', async () => {
    const { channel, queue, client } = await transactional(server);
    client.send(publication(1, { routingKey: queue }, [Buffer.from('one')]));
    await client.call('tx.rollback', {}, 'tx.rollback-ok');
    client.send(publication(1, { routingKey: queue }, [Buffer.from('two')]));
    await client.call('tx.commit', {}, 'tx.commit-ok');
    expect(await drain(channel, queue)).toEqual(['two']);
  });

  it('is rolled back when its channel is closed', async () => {
    const { channel, queue, client } = await transactional(server);
    client.send(publication(1, { routingKey: queue }, [Buffer.from('one')]));
    await client.call('channel.close', {}, 'channel.close-ok');
    expect(await drain(channel, queue)).toEqual([]);
  });

  it('holds acknowledgements back until it is committed', async () => {
    const { channel, queue, client } = await transactional(server);
    channel.sendToQueue(queue, Buffer.from('x'));
    await ready(channel, queue, 1);
    await get(client, queue);
    client.sendMethod(1, 'basic.ack', { deliveryTag: 1 });
    await client.call('tx.commit', {}, 'tx.commit-ok');
    await client.call('channel.close', {}, 'channel.close-ok');
    expect(await drain(channel, queue)).toEqual([]);
  });

  it('takes acknowledgements back when it is rolled back: they can be made again', async () => {
    const { channel, queue, client } = await transactional(server);
    channel.sendToQueue(queue, Buffer.from('x'));
    await ready(channel, queue, 1);
    await get(client, queue);
    client.sendMethod(1, 'basic.ack', { deliveryTag: 1 });
    await client.call('tx.rollback', {}, 'tx.rollback-ok');
    client.sendMethod(1, 'basic.nack', { deliveryTag: 1, requeue: true });
    await client.call('tx.commit', {}, 'tx.commit-ok');
    await ready(channel, queue, 1);
  });

  it.each(['tx.commit', 'tx.rollback'] as const)('that was not begun refuses %s with 406', async (method) => {
    const client = await rawChannel(server);
    client.sendMethod(1, method);
    expect(await client.expect('channel.close')).toMatchObject({
      replyCode: 406,
      replyText: 'PRECONDITION_FAILED - channel is not transactional',
    });
  });

  it('refuses confirm.select with 406', async () => {
    const { client } = await transactional(server);
    client.sendMethod(1, 'confirm.select');
    expect(await client.expect('channel.close')).toMatchObject({
      replyCode: 406,
      replyText: 'PRECONDITION_FAILED - cannot switch from tx to confirm mode',
    });
  });

  it('may be begun again', async () => {
    const { client } = await transactional(server);
    await client.call('tx.select', {}, 'tx.select-ok');
    await client.call('tx.commit', {}, 'tx.commit-ok');
    await client.call('tx.commit', {}, 'tx.commit-ok');
  });

  it('checks an unknown delivery tag at once', async () => {
    const { client } = await transactional(server);
    client.sendMethod(1, 'basic.ack', { deliveryTag: 7 });
    expect(await client.expect('channel.close')).toMatchObject({
      replyCode: 406,
      replyText: 'PRECONDITION_FAILED - unknown delivery tag 7',
    });
  });

  it('dead-letters what it rejects when it is committed', async () => {
    const { channel, queue: graves, client } = await transactional(server);
    const args = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': graves };
    const queue = await sharedQueue(channel, args);
    channel.sendToQueue(queue, Buffer.from('x'));
    await ready(channel, queue, 1);
    await get(client, queue);
    client.sendMethod(1, 'basic.reject', { deliveryTag: 1, requeue: false });
    await roundTrip(client);
    expect(await drain(channel, graves)).toEqual([]);
    await client.call('tx.commit', {}, 'tx.commit-ok');
    expect((await take(channel, graves)).content.toString()).toBe('x');
  });

  it('returns what is mandatory when it is committed', async () => {
    const { client } = await transactional(server);
    client.send(publication(1, { routingKey: unique('missing'), mandatory: true }, [Buffer.from('x')]));
    await roundTrip(client);
    client.sendMethod(1, 'tx.commit');
    await client.expect('basic.return');
    await client.expectContent();
    await client.expect('tx.commit-ok');
  });
});

async function transactional(server: Server) {
  const channel = await openChannel(server);
  const queue = await sharedQueue(channel);
  const client = await rawChannel(server);
  await client.call('tx.select', {}, 'tx.select-ok');
  return { channel, queue, client };
}

async function roundTrip(client: RawClient): Promise<void> {
  await client.call('exchange.declare', { exchange: 'amq.direct', passive: true }, 'exchange.declare-ok');
}

async function get(client: RawClient, queue: string): Promise<void> {
  await client.call('basic.get', { queue }, 'basic.get-ok');
  await client.expectContent();
}
