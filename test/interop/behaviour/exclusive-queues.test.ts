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
  ownQueue,
  rawChannel,
  send,
  unique,
} from './app.js';
import { expectRefusal } from './refusal.js';
import { onEachServer } from './server.js';

onEachServer('an exclusive queue', (server) => {
  it.each<[string, (channel: Channel, queue: string) => unknown]>([
    ['queue.declare', (channel, queue) => channel.assertQueue(queue, { exclusive: true })],
    ['a passive queue.declare', (channel, queue) => channel.checkQueue(queue)],
    ['queue.bind', (channel, queue) => channel.bindQueue(queue, 'amq.fanout', '')],
    ['queue.purge', (channel, queue) => channel.purgeQueue(queue)],
    ['queue.delete', (channel, queue) => channel.deleteQueue(queue)],
    ['basic.consume', (channel, queue) => channel.consume(queue, () => undefined)],
    ['basic.get', (channel, queue) => channel.get(queue)],
  ])('refuses %s of another connection with 405', async (_, attempt) => {
    const queue = await ownQueue(await openChannel(server));
    await expectRefusal(
      server,
      (channel) => attempt(channel, queue),
      'channel',
      405,
      `RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '${queue}' in vhost '/'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration.`,
    );
  });

  it('declared again by its own connection as one that is not exclusive is refused with 405', () => {
    const queue = unique('queue');
    return expectRefusal(
      server,
      async (channel) => {
        await channel.assertQueue(queue, { exclusive: true });
        await channel.assertQueue(queue, { exclusive: false });
      },
      'channel',
      405,
      /^RESOURCE_LOCKED - cannot obtain exclusive access to locked queue/,
    );
  });

  it('serves the other channels of its connection', async () => {
    const connection = await connectTo(server);
    const [one, two] = [await channelOf(connection), await channelOf(connection)];
    const queue = await ownQueue(one);
    await two.checkQueue(queue);
    await one.close();
    await two.checkQueue(queue);
  });

  it('takes messages from other connections', async () => {
    const [owner, other] = [await openChannel(server), await openConfirmChannel(server)];
    const queue = await ownQueue(owner);
    send(other, queue, 'x');
    await other.waitForConfirms();
    expect(await drain(owner, queue)).toEqual(['x']);
  });

  it('goes with its connection, also when that breaks', async () => {
    const [owner, other] = [await rawChannel(server), await connectTo(server)];
    const queue = unique('queue');
    await owner.call('queue.declare', { queue, exclusive: true }, 'queue.declare-ok');
    owner.destroy();
    await eventually(async () => {
      const channel = await channelOf(other);
      await expect(channel.checkQueue(queue)).rejects.toThrow('NOT_FOUND');
    });
  });
});

onEachServer('a queue that deletes itself', (server) => {
  const selfDeleting = { autoDelete: true, durable: false };

  it('stays as long as it has had no consumer', async () => {
    const channel = await openChannel(server);
    const { queue } = await channel.assertQueue(unique('queue'), selfDeleting);
    await (await openChannel(server)).checkQueue(queue);
    await channel.deleteQueue(queue);
  });

  it('goes with its last consumer', async () => {
    const channel = await openChannel(server);
    const { queue } = await channel.assertQueue(unique('queue'), selfDeleting);
    const [one, two] = [await consume(channel, queue), await consume(channel, queue)];
    await channel.cancel(one.consumerTag);
    await channel.checkQueue(queue);
    await channel.cancel(two.consumerTag);
    await expect(channel.checkQueue(queue)).rejects.toThrow('NOT_FOUND');
  });

  it('goes with the channel of its last consumer', async () => {
    const connection = await connectTo(server);
    const channel = await channelOf(connection);
    const { queue } = await channel.assertQueue(unique('queue'), selfDeleting);
    await consume(channel, queue);
    await channel.close();
    await eventually(async () => {
      const other = await channelOf(connection);
      await expect(other.checkQueue(queue)).rejects.toThrow('NOT_FOUND');
    });
  });

  it('is not kept by basic.get, nor taken away by it', async () => {
    const channel = await openChannel(server);
    const { queue } = await channel.assertQueue(unique('queue'), selfDeleting);
    await channel.get(queue);
    await channel.checkQueue(queue);
    await channel.deleteQueue(queue);
  });
});
