import { expect, it } from 'vitest';
import {
  channelOf,
  connectTo,
  consume,
  openChannel,
  openConfirmChannel,
  ready,
  send,
  settled,
  sharedQueue,
  take,
} from './app.js';
import { expectRefusal } from './refusal.js';
import { onEachServer } from './server.js';

const single = { 'x-single-active-consumer': true };

onEachServer('a queue with a single active consumer', (server) => {
  it('delivers to the first, and to the next when that is cancelled', async () => {
    const channel = await openConfirmChannel(server);
    const queue = await sharedQueue(channel, single);
    const [one, two, three] = [
      await consume(channel, queue, { noAck: true }),
      await consume(channel, queue, { noAck: true }),
      await consume(channel, queue, { noAck: true }),
    ];
    send(channel, queue, 'a', 'b');
    await one.holds('a', 'b');
    await channel.cancel(one.consumerTag);
    send(channel, queue, 'c', 'd');
    await two.holds('c', 'd');
    await channel.cancel(two.consumerTag);
    send(channel, queue, 'e');
    await three.holds('e');
    expect([one.bodies, two.bodies]).toEqual([
      ['a', 'b'],
      ['c', 'd'],
    ]);
  });

  it('keeps to the one that is active, though it has no room', async () => {
    const channel = await openConfirmChannel(server);
    const queue = await sharedQueue(channel, single);
    await channel.prefetch(1);
    const [one, two] = [await consume(channel, queue), await consume(channel, queue)];
    send(channel, queue, 'a', 'b');
    await channel.waitForConfirms();
    await settled(channel, queue);
    expect([one.bodies, two.bodies]).toEqual([['a'], []]);
    channel.ack(one.message(0));
    await one.holds('a', 'b');
  });

  it('redelivers to the next what the active one left with its channel', async () => {
    const channel = await openConfirmChannel(server);
    const queue = await sharedQueue(channel, single);
    const first = await openChannel(server);
    const [one, two] = [await consume(first, queue), await consume(channel, queue)];
    send(channel, queue, 'a', 'b');
    await one.holds('a', 'b');
    first.ack(one.message(0));
    await first.checkQueue(queue);
    await first.close();
    await two.holds('b');
    expect(two.redelivered).toEqual([true]);
  });

  it.each(['channel', 'connection'])('gives nothing to another one of a %s that ends', async (what) => {
    const channel = await openConfirmChannel(server);
    const queue = await sharedQueue(channel, single);
    const connection = await connectTo(server);
    const first = await channelOf(connection);
    await first.prefetch(1);
    const one = await consume(first, queue);
    await consume(first, queue, { noAck: true });
    const other = await consume(channel, queue, { noAck: true });
    send(channel, queue, 'a', 'b', 'c');
    await one.holds('a');
    await (what === 'channel' ? first : connection).close();
    await other.holds('a', 'b', 'c');
  });

  it('takes no notice of one that is waiting and goes', async () => {
    const channel = await openConfirmChannel(server);
    const queue = await sharedQueue(channel, single);
    const one = await consume(channel, queue, { noAck: true });
    const two = await consume(channel, queue, { noAck: true });
    await channel.cancel(two.consumerTag);
    send(channel, queue, 'a');
    await one.holds('a');
  });

  it('counts all its consumers', async () => {
    const channel = await openChannel(server);
    const queue = await sharedQueue(channel, single);
    await consume(channel, queue);
    await consume(channel, queue);
    expect(await channel.checkQueue(queue)).toMatchObject({ consumerCount: 2 });
  });

  it('refuses an exclusive consumer with 403', async () => {
    const queue = await sharedQueue(await openChannel(server), single);
    await expectRefusal(
      server,
      (channel) => channel.consume(queue, () => undefined, { exclusive: true }),
      'channel',
      403,
      `ACCESS_REFUSED - queue '${queue}' in vhost '/' in exclusive use`,
    );
  });

  it('leaves basic.get to everybody', async () => {
    const channel = await openConfirmChannel(server);
    const queue = await sharedQueue(channel, single);
    await channel.prefetch(1);
    const inbox = await consume(channel, queue);
    send(channel, queue, 'a', 'b');
    await inbox.holds('a');
    await ready(channel, queue, 1);
    const message = await take(await openChannel(server), queue);
    expect(message.content.toString()).toBe('b');
  });

  it('keeps the active one when one of a higher priority comes', async () => {
    const channel = await openConfirmChannel(server);
    const queue = await sharedQueue(channel, single);
    const one = await consume(channel, queue, { noAck: true });
    const two = await consume(channel, queue, { noAck: true, priority: 10 });
    send(channel, queue, 'a');
    await one.holds('a');
    expect(two.bodies).toEqual([]);
  });
});
