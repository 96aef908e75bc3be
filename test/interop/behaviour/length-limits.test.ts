import type { ConfirmChannel } from 'amqplib';
import { expect, it } from 'vitest';
import { consume, drain, hold, openConfirmChannel, ownQueue, ready, send, take } from './app.js';
import { onEachServer } from './server.js';

onEachServer('x-max-length', (server) => {
  it('drops from the head what is too much', async () => {
    const channel = await openConfirmChannel(server);
    const queue = await ownQueue(channel, { 'x-max-length': 2 });
    send(channel, queue, 'one', 'two', 'three', 'four');
    expect(await drain(channel, queue)).toEqual(['three', 'four']);
  });

  it('of 0 leaves only what is delivered at once', async () => {
    const channel = await openConfirmChannel(server);
    const queue = await ownQueue(channel, { 'x-max-length': 0 });
    send(channel, queue, 'nobody is there');
    await channel.waitForConfirms();
    expect(await drain(channel, queue)).toEqual([]);
    const inbox = await consume(channel, queue, { noAck: true });
    send(channel, queue, 'somebody is there');
    await inbox.holds('somebody is there');
  });

  it('counts what is ready only', async () => {
    const channel = await openConfirmChannel(server);
    const queue = await ownQueue(channel, { 'x-max-length': 1 });
    send(channel, queue, 'one');
    const taken = await hold(channel, queue);
    send(channel, queue, 'two');
    await ready(channel, queue, 1);
    channel.nack(taken);
    expect((await take(channel, queue)).content.toString()).toBe('two');
    expect(await drain(channel, queue)).toEqual([]);
  });
});

onEachServer('x-max-length-bytes', (server) => {
  it('counts the octets of bodies', async () => {
    const channel = await openConfirmChannel(server);
    const queue = await ownQueue(channel, { 'x-max-length-bytes': 10 });
    for (const body of ['12345', '1234', '1', '', 'x']) {
      channel.sendToQueue(queue, Buffer.from(body), { headers: { long: 'x'.repeat(100) } });
    }
    expect(await drain(channel, queue)).toEqual(['1234', '1', '', 'x']);
  });

  it('drops even the last message where that is too large', async () => {
    const channel = await openConfirmChannel(server);
    const queue = await ownQueue(channel, { 'x-max-length-bytes': 10 });
    send(channel, queue, 'small', 'far too large for it');
    expect(await drain(channel, queue)).toEqual([]);
  });

  it('holds together with x-max-length', async () => {
    const channel = await openConfirmChannel(server);
    const queue = await ownQueue(channel, { 'x-max-length-bytes': 10, 'x-max-length': 2 });
    send(channel, queue, '1', '2', '3', '8 octets', '4');
    expect(await drain(channel, queue)).toEqual(['8 octets', '4']);
  });
});

onEachServer('x-overflow', (server) => {
  it('drop-head is what happens without it', async () => {
    const channel = await openConfirmChannel(server);
    const queue = await ownQueue(channel, { 'x-max-length': 1, 'x-overflow': 'drop-head' });
    expect(await outcomes(channel, queue, 'one', 'two')).toEqual(['ack', 'ack']);
    expect(await drain(channel, queue)).toEqual(['two']);
  });

  it.each(['reject-publish', 'reject-publish-dlx'])(
    '%s takes no more, and says so to a publisher who asked',
    async (overflow) => {
      const channel = await openConfirmChannel(server);
      const queue = await ownQueue(channel, { 'x-max-length': 2, 'x-overflow': overflow });
      expect(await outcomes(channel, queue, 'one', 'two', 'three')).toEqual(['ack', 'ack', 'nack']);
      await channel.get(queue, { noAck: true });
      expect(await outcomes(channel, queue, 'four', 'five')).toEqual(['ack', 'nack']);
      expect(await drain(channel, queue)).toEqual(['two', 'four']);
    },
  );

  it('reject-publish by octets takes a message as long as there is room for any', async () => {
    const channel = await openConfirmChannel(server);
    const queue = await ownQueue(channel, { 'x-max-length-bytes': 10, 'x-overflow': 'reject-publish' });
    expect(await outcomes(channel, queue, '123456789', '12', 'x')).toEqual(['ack', 'nack', 'ack']);
    expect(await drain(channel, queue)).toEqual(['123456789', 'x']);
  });

  it('reject-publish of one of two queues refuses the message, which the other has', async () => {
    const channel = await openConfirmChannel(server);
    const full = await ownQueue(channel, { 'x-max-length': 1, 'x-overflow': 'reject-publish' });
    const other = await ownQueue(channel);
    const { exchange } = await channel.assertExchange(`both-${full}`, 'fanout', { autoDelete: true });
    for (const queue of [full, other]) await channel.bindQueue(queue, exchange, '');
    const both = [await outcome(channel, exchange, '', 'one'), await outcome(channel, exchange, '', 'two')];
    expect(both).toEqual(['ack', 'nack']);
    expect([await drain(channel, full), await drain(channel, other)]).toEqual([['one'], ['one', 'two']]);
  });

  it.each([
    ['reject-publish', []],
    ['reject-publish-dlx', ['two', 'three']],
    ['drop-head', ['one', 'two']],
  ])('%s hands what is too much to the dead letter exchange, or not', async (overflow, dead) => {
    const channel = await openConfirmChannel(server);
    const graves = await ownQueue(channel);
    const queue = await ownQueue(channel, {
      'x-max-length': 1,
      'x-overflow': overflow,
      'x-dead-letter-exchange': '',
      'x-dead-letter-routing-key': graves,
    });
    await outcomes(channel, queue, 'one', 'two', 'three');
    await ready(channel, graves, dead.length);
    expect(await drain(channel, graves)).toEqual(dead);
    expect(await drain(channel, queue)).toEqual([overflow === 'drop-head' ? 'three' : 'one']);
  });
});

async function outcomes(
  channel: ConfirmChannel,
  queue: string,
  ...bodies: readonly string[]
): Promise<string[]> {
  const all: string[] = [];
  for (const body of bodies) all.push(await outcome(channel, '', queue, body));
  return all;
}

function outcome(
  channel: ConfirmChannel,
  exchange: string,
  key: string,
  body: string,
): Promise<'ack' | 'nack'> {
  return new Promise((resolve) => {
    channel.publish(exchange, key, Buffer.from(body), {}, (error) =>
      resolve(error === null ? 'ack' : 'nack'),
    );
  });
}
