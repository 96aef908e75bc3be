import { expect, it } from 'vitest';
import { channelOf, connectTo, consume, hold, openChannel, ownQueue, send, take } from './app.js';
import { onEachServer } from './server.js';

onEachServer('delivery tags', (server) => {
  it('count what the channel delivers by whatever method, with or without acknowledgement', async () => {
    const channel = await openChannel(server);
    const queue = await ownQueue(channel);
    send(channel, queue, '1', '2', '3', '4');
    const tags = [await hold(channel, queue), await take(channel, queue), await hold(channel, queue)];
    const inbox = await consume(channel, queue, { noAck: true });
    await inbox.holds('4');
    expect([...tags, inbox.message(0)].map(({ fields }) => fields.deliveryTag)).toEqual([1, 2, 3, 4]);
  });

  it('are a matter of each channel', async () => {
    const connection = await connectTo(server);
    const [one, two] = [await channelOf(connection), await channelOf(connection)];
    const queue = await ownQueue(one);
    send(one, queue, '1', '2');
    expect((await hold(one, queue)).fields.deliveryTag).toBe(1);
    expect((await hold(two, queue)).fields.deliveryTag).toBe(1);
  });
});
