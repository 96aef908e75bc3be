import type { ChannelModel, ConfirmChannel } from 'amqplib';
import { expect, it } from 'vitest';
import {
  channelOf,
  connectTo,
  consume,
  drain,
  hold,
  openChannel,
  ownQueue,
  rawChannel,
  ready,
  send,
  sharedQueue,
  take,
} from './app.js';
import { expectRefusal } from './refusal.js';
import type { Server } from './server.js';
import { onEachServer } from './server.js';

onEachServer('basic.get', (server) => {
  it('tells exchange, key, and how many messages are left', async () => {
    const { channel, queue } = await filled(server, 'one', 'two', 'three');
    const message = await hold(channel, queue);
    expect(message.fields).toMatchObject({
      deliveryTag: 1,
      redelivered: false,
      exchange: '',
      routingKey: queue,
      messageCount: 2,
    });
  });

  it('from an empty queue says so', async () => {
    const channel = await openChannel(server);
    expect(await channel.get(await ownQueue(channel))).toBe(false);
  });

  it('without acknowledgement is the end of the message', async () => {
    const { channel, queue } = await filled(server, 'x');
    await channel.get(queue, { noAck: true });
    await channel.recover();
    expect(await drain(channel, queue)).toEqual([]);
  });

  it('of a queue that is not there is refused with 404', () =>
    expectRefusal(
      server,
      (channel) => channel.get('no such queue'),
      'channel',
      404,
      "NOT_FOUND - no queue 'no such queue' in vhost '/'",
    ));
});

onEachServer('an acknowledgement', (server) => {
  it('is for one message', async () => {
    const filling = await filled(server, 'one', 'two', 'three');
    const { channel, queue } = filling;
    const inbox = await consume(channel, queue);
    await inbox.holds('one', 'two', 'three');
    channel.ack(inbox.message(1));
    await expectLeft(filling, 'one', 'three');
  });

  it('of multiple is for all up to it', async () => {
    const filling = await filled(server, 'one', 'two', 'three');
    const { channel, queue } = filling;
    const inbox = await consume(channel, queue);
    await inbox.holds('one', 'two', 'three');
    channel.ack(inbox.message(1), true);
    await expectLeft(filling, 'three');
  });

  it('of multiple with tag 0 is for all there are, also for none', async () => {
    const filling = await filled(server, 'one', 'two');
    const { channel, queue } = filling;
    channel.ackAll();
    const inbox = await consume(channel, queue);
    await inbox.holds('one', 'two');
    channel.ackAll();
    await expectLeft(filling);
  });

  it('by basic.nack of multiple puts all up to it back, in order', async () => {
    const { channel, queue } = await filled(server, 'one', 'two', 'three');
    const messages = [await channel.get(queue), await channel.get(queue), await channel.get(queue)];
    if (messages[1]) channel.nack(messages[1], true, true);
    await ready(channel, queue, 2);
    expect(await drain(channel, queue)).toEqual(['one', 'two']);
  });

  it('by basic.nack and basic.reject without requeue drops the message', async () => {
    const filling = await filled(server, 'one', 'two', 'three');
    const { channel, queue } = filling;
    const [one, two] = [await channel.get(queue), await channel.get(queue)];
    if (one) channel.nack(one, false, false);
    if (two) channel.reject(two, false);
    await expectLeft(filling, 'three');
  });

  const unknown = 'PRECONDITION_FAILED - unknown delivery tag';

  it.each(['basic.ack', 'basic.nack', 'basic.reject'] as const)(
    'by %s of an unknown tag is refused with 406',
    async (method) => {
      const client = await rawChannel(server);
      client.sendMethod(1, method, { deliveryTag: 5 });
      expect(await client.expect('channel.close')).toMatchObject({
        replyCode: 406,
        replyText: `${unknown} 5`,
      });
    },
  );

  it('made twice is refused with 406', async () => {
    const { queue } = await filled(server, 'one', 'two');
    await expectRefusal(
      server,
      async (channel) => {
        const one = await channel.get(queue);
        await channel.get(queue);
        if (!one) return;
        channel.ack(one);
        channel.ack(one);
      },
      'channel',
      406,
      `${unknown} 1`,
    );
  });

  it('of multiple that is for nothing is refused with 406', async () => {
    const { queue } = await filled(server, 'one', 'two');
    await expectRefusal(
      server,
      async (channel) => {
        const [one] = [await channel.get(queue), await channel.get(queue)];
        if (!one) return;
        channel.ack(one);
        channel.ack(one, true);
      },
      'channel',
      406,
      `${unknown} 1`,
    );
  });

  it('of a message that needs none is refused with 406', async () => {
    const { queue } = await filled(server, 'one');
    await expectRefusal(
      server,
      async (channel) => {
        const one = await channel.get(queue, { noAck: true });
        if (one) channel.ack(one);
      },
      'channel',
      406,
      `${unknown} 1`,
    );
  });

  it('on another channel is refused with 406', async () => {
    const { channel, queue } = await filled(server, 'one');
    const one = await channel.get(queue);
    await expectRefusal(server, (other) => one && other.ack(one), 'channel', 406, `${unknown} 1`);
  });
});

onEachServer('a message that was not acknowledged', (server) => {
  it('is redelivered, at its place, when its channel is closed', async () => {
    const connection = await connectTo(server);
    const { channel, queue } = await filled(server, 'one', 'two', 'three', 'four');
    const other = await channelOf(connection);
    await other.get(queue);
    await other.get(queue, { noAck: true });
    await other.get(queue);
    await other.close();
    await ready(channel, queue, 3);
    const inbox = await consume(channel, queue, { noAck: true });
    await inbox.holds('one', 'three', 'four');
    expect(inbox.redelivered).toEqual([true, true, false]);
  });

  it('is redelivered when its connection breaks', async () => {
    const { channel, queue } = await filled(server, 'one');
    const client = await rawChannel(server);
    await client.call('basic.get', { queue }, 'basic.get-ok');
    client.destroy();
    const message = await take(channel, queue);
    expect(message.fields.redelivered).toBe(true);
  });

  it('stays taken when its consumer is cancelled', async () => {
    const filling = await filled(server, 'one');
    const { channel, queue } = filling;
    const inbox = await consume(channel, queue);
    await inbox.holds('one');
    await channel.cancel(inbox.consumerTag);
    expect(await channel.get(queue)).toBe(false);
    await expectLeft(filling, 'one');
  });

  it('comes first again when it is requeued, before what has waited longer at the end', async () => {
    const { channel, queue } = await filled(server, 'one', 'two', 'three');
    const [one, two] = [await channel.get(queue), await channel.get(queue)];
    if (two) channel.nack(two);
    if (one) channel.reject(one, true);
    await ready(channel, queue, 3);
    const again = [await take(channel, queue), await take(channel, queue), await take(channel, queue)];
    expect(again.map(({ content }) => content.toString())).toEqual(['one', 'two', 'three']);
    expect(again.map(({ fields }) => fields.redelivered)).toEqual([true, true, false]);
  });

  it('goes to another consumer of the queue when it is given back', async () => {
    const { channel, queue } = await filled(server, 'x');
    const giving = await openChannel(server);
    const first = await consume(giving, queue);
    await first.holds('x');
    const second = await consume(channel, queue);
    await giving.cancel(first.consumerTag);
    giving.nack(first.message(0));
    await second.holds('x');
    expect(second.redelivered).toEqual([true]);
  });
});

onEachServer('basic.recover', (server) => {
  it('puts everything back that the channel has not acknowledged', async () => {
    const { channel, queue } = await filled(server, 'one', 'two', 'three');
    const [one] = [await channel.get(queue), await channel.get(queue)];
    if (one) channel.ack(one);
    await channel.recover();
    const again = [await take(channel, queue), await take(channel, queue)];
    expect(again.map(({ content }) => content.toString())).toEqual(['two', 'three']);
    expect(again.map(({ fields }) => fields.redelivered)).toEqual([true, false]);
  });

  it('redelivers to the consumer that is still there', async () => {
    const { channel, queue } = await filled(server, 'one', 'two');
    const inbox = await consume(channel, queue);
    await inbox.holds('one', 'two');
    await channel.recover();
    await inbox.holds('one', 'two', 'one', 'two');
    expect(inbox.redelivered).toEqual([false, false, true, true]);
    expect(inbox.messages.map(({ fields }) => fields.deliveryTag)).toEqual([1, 2, 3, 4]);
  });

  it.each(['basic.recover', 'basic.recover-async'] as const)(
    '%s without requeue is refused with 540',
    async (method) => {
      const client = await rawChannel(server);
      client.sendMethod(1, method, { requeue: false });
      expect(await client.expect('connection.close')).toMatchObject({
        replyCode: 540,
        replyText: 'NOT_IMPLEMENTED - requeue=false',
      });
    },
  );

  it('asynchronously is not answered', async () => {
    const { queue } = await filled(server, 'one');
    const client = await rawChannel(server);
    await client.call('basic.get', { queue }, 'basic.get-ok');
    await client.expectContent();
    client.sendMethod(1, 'basic.recover-async', { requeue: true });
    expect(await client.call('basic.get', { queue }, 'basic.get-ok')).toMatchObject({ redelivered: true });
  });
});

interface Filled {
  readonly connection: ChannelModel;
  readonly channel: ConfirmChannel;
  readonly queue: string;
}

/** A queue that any connection may use, with messages in it. */
async function filled(server: Server, ...bodies: readonly string[]): Promise<Filled> {
  const connection = await connectTo(server);
  const channel = await connection.createConfirmChannel();
  const queue = await sharedQueue(channel);
  send(channel, queue, ...bodies);
  await channel.waitForConfirms();
  return { connection, channel, queue };
}

/** Closes the channel, which gives back what it has not acknowledged, and expects what is in the queue then. */
async function expectLeft(
  { connection, channel, queue }: Filled,
  ...bodies: readonly string[]
): Promise<void> {
  await channel.close();
  const other = await channelOf(connection);
  await ready(other, queue, bodies.length);
  expect(await drain(other, queue)).toEqual(bodies);
}
