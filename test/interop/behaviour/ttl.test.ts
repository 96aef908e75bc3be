import type { Channel } from 'amqplib';
import { expect, it } from 'vitest';
import { eventually } from '../../support/eventually.js';
import {
  channelOf,
  connectTo,
  consume,
  drain,
  openChannel,
  openConfirmChannel,
  ownExchange,
  ownQueue,
  passed,
  ready,
  send,
  sharedQueue,
  unique,
} from './app.js';
import { expectRefusal } from './refusal.js';
import { onEachServer } from './server.js';

const SHORT_MS = 50;
/** So long that a part of it does not become the whole on a busy machine. */
const LONG_MS = 600;

onEachServer('x-message-ttl', (server) => {
  it('takes messages away that waited for longer', async () => {
    const channel = await openConfirmChannel(server);
    const queue = await ownQueue(channel, { 'x-message-ttl': SHORT_MS });
    send(channel, queue, 'one', 'two');
    await channel.waitForConfirms();
    await ready(channel, queue, 0);
    expect(await drain(channel, queue)).toEqual([]);
  });

  it('of 0 leaves only what is delivered at once', async () => {
    const channel = await openConfirmChannel(server);
    const queue = await ownQueue(channel, { 'x-message-ttl': 0 });
    send(channel, queue, 'nobody is there');
    await channel.waitForConfirms();
    expect(await drain(channel, queue)).toEqual([]);
    const inbox = await consume(channel, queue, { noAck: true });
    send(channel, queue, 'somebody is there');
    await inbox.holds('somebody is there');
  });

  it('does not touch what was delivered; that expires when it is given back', async () => {
    const connection = await connectTo(server);
    const [channel, holder] = [await connection.createConfirmChannel(), await channelOf(connection)];
    const queue = await sharedQueue(channel, { 'x-message-ttl': SHORT_MS });
    const inbox = await consume(holder, queue);
    send(channel, queue, 'delivered');
    await inbox.holds('delivered');
    await holder.cancel(inbox.consumerTag);
    // Published later, gone already: the first one's time is over as well.
    send(channel, queue, 'waiting');
    await channel.waitForConfirms();
    await ready(channel, queue, 0);
    await holder.close();
    expect(await drain(channel, queue)).toEqual([]);
  });
});

onEachServer('the expiration of a message', (server) => {
  it('takes it away, and leaves the others', async () => {
    const channel = await openConfirmChannel(server);
    const queue = await ownQueue(channel);
    channel.sendToQueue(queue, Buffer.from('short'), { expiration: SHORT_MS });
    send(channel, queue, 'long');
    await channel.waitForConfirms();
    await ready(channel, queue, 1);
    expect(await drain(channel, queue)).toEqual(['long']);
  });

  it('of 0 leaves only what is delivered at once', async () => {
    const channel = await openConfirmChannel(server);
    const queue = await ownQueue(channel);
    channel.sendToQueue(queue, Buffer.from('nobody is there'), { expiration: '0' });
    await channel.waitForConfirms();
    expect(await drain(channel, queue)).toEqual([]);
    const inbox = await consume(channel, queue, { noAck: true });
    channel.sendToQueue(queue, Buffer.from('somebody is there'), { expiration: '0' });
    await inbox.holds('somebody is there');
    expect(inbox.message(0).properties.expiration).toBe('0');
  });

  it('behind one that stays is over, though it is noticed at the head only', async () => {
    const channel = await openConfirmChannel(server);
    const queue = await ownQueue(channel);
    send(channel, queue, 'head');
    channel.sendToQueue(queue, Buffer.from('behind'), { expiration: 1 });
    await passed(channel, SHORT_MS);
    expect(await channel.checkQueue(queue)).toMatchObject({ messageCount: 2 });
    expect(await drain(channel, queue)).toEqual(['head']);
  });

  it.each([
    ['x-message-ttl', SHORT_MS, '60000'],
    ['expiration', 60_000, String(SHORT_MS)],
  ])('together with x-message-ttl: the shorter holds (%s)', async (_, ttl, expiration) => {
    const channel = await openConfirmChannel(server);
    const queue = await ownQueue(channel, { 'x-message-ttl': ttl });
    channel.sendToQueue(queue, Buffer.from('x'), { expiration });
    await channel.waitForConfirms();
    await ready(channel, queue, 0);
  });

  it.each([
    ['-1', '{value_negative,-1}'],
    ['1.5', '{leftover_string,".5"}'],
    ['', 'no_integer'],
    ['10 s', '{leftover_string," s"}'],
  ])('of "%s" is refused with 406', (expiration, reason) =>
    expectRefusal(
      server,
      (channel) => channel.publish('amq.fanout', '', Buffer.from('x'), { expiration }),
      'channel',
      406,
      `PRECONDITION_FAILED - invalid expiration '${expiration}': ${reason}`,
    ),
  );
});

onEachServer('x-expires', (server) => {
  const expiring = { 'x-expires': SHORT_MS };

  it('takes away a queue that nobody uses, and what is in it', async () => {
    const channel = await openChannel(server);
    const { queue } = await channel.assertQueue(unique('queue'), { durable: false, arguments: expiring });
    send(channel, queue, 'x');
    await gone(channel, queue);
    await expect(channel.checkQueue(queue)).rejects.toThrow('NOT_FOUND');
  });

  it('does not touch a queue that has a consumer, and does when it has none any more', async () => {
    const channel = await openConfirmChannel(server);
    const { queue } = await channel.assertQueue(unique('queue'), { durable: false, arguments: expiring });
    const inbox = await consume(channel, queue, { noAck: true });
    await passed(channel, 3 * SHORT_MS);
    send(channel, queue, 'still here');
    await inbox.holds('still here');
    await channel.cancel(inbox.consumerTag);
    await gone(channel, queue);
  });

  it('counts from the last basic.get or declare on', async () => {
    const channel = await openConfirmChannel(server);
    const args = { 'x-expires': LONG_MS };
    const { queue } = await channel.assertQueue(unique('queue'), { durable: false, arguments: args });
    for (let times = 0; times < 3; times++) {
      await passed(channel, 0.4 * LONG_MS);
      if (times === 1) await channel.assertQueue(queue, { durable: false, arguments: args });
      else expect(await channel.get(queue)).toBe(false);
    }
    await gone(channel, queue);
  });

  it('tells its exchange, which deletes itself with its last binding', async () => {
    const channel = await openChannel(server);
    const exchange = await ownExchange(channel, 'fanout', { autoDelete: true });
    const { queue } = await channel.assertQueue(unique('queue'), { durable: false, arguments: expiring });
    await channel.bindQueue(queue, exchange, '');
    await gone(channel, queue);
    await expect(channel.checkExchange(exchange)).rejects.toThrow('NOT_FOUND');
  });
});

/** Waits until the queue is gone; a publication to it is not a use of it, and comes back then. */
async function gone(channel: Channel, queue: string): Promise<void> {
  let returned = false;
  channel.once('return', () => {
    returned = true;
  });
  await eventually(() => {
    channel.sendToQueue(queue, Buffer.from('probe'), { mandatory: true });
    return returned;
  });
}
