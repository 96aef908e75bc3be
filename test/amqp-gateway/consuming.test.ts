import type { ConsumeMessage } from 'amqplib';
import { describe, expect, it, vi } from 'vitest';
import type { ContentMessage } from '../../src/amqp-gateway/message.js';
import { startGateway } from '../support/amqp-gateway.js';
import type { RawClient } from '../support/amqp-raw-client.js';
import { methodFrame, publication } from '../support/amqp-raw-client.js';
import { eventually } from '../support/eventually.js';
import { delivered, withMessages } from './queue-fixture.js';

async function ready(client: RawClient): Promise<number> {
  const { messageCount } = await client.call(
    'queue.declare',
    { queue: 'q', passive: true },
    'queue.declare-ok',
  );
  return messageCount;
}

describe('basic.consume', () => {
  it('is answered before the first delivery', async () => {
    const client = await withMessages(1);
    const { consumerTag } = await client.call('basic.consume', { queue: 'q' }, 'basic.consume-ok');
    expect(consumerTag).toMatch(/^amq\.ctag-/);
    expect(await client.expect('basic.deliver')).toMatchObject({
      consumerTag,
      deliveryTag: 1,
      redelivered: false,
    });
  });

  it('with a tag in use closes the connection with NOT_ALLOWED', async () => {
    const client = await withMessages(0);
    await client.call('basic.consume', { queue: 'q', consumerTag: 'c' }, 'basic.consume-ok');
    expect(
      await client.call('basic.consume', { queue: 'none', consumerTag: 'c' }, 'connection.close'),
    ).toMatchObject({
      replyCode: 530,
      replyText: "NOT_ALLOWED - attempt to reuse consumer tag 'c'",
    });
  });

  it.each([
    ['an exclusive consumer beside another', false, true],
    ['any consumer beside an exclusive one', true, false],
  ])('of %s is refused', async (_, first, second) => {
    const client = await withMessages(0);
    await client.call('basic.consume', { queue: 'q', exclusive: first }, 'basic.consume-ok');
    expect(
      await client.call('basic.consume', { queue: 'q', exclusive: second }, 'channel.close'),
    ).toMatchObject({
      replyCode: 403,
      replyText: "ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use",
    });
  });

  it('gives a consumer of higher priority everything that it can take', async () => {
    const client = await withMessages(0);
    await client.call('basic.qos', { prefetchCount: 2 }, 'basic.qos-ok');
    await client.call('basic.consume', { queue: 'q', consumerTag: 'low' }, 'basic.consume-ok');
    const high = { queue: 'q', consumerTag: 'high', arguments: { 'x-priority': 5 } };
    await client.call('basic.consume', high, 'basic.consume-ok');
    const tags = [];
    for (let number = 1; number <= 3; number++) {
      client.send(publication(1, { routingKey: 'q' }, [Buffer.from('x')]));
      tags.push((await client.expect('basic.deliver')).consumerTag);
      await client.expectContent();
    }
    expect(tags).toEqual(['high', 'high', 'low']);
  });

  it('takes no-local, and arguments that mean nothing, as RabbitMQ does', async () => {
    const client = await withMessages(1);
    const args = { queue: 'q', noLocal: true, noAck: true, arguments: { 'x-cancel-on-ha-failover': true } };
    await client.call('basic.consume', args, 'basic.consume-ok');
    expect(await delivered(client)).toMatchObject({ body: '1' });
  });

  it.each([
    ['x-priority', 'high', '"expected integer, got longstr"'],
    ['x-priority', 1.5, '"expected integer, got double"'],
    ['x-priority', true, '"expected integer, got bool"'],
    ['x-cancel-on-ha-failover', 1, '{unacceptable_type,signedint}'],
  ])('with %s of %j is refused', async (argument, value, problem) => {
    const client = await withMessages(0);
    const args = { queue: 'q', arguments: { [argument]: value } };
    expect(await client.call('basic.consume', args, 'channel.close')).toMatchObject({
      replyCode: 406,
      replyText: `PRECONDITION_FAILED - invalid arg '${argument}' for queue 'q' in vhost '/': ${problem}`,
    });
  });
});

describe('basic.cancel', () => {
  it('ends deliveries, and leaves what was delivered to be acknowledged', async () => {
    const client = await withMessages(1);
    await client.call('basic.consume', { queue: 'q', consumerTag: 'c' }, 'basic.consume-ok');
    const { tag } = await delivered(client);
    await client.call('basic.cancel', { consumerTag: 'c' }, 'basic.cancel-ok');
    client.send(publication(1, { routingKey: 'q' }, [Buffer.from('2')]));
    expect(await ready(client)).toBe(1);
    client.sendMethod(1, 'basic.nack', { deliveryTag: tag, requeue: true });
    expect(await ready(client)).toBe(2);
  });

  it('of a consumer that is not there is answered all the same', async () => {
    const client = await withMessages(0);
    expect(await client.call('basic.cancel', { consumerTag: 'c' }, 'basic.cancel-ok')).toMatchObject({
      consumerTag: 'c',
    });
  });

  it.each([
    [['consumer_cancel_notify'], true],
    [[], false],
  ])('is sent when the queue is deleted, to clients with capabilities %j: %s', async (capabilities, told) => {
    const client = await withMessages(0, capabilities);
    await client.call('basic.consume', { queue: 'q', consumerTag: 'c' }, 'basic.consume-ok');
    client.sendMethod(1, 'queue.delete', { queue: 'q' });
    // After the answer, where the client asked for it itself.
    await client.expect('queue.delete-ok');
    if (told) expect(await client.expect('basic.cancel')).toMatchObject({ consumerTag: 'c', noWait: true });
    // The tag is free again.
    await client.call('queue.declare', { queue: 'q' }, 'queue.declare-ok');
    await client.call('basic.consume', { queue: 'q', consumerTag: 'c' }, 'basic.consume-ok');
  });

  it('reaches the callback of amqplib when the queue is deleted', async () => {
    const { connect } = await startGateway();
    const channel = await (await connect()).createChannel();
    await channel.assertQueue('q');
    const seen: (ConsumeMessage | null)[] = [];
    await channel.consume('q', (message) => seen.push(message));
    await (await (await connect()).createChannel()).deleteQueue('q');
    await eventually(() => expect(seen).toEqual([null]));
  });
});

describe('basic.get', () => {
  it('takes one message, and tells how many are left', async () => {
    const client = await withMessages(2);
    expect(await client.call('basic.get', { queue: 'q' }, 'basic.get-ok')).toMatchObject({
      deliveryTag: 1,
      redelivered: false,
      exchange: '',
      routingKey: 'q',
      messageCount: 1,
    });
    expect((await client.expectContent()).body.toString()).toBe('1');
    await client.call('basic.get', { queue: 'q', noAck: true }, 'basic.get-ok');
    await client.expectContent();
    await client.call('basic.get', { queue: 'q' }, 'basic.get-empty');
  });

  it('gives a message back when its channel ends without an acknowledgement, marked as redelivered', async () => {
    const client = await withMessages(1);
    await client.call('basic.get', { queue: 'q' }, 'basic.get-ok');
    await client.expectContent();
    await client.call('channel.close', {}, 'channel.close-ok');
    await client.call('channel.open', {}, 'channel.open-ok');
    expect(await client.call('basic.get', { queue: 'q' }, 'basic.get-ok')).toMatchObject({
      redelivered: true,
      deliveryTag: 1,
    });
  });
});

describe('basic.get from a queue that has to read first', () => {
  /** The queue answers the first question when `read` is called. */
  async function reading() {
    const { rawChannel, virtualHost, gateway } = await startGateway();
    const client = await rawChannel();
    await client.call('queue.declare', { queue: 'q' }, 'queue.declare-ok');
    client.send(publication(1, { routingKey: 'q' }, [Buffer.from('1')]));
    await client.call('basic.qos', {}, 'basic.qos-ok');
    const queue = virtualHost.queue('q', {});
    let read = () => {};
    const get = vi.spyOn(queue, 'get').mockReturnValueOnce(
      new Promise((resolve) => {
        read = resolve;
      }),
    );
    client.send(methodFrame(1, 'basic.get', { queue: 'q' }), methodFrame(1, 'queue.declare', { queue: 'r' }));
    await eventually(() => get.mock.calls.length === 1);
    return { client, gateway, queue, get, read: () => read() };
  }

  it('is answered when that is done, and before anything that was asked later', async () => {
    const { client, queue, read } = await reading();
    read();
    expect(await client.expect('basic.get-ok')).toMatchObject({ deliveryTag: 1, messageCount: 0 });
    expect((await client.expectContent()).body.toString()).toBe('1');
    await client.expect('queue.declare-ok');
    expect(queue.unacknowledgedCount).toBe(1);
  });

  it('takes nothing where the client has gone meanwhile', async () => {
    const { client, gateway, queue, get, read } = await reading();
    client.destroy();
    await eventually(() => gateway.status().connections === 0);
    read();
    await new Promise((resolve) => setImmediate(resolve));
    expect(get).toHaveBeenCalledTimes(1);
    expect(queue.messageCount).toBe(1);
  });
});

describe('rejecting', () => {
  it.each([
    ['basic.reject', { deliveryTag: 2 }, [2]],
    ['basic.nack', { deliveryTag: 2 }, [2]],
    ['basic.nack', { deliveryTag: 2, multiple: true }, [1, 2]],
  ] as const)('with %s %j tells the queue, which may have use for the dead', async (name, args, numbers) => {
    const { rawChannel, virtualHost } = await startGateway();
    const client = await rawChannel();
    await client.call('queue.declare', { queue: 'q' }, 'queue.declare-ok');
    for (let number = 1; number <= 3; number++) {
      client.send(publication(1, { routingKey: 'q' }, [Buffer.from(`${number}`)]));
      await client.call('basic.get', { queue: 'q' }, 'basic.get-ok');
      await client.expectContent();
    }
    const queue = virtualHost.queue('q', {});
    const reject = vi.spyOn(queue, 'reject');
    client.sendMethod(1, name, args);
    await client.call('basic.qos', {}, 'basic.qos-ok');
    expect(reject).toHaveBeenCalledTimes(1);
    const bodies = [...(reject.mock.calls[0]?.[0] ?? [])].map(({ message }) => {
      const { bytes, bodyStart, bodyEnd } = message as ContentMessage;
      return Number(bytes.toString('latin1', bodyStart, bodyEnd));
    });
    expect(bodies).toEqual(numbers);
    expect(queue.unacknowledgedCount).toBe(3 - numbers.length);
  });
});

describe('acknowledgements', () => {
  async function consumed(count: number): Promise<RawClient> {
    const client = await withMessages(count);
    await client.call('basic.consume', { queue: 'q', consumerTag: 'c' }, 'basic.consume-ok');
    for (let number = 1; number <= count; number++) await delivered(client);
    return client;
  }

  /** Cancels, gives back what is not acknowledged, and tells what there is, in order. */
  async function rest(client: RawClient): Promise<string[]> {
    await client.call('basic.cancel', { consumerTag: 'c' }, 'basic.cancel-ok');
    await client.call('basic.recover', { requeue: true }, 'basic.recover-ok');
    const bodies = [];
    for (let count = await ready(client); count > 0; count--) {
      await client.call('basic.get', { queue: 'q', noAck: true }, 'basic.get-ok');
      bodies.push((await client.expectContent()).body.toString());
    }
    return bodies;
  }

  it('forget a message, one or all up to it', async () => {
    const client = await consumed(5);
    client.sendMethod(1, 'basic.ack', { deliveryTag: 4 });
    client.sendMethod(1, 'basic.ack', { deliveryTag: 2, multiple: true });
    expect(await rest(client)).toEqual(['3', '5']);
  });

  it('of tag 0 with multiple forget everything, also where there is nothing', async () => {
    const client = await consumed(3);
    for (let twice = 0; twice < 2; twice++)
      client.sendMethod(1, 'basic.ack', { deliveryTag: 0, multiple: true });
    expect(await rest(client)).toEqual([]);
  });

  it('may be negative: requeued messages return to their places', async () => {
    const client = await consumed(5);
    await client.call('basic.cancel', { consumerTag: 'c' }, 'basic.cancel-ok');
    client.sendMethod(1, 'basic.ack', { deliveryTag: 1 });
    client.sendMethod(1, 'basic.reject', { deliveryTag: 5, requeue: true });
    client.sendMethod(1, 'basic.reject', { deliveryTag: 2 });
    client.sendMethod(1, 'basic.nack', { deliveryTag: 4, multiple: true, requeue: true });
    expect(await rest(client)).toEqual(['3', '4', '5']);
  });

  it('without requeue drop messages', async () => {
    const client = await consumed(3);
    client.sendMethod(1, 'basic.nack', { deliveryTag: 2, multiple: true });
    expect(await rest(client)).toEqual(['3']);
  });

  it.each([
    ['basic.ack', { deliveryTag: 9 }],
    ['basic.ack', { deliveryTag: 9, multiple: true }],
    ['basic.ack', { deliveryTag: 0 }],
    ['basic.nack', { deliveryTag: 9, requeue: true }],
    ['basic.reject', { deliveryTag: 9, requeue: true }],
  ] as const)('%s %j of a delivery that is not there closes the channel', async (name, args) => {
    const client = await consumed(1);
    client.sendMethod(1, name, args);
    expect(await client.expect('channel.close')).toMatchObject({
      replyCode: 406,
      replyText: `PRECONDITION_FAILED - unknown delivery tag ${args.deliveryTag}`,
    });
  });

  it('of one delivery given twice close the channel', async () => {
    const client = await consumed(1);
    client.sendMethod(1, 'basic.ack', { deliveryTag: 1 });
    client.sendMethod(1, 'basic.ack', { deliveryTag: 1 });
    expect(await client.expect('channel.close')).toMatchObject({ replyCode: 406 });
  });

  it('of deliveries that need none close the channel', async () => {
    const client = await withMessages(1);
    await client.call('basic.consume', { queue: 'q', noAck: true }, 'basic.consume-ok');
    const { tag } = await delivered(client);
    client.sendMethod(1, 'basic.ack', { deliveryTag: tag });
    expect(await client.expect('channel.close')).toMatchObject({ replyCode: 406 });
  });

  it.each(['basic.recover', 'basic.recover-async'] as const)(
    'that %s asks for are forgone: all is delivered again',
    async (name) => {
      const client = await consumed(2);
      client.sendMethod(1, name, { requeue: true });
      if (name === 'basic.recover') await client.expect('basic.recover-ok');
      const again = [await delivered(client), await delivered(client)];
      expect(again).toEqual([
        { tag: 3, redelivered: true, body: '1' },
        { tag: 4, redelivered: true, body: '2' },
      ]);
    },
  );

  it.each(['basic.recover', 'basic.recover-async'] as const)(
    '%s to the same consumer is not implemented',
    async (name) => {
      const client = await consumed(1);
      client.sendMethod(1, name, { requeue: false });
      expect(await client.expect('connection.close')).toMatchObject({
        replyCode: 540,
        replyText: 'NOT_IMPLEMENTED - requeue=false',
      });
    },
  );
});

describe('a channel that ends', () => {
  const ends: readonly (readonly [how: string, end: (client: RawClient) => void])[] = [
    ['as its client asks', (client) => client.sendMethod(1, 'channel.close')],
    ['for a mistake', (client) => client.sendMethod(1, 'basic.ack', { deliveryTag: 77 })],
    ['with its connection', (client) => client.sendMethod(0, 'connection.close')],
    ['with its socket', (client) => client.destroy()],
  ];

  it.each(ends)('%s takes nothing more: none of its consumers becomes the active one', async (_, end) => {
    const gateway = await startGateway();
    const client = await gateway.rawChannel();
    const single = { queue: 'q', arguments: { 'x-single-active-consumer': true } };
    await client.call('queue.declare', single, 'queue.declare-ok');
    for (const text of ['1', '2', '3']) client.send(publication(1, { routingKey: 'q' }, [Buffer.from(text)]));
    await client.call('basic.qos', { prefetchCount: 1 }, 'basic.qos-ok');
    await client.call('basic.consume', { queue: 'q', consumerTag: 'active' }, 'basic.consume-ok');
    expect(await delivered(client)).toMatchObject({ body: '1' });
    // What it were given would be gone.
    const greedy = { queue: 'q', consumerTag: 'greedy', noAck: true };
    await client.call('basic.consume', greedy, 'basic.consume-ok');
    const other = await gateway.rawChannel();
    await other.call('basic.consume', { queue: 'q', noAck: true }, 'basic.consume-ok');
    end(client);
    const bodies = [];
    for (let count = 0; count < 3; count++) bodies.push((await delivered(other)).body);
    expect(bodies).toEqual(['1', '2', '3']);
  });

  it('with others of its connection leaves them nothing either', async () => {
    const gateway = await startGateway();
    const client = await gateway.rawChannel();
    await client.call('queue.declare', { queue: 'q' }, 'queue.declare-ok');
    client.send(publication(1, { routingKey: 'q' }, [Buffer.from('1')]));
    await client.call('basic.consume', { queue: 'q' }, 'basic.consume-ok');
    expect(await delivered(client)).toMatchObject({ body: '1' });
    client.sendMethod(2, 'channel.open');
    await client.expect('channel.open-ok');
    client.sendMethod(2, 'basic.consume', { queue: 'q', noAck: true });
    await client.expect('basic.consume-ok');
    const other = await gateway.rawChannel();
    await other.call('basic.consume', { queue: 'q', noAck: true }, 'basic.consume-ok');
    client.destroy();
    expect(await delivered(other)).toMatchObject({ body: '1', redelivered: true });
  });
});
