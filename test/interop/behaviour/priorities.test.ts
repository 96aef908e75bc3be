import type { Channel } from 'amqplib';
import { expect, it } from 'vitest';
import { consume, drain, hold, openConfirmChannel, ownQueue, passed, ready, send, take } from './app.js';
import { onEachServer } from './server.js';

onEachServer('a queue with x-max-priority', (server) => {
  it('delivers the highest first, those of one priority in order', async () => {
    const { channel, queue } = await prioritised(5);
    publish(channel, queue, [undefined, 1, 5, 3, 5, 0, 1]);
    expect(await drain(channel, queue)).toEqual(['5 2', '5 4', '3 3', '1 1', '1 6', 'undefined 0', '0 5']);
  });

  it('treats a higher priority than it has as its highest', async () => {
    const { channel, queue } = await prioritised(2);
    publish(channel, queue, [2, 9, 255, 1]);
    expect(await drain(channel, queue)).toEqual(['2 0', '9 1', '255 2', '1 3']);
  });

  it('delivers the property as it was published', async () => {
    const { channel, queue } = await prioritised(2);
    publish(channel, queue, [9]);
    const message = await take(channel, queue);
    expect(message.properties.priority).toBe(9);
  });

  it('puts what is requeued at its place among those of its priority', async () => {
    const { channel, queue } = await prioritised(5);
    publish(channel, queue, [1, 1, 5]);
    const [high, low] = [await hold(channel, queue), await hold(channel, queue)];
    channel.nack(low);
    channel.nack(high);
    await ready(channel, queue, 3);
    expect(await drain(channel, queue)).toEqual(['5 2', '1 0', '1 1']);
  });

  it('drops from its head where x-max-length is reached: what would be delivered first', async () => {
    const { channel, queue } = await prioritised(5, { 'x-max-length': 2 });
    publish(channel, queue, [5, 1, 3, 0]);
    expect(await drain(channel, queue)).toEqual(['1 1', '0 3']);
  });

  it('delivers to a waiting consumer whatever comes', async () => {
    const { channel, queue } = await prioritised(5);
    const inbox = await consume(channel, queue, { noAck: true });
    publish(channel, queue, [1, 5]);
    await inbox.holds('1 0', '5 1');
  });

  it('delivers nothing that expired behind a message of a higher priority', async () => {
    const { channel, queue } = await prioritised(5);
    channel.sendToQueue(queue, Buffer.from('stays'), { priority: 5 });
    channel.sendToQueue(queue, Buffer.from('goes'), { priority: 1, expiration: 1 });
    await passed(channel, 20);
    expect(await drain(channel, queue)).toEqual(['stays']);
  });

  it('of 0 has one priority', async () => {
    const { channel, queue } = await prioritised(0);
    publish(channel, queue, [0, 5]);
    expect(await drain(channel, queue)).toEqual(['0 0', '5 1']);
  });

  async function prioritised(maxPriority: number, args: object = {}) {
    const channel = await openConfirmChannel(server);
    return { channel, queue: await ownQueue(channel, { 'x-max-priority': maxPriority, ...args }) };
  }
});

onEachServer('a queue without x-max-priority', (server) => {
  it('takes no notice of priorities', async () => {
    const channel = await openConfirmChannel(server);
    const queue = await ownQueue(channel);
    publish(channel, queue, [0, 9, 5]);
    send(channel, queue, 'none');
    expect(await drain(channel, queue)).toEqual(['0 0', '9 1', '5 2', 'none']);
  });
});

function publish(channel: Channel, queue: string, priorities: readonly (number | undefined)[]): void {
  for (const [index, priority] of priorities.entries()) {
    const options = priority === undefined ? {} : { priority };
    channel.sendToQueue(queue, Buffer.from(`${priority} ${index}`), options);
  }
}
