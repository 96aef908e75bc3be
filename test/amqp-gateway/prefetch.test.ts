import type { Channel, ConsumeMessage, GetMessage } from 'amqplib';
import { describe, expect, it } from 'vitest';
import { startGateway } from '../support/amqp-gateway.js';
import { publication } from '../support/amqp-raw-client.js';
import { eventually } from '../support/eventually.js';
import { delivered, withMessages } from './queue-fixture.js';

describe('basic.qos', () => {
  /** What each consumer of one channel has got, out of 20 messages. */
  async function shares(
    prepare: (channel: Channel, consume: (tag: string) => Promise<void>, got: GetMessage[]) => Promise<void>,
  ) {
    const { connect } = await startGateway();
    const channel = await (await connect()).createChannel();
    await channel.assertQueue('q');
    for (let count = 0; count < 20; count++) channel.sendToQueue('q', Buffer.from(`${count}`));
    const counts: Record<string, number> = {};
    const got: GetMessage[] = [];
    const consume = async (consumerTag: string) => {
      const take = (message: ConsumeMessage | null) => {
        counts[consumerTag] = (counts[consumerTag] ?? 0) + 1;
        if (message !== null) got.push(message as unknown as GetMessage);
      };
      await channel.consume('q', take, { consumerTag });
    };
    await prepare(channel, consume, got);
    // Deliveries precede the answer of whatever is asked for after them.
    await channel.checkQueue('q');
    await eventually(async () => {
      const { messageCount } = await channel.checkQueue('q');
      return 20 - messageCount === got.length;
    });
    return counts;
  }

  it('limits each consumer that comes after it', async () => {
    expect(
      await shares(async (channel, consume) => {
        await channel.prefetch(5, false);
        await consume('a');
        await channel.prefetch(3, false);
        await consume('b');
      }),
    ).toEqual({ a: 5, b: 3 });
  });

  it('with global limits the channel', async () => {
    expect(
      await shares(async (channel, consume) => {
        await channel.prefetch(5, true);
        await consume('a');
        await consume('b');
      }),
    ).toEqual({ a: 5 });
  });

  it('limits both where global comes second', async () => {
    expect(
      await shares(async (channel, consume) => {
        await channel.prefetch(2, false);
        await channel.prefetch(3, true);
        await consume('a');
        await consume('b');
      }),
    ).toEqual({ a: 2, b: 1 });
  });

  it('ends the limit of the channel where global came first, as in RabbitMQ', async () => {
    expect(
      await shares(async (channel, consume) => {
        await channel.prefetch(3, true);
        await channel.prefetch(5, false);
        await consume('a');
        await consume('b');
      }),
    ).toEqual({ a: 5, b: 5 });
  });

  it('lets deliveries go on as they are acknowledged', async () => {
    expect(
      await shares(async (channel, consume, got) => {
        await channel.prefetch(4, false);
        await consume('a');
        await eventually(() => got.length === 4);
        for (const message of got.slice(0, 3)) channel.ack(message);
      }),
    ).toEqual({ a: 7 });
  });

  it('with global and a higher count lets a channel go on that was at its limit', async () => {
    expect(
      await shares(async (channel, consume, got) => {
        await channel.prefetch(2, true);
        await consume('a');
        await eventually(() => got.length === 2);
        await channel.prefetch(0, true);
      }),
    ).toEqual({ a: 20 });
  });

  it('with global and a lower count waits until enough is acknowledged', async () => {
    expect(
      await shares(async (channel, consume, got) => {
        await channel.prefetch(8, true);
        await consume('a');
        await eventually(() => got.length === 8);
        await channel.prefetch(2, true);
        for (const message of got.slice(0, 7)) channel.ack(message);
      }),
    ).toEqual({ a: 9 });
  });

  it('with global lets the consumers of other queues go on when one is acknowledged', async () => {
    const client = await withMessages(1);
    await client.call('queue.declare', { queue: 'other' }, 'queue.declare-ok');
    client.send(publication(1, { routingKey: 'other' }, [Buffer.from('of the other')]));
    await client.call('basic.qos', { prefetchCount: 1, global: true }, 'basic.qos-ok');
    await client.call('basic.consume', { queue: 'q' }, 'basic.consume-ok');
    const { tag } = await delivered(client);
    await client.call('basic.consume', { queue: 'other' }, 'basic.consume-ok');
    client.sendMethod(1, 'basic.ack', { deliveryTag: tag });
    expect(await delivered(client)).toMatchObject({ body: 'of the other' });
  });

  it('does not limit consumers without acknowledgements, nor basic.get', async () => {
    const client = await withMessages(5);
    await client.call('basic.qos', { prefetchCount: 1, global: true }, 'basic.qos-ok');
    for (let count = 0; count < 2; count++) {
      await client.call('basic.get', { queue: 'q' }, 'basic.get-ok');
      await client.expectContent();
    }
    await client.call('basic.consume', { queue: 'q', noAck: true }, 'basic.consume-ok');
    for (let count = 0; count < 3; count++) await delivered(client);
  });

  it('with global lets nobody have anything while the channel is full, as in RabbitMQ', async () => {
    const client = await withMessages(2);
    await client.call('basic.qos', { prefetchCount: 1, global: true }, 'basic.qos-ok');
    await client.call('basic.consume', { queue: 'q', consumerTag: 'acknowledging' }, 'basic.consume-ok');
    const { tag } = await delivered(client);
    await client.call('basic.consume', { queue: 'q', consumerTag: 'free', noAck: true }, 'basic.consume-ok');
    const declare = { queue: 'q', passive: true };
    expect(await client.call('queue.declare', declare, 'queue.declare-ok')).toMatchObject({
      messageCount: 1,
    });
    await client.call('basic.cancel', { consumerTag: 'acknowledging' }, 'basic.cancel-ok');
    client.sendMethod(1, 'basic.ack', { deliveryTag: tag });
    expect(await client.expect('basic.deliver')).toMatchObject({ consumerTag: 'free' });
  });

  it('with global gives every queue its turn where the channel has room for one message', async () => {
    const client = await withMessages(3);
    await client.call('queue.declare', { queue: 'other' }, 'queue.declare-ok');
    client.send(publication(1, { routingKey: 'other' }, [Buffer.from('of the other')]));
    await client.call('basic.qos', { prefetchCount: 1, global: true }, 'basic.qos-ok');
    await client.call('basic.consume', { queue: 'q' }, 'basic.consume-ok');
    const first = await delivered(client);
    await client.call('basic.consume', { queue: 'other' }, 'basic.consume-ok');
    client.sendMethod(1, 'basic.ack', { deliveryTag: first.tag });
    const second = await delivered(client);
    client.sendMethod(1, 'basic.ack', { deliveryTag: second.tag });
    const third = await delivered(client);
    expect([second.body, third.body]).toContain('of the other');
  });

  it('with a size is not implemented, as in RabbitMQ', async () => {
    const client = await withMessages(0);
    expect(await client.call('basic.qos', { prefetchSize: 1000 }, 'connection.close')).toMatchObject({
      replyCode: 540,
      replyText: 'NOT_IMPLEMENTED - prefetch_size!=0 (1000)',
    });
  });
});
