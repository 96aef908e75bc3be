import type { Channel } from 'amqplib';
import { describe, expect, it } from 'vitest';
import { startGateway } from '../support/amqp-gateway.js';
import { publication } from '../support/amqp-raw-client.js';

async function amqplibChannel(): Promise<Channel> {
  const channel = await (await (await startGateway()).connect()).createChannel();
  channel.on('error', () => {});
  return channel;
}

describe('exchanges', () => {
  it.each(['direct', 'fanout', 'topic', 'headers'])(
    'of type %s are declared, asserted and deleted',
    async (type) => {
      const channel = await amqplibChannel();
      await channel.assertExchange('x', type, { durable: false });
      await channel.assertExchange('x', type, { durable: false });
      await channel.checkExchange('x');
      await channel.deleteExchange('x');
      await expect(channel.checkExchange('x')).rejects.toThrow(
        "404 (NOT-FOUND) with message \"NOT_FOUND - no exchange 'x'",
      );
    },
  );

  it('declared again with other properties are a failed precondition', async () => {
    const channel = await amqplibChannel();
    await channel.assertExchange('x', 'topic');
    await expect(channel.assertExchange('x', 'topic', { durable: false })).rejects.toThrow(
      "PRECONDITION_FAILED - inequivalent arg 'durable' for exchange 'x' in vhost '/': received 'false' but current is 'true'",
    );
  });

  it('of a type that nobody knows close the connection with COMMAND_INVALID', async () => {
    const client = await (await startGateway()).rawChannel();
    const close = await client.call(
      'exchange.declare',
      { exchange: 'x', type: 'x-unknown' },
      'connection.close',
    );
    expect(close).toMatchObject({ replyCode: 503, classId: 40, methodId: 10 });
  });

  it('pass messages on to exchanges that are bound to them, until they are unbound', async () => {
    const channel = await amqplibChannel();
    await channel.assertExchange('from', 'topic');
    await channel.assertExchange('to', 'fanout');
    await channel.bindExchange('to', 'from', 'a.*');
    const { queue } = await channel.assertQueue('', { exclusive: true });
    await channel.bindQueue(queue, 'to', '');
    channel.publish('from', 'a.b', Buffer.from('x'));
    expect((await channel.purgeQueue(queue)).messageCount).toBe(1);
    await channel.unbindExchange('to', 'from', 'a.*');
    channel.publish('from', 'a.b', Buffer.from('x'));
    expect((await channel.purgeQueue(queue)).messageCount).toBe(0);
  });

  it.each([
    ['deletion of one that is used, if-unused asked for', 406],
    ['deletion of a predeclared one', 403],
    ['the default one bound', 403],
  ])('answer %s with the code %d', async (what, replyCode) => {
    const client = await (await startGateway()).rawChannel();
    await client.call('exchange.declare', { exchange: 'x', type: 'fanout' }, 'exchange.declare-ok');
    await client.call('queue.declare', { exclusive: true }, 'queue.declare-ok');
    await client.call('queue.bind', { exchange: 'x' }, 'queue.bind-ok');
    if (what.startsWith('the default')) client.sendMethod(1, 'queue.bind', { exchange: '' });
    else
      client.sendMethod(1, 'exchange.delete', {
        exchange: what.includes('used') ? 'x' : 'amq.direct',
        ifUnused: true,
      });
    expect(await client.expect('channel.close')).toMatchObject({ replyCode });
  });

  it('match headers, which are decoded for them', async () => {
    const channel = await amqplibChannel();
    const { queue } = await channel.assertQueue('', { exclusive: true });
    await channel.bindQueue(queue, 'amq.headers', '', { 'x-match': 'all', kind: 'bid', price: 7 });
    channel.publish('amq.headers', '', Buffer.from('1'), { headers: { kind: 'bid', price: 7, more: true } });
    channel.publish('amq.headers', '', Buffer.from('2'), { headers: { kind: 'bid' } });
    channel.publish('amq.headers', '', Buffer.from('3'));
    expect(await channel.get(queue)).toMatchObject({ content: Buffer.from('1') });
    expect(await channel.get(queue)).toBe(false);
  });
});

describe('queues', () => {
  it('are declared under a name of the server where the client gives none', async () => {
    const channel = await amqplibChannel();
    const { queue } = await channel.assertQueue('', { exclusive: true });
    expect(queue).toMatch(/^amq\.gen-/);
  });

  it('tell how many messages and consumers they have', async () => {
    const channel = await amqplibChannel();
    await channel.assertQueue('q');
    channel.sendToQueue('q', Buffer.from('1'));
    channel.sendToQueue('q', Buffer.from('2'));
    expect(await channel.checkQueue('q')).toEqual({ queue: 'q', messageCount: 2, consumerCount: 0 });
    expect(await channel.purgeQueue('q')).toEqual({ messageCount: 2 });
    await channel.consume('q', () => {});
    expect(await channel.assertQueue('q')).toEqual({ queue: 'q', messageCount: 0, consumerCount: 1 });
    channel.sendToQueue('q', Buffer.from('3'));
    expect(await channel.deleteQueue('q')).toEqual({ messageCount: 0 });
  });

  it('that are exclusive are locked to other connections', async () => {
    const { connect } = await startGateway();
    const owner = await (await connect()).createChannel();
    await owner.assertQueue('mine', { exclusive: true });
    const other = await (await connect()).createChannel();
    other.on('error', () => {});
    await expect(other.checkQueue('mine')).rejects.toThrow(
      "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'mine' in vhost '/'",
    );
  });

  it.each([
    ['passive declare of one that is not there', 404],
    ['a reserved name', 403],
    ['deletion of one with messages, if-empty asked for', 406],
    ['deletion of one with consumers, if-unused asked for', 406],
  ])('answer %s with the code %d', async (what, replyCode) => {
    const client = await (await startGateway()).rawChannel();
    await client.call('queue.declare', { queue: 'q' }, 'queue.declare-ok');
    client.send(publication(1, { routingKey: 'q' }, [Buffer.from('x')]));
    if (what.includes('consumers')) await client.call('basic.consume', {}, 'basic.consume-ok');
    if (what.includes('consumers')) for (const _ of ['deliver', 'header', 'body']) await client.next();
    if (what.startsWith('passive')) client.sendMethod(1, 'queue.declare', { queue: 'none', passive: true });
    else if (what.startsWith('a reserved')) client.sendMethod(1, 'queue.declare', { queue: 'amq.mine' });
    else
      client.sendMethod(1, 'queue.delete', {
        queue: 'q',
        ifEmpty: true,
        ifUnused: what.includes('consumers'),
      });
    expect(await client.expect('channel.close')).toMatchObject({ replyCode });
  });

  it('keep arguments that have no meaning, and redeclaring does not compare them', async () => {
    const channel = await amqplibChannel();
    await channel.assertQueue('q', { arguments: { 'my-own': 1, 'x-queue-type': 'classic' } });
    await channel.assertQueue('q');
    await channel.assertExchange('x', 'topic', { arguments: { 'my-own': 1 } });
    await channel.assertExchange('x', 'topic');
  });
});

it('deleting and unbinding what is not there is no error, as in RabbitMQ', async () => {
  const client = await (await startGateway()).rawChannel();
  await client.call('queue.delete', { queue: 'none' }, 'queue.delete-ok');
  await client.call('exchange.delete', { exchange: 'none' }, 'exchange.delete-ok');
  await client.call('queue.unbind', { queue: 'none', exchange: 'none' }, 'queue.unbind-ok');
  await client.call('exchange.unbind', { source: 'none', destination: 'none' }, 'exchange.unbind-ok');
});

it('no-wait methods are carried out and not answered', async () => {
  const { rawChannel, virtualHost } = await startGateway();
  const client = await rawChannel();
  const noWait = true;
  client.sendMethod(1, 'exchange.declare', { exchange: 'x', type: 'direct', noWait });
  client.sendMethod(1, 'exchange.declare', { exchange: 'y', type: 'direct', noWait });
  client.sendMethod(1, 'exchange.bind', { source: 'x', destination: 'y', routingKey: 'k', noWait });
  client.sendMethod(1, 'queue.declare', { queue: 'q', noWait });
  client.sendMethod(1, 'queue.bind', { queue: 'q', exchange: 'y', routingKey: 'k', noWait });
  client.send(publication(1, { exchange: 'x', routingKey: 'k' }, [Buffer.from('1')]));
  client.sendMethod(1, 'basic.consume', { queue: 'q', consumerTag: 'c', noAck: true, noWait });
  await client.expect('basic.deliver');
  await client.expectContent();
  client.sendMethod(1, 'basic.cancel', { consumerTag: 'c', noWait });
  client.send(publication(1, { exchange: 'x', routingKey: 'k' }, [Buffer.from('2')]));
  client.sendMethod(1, 'queue.purge', { queue: 'q', noWait });
  client.sendMethod(1, 'exchange.unbind', { source: 'x', destination: 'y', routingKey: 'k', noWait });
  client.sendMethod(1, 'confirm.select', { noWait });
  client.send(publication(1, { exchange: 'x', routingKey: 'k', mandatory: true }, [Buffer.from('3')]));
  await client.expect('basic.return');
  await client.expectContent();
  await client.expect('basic.ack');
  client.sendMethod(1, 'exchange.delete', { exchange: 'x', noWait });
  client.sendMethod(1, 'queue.delete', { queue: 'q', noWait });
  await client.call('channel.close', {}, 'channel.close-ok');
  expect(virtualHost.findExchange('x')).toBeUndefined();
  expect(() => virtualHost.queue('q', {})).toThrow('no queue');
});
