import { once } from 'node:events';
import type { Message } from 'amqplib';
import { expect, it } from 'vitest';
import { publication } from '../../support/amqp-raw-client.js';
import {
  channelOf,
  connectTo,
  drain,
  openChannel,
  openConfirmChannel,
  ownExchange,
  ownQueue,
  rawChannel,
  rawConnection,
  take,
  unique,
} from './app.js';
import { expectRefusal } from './refusal.js';
import { onEachServer } from './server.js';

const FRAME_MAX = 4_096;

onEachServer('basic.publish', (server) => {
  it('to an exchange that is not there is refused with 404, after what was published before', async () => {
    const exchange = unique('missing');
    const connection = await connectTo(server);
    const channel = await channelOf(connection);
    const queue = await ownQueue(channel);
    const failure = once(channel, 'error');
    channel.sendToQueue(queue, Buffer.from('before'));
    channel.publish(exchange, '', Buffer.from('x'));
    channel.sendToQueue(queue, Buffer.from('after'));
    const [error] = await failure;
    expect(error.message).toContain(`NOT_FOUND - no exchange '${exchange}' in vhost '/'`);
    expect(await drain(await channelOf(connection), queue)).toEqual(['before']);
  });

  it('with immediate is refused with 540', async () => {
    const client = await rawChannel(server);
    client.send(publication(1, { routingKey: 'x', immediate: true }, [Buffer.from('x')]));
    expect(await client.expect('connection.close')).toMatchObject({
      replyCode: 540,
      replyText: 'NOT_IMPLEMENTED - immediate=true',
      classId: 60,
      methodId: 40,
    });
  });

  it('delivers every property as it was, and which ones are missing', async () => {
    const channel = await openChannel(server);
    const queue = await ownQueue(channel);
    const properties = {
      contentType: 'text/plain',
      contentEncoding: 'identity',
      deliveryMode: 2,
      priority: 7,
      correlationId: 'correlation',
      replyTo: 'somebody',
      expiration: '60000',
      messageId: 'id',
      timestamp: 1_234_567_890,
      type: 'type',
      userId: 'guest',
      appId: 'app',
    };
    const headers = {
      text: 'ü',
      list: [1, 'two', null],
      table: { inner: true },
      bytes: Buffer.from([0, 255]),
    };
    channel.sendToQueue(queue, Buffer.from('all'), { ...properties, headers });
    channel.sendToQueue(queue, Buffer.from('none'));
    const all = await take(channel, queue);
    const none = await take(channel, queue);
    expect(all.properties).toMatchObject({ ...properties, headers });
    const missing = Object.fromEntries(Object.keys(properties).map((name) => [name, undefined]));
    expect(none.properties).toMatchObject(missing);
  });

  it('with an expiration that is no number is refused with 406', async () => {
    await expectRefusal(
      server,
      (channel) => channel.publish('amq.fanout', '', Buffer.from('x'), { expiration: 'tomorrow' }),
      'channel',
      406,
      "PRECONDITION_FAILED - invalid expiration 'tomorrow': no_integer",
    );
  });
});

onEachServer('a mandatory message', (server) => {
  it('that no queue takes is returned with everything it had', async () => {
    const channel = await openChannel(server);
    const exchange = await ownExchange(channel, 'direct');
    const returned = once(channel, 'return');
    const properties = { mandatory: true, messageId: 'one', headers: { a: 1 }, deliveryMode: 1 };
    channel.publish(exchange, 'nowhere', Buffer.from('body'), properties);
    const [message] = (await returned) as [Message];
    expect(message.fields).toMatchObject({
      replyCode: 312,
      replyText: 'NO_ROUTE',
      exchange,
      routingKey: 'nowhere',
    });
    expect(message.content.toString()).toBe('body');
    expect(message.properties).toMatchObject({ messageId: 'one', headers: { a: 1 }, deliveryMode: 1 });
  });

  it('that a queue takes is not returned, nor is one that nobody asked about', async () => {
    const channel = await openConfirmChannel(server);
    const queue = await ownQueue(channel);
    const returned: unknown[] = [];
    channel.on('return', (message) => returned.push(message));
    channel.sendToQueue(queue, Buffer.from('x'), { mandatory: true });
    channel.sendToQueue(unique('missing'), Buffer.from('x'));
    await channel.waitForConfirms();
    expect(returned).toEqual([]);
  });

  it('is returned before it is confirmed', async () => {
    const client = await rawChannel(server);
    await client.call('confirm.select', {}, 'confirm.select-ok');
    client.send(publication(1, { routingKey: unique('missing'), mandatory: true }, [Buffer.from('x')]));
    expect(await client.expect('basic.return')).toMatchObject({
      replyCode: 312,
      replyText: 'NO_ROUTE',
      exchange: '',
    });
    await client.expectContent();
    expect(await client.expect('basic.ack')).toMatchObject({ deliveryTag: 1, multiple: false });
  });
});

onEachServer('the body of a message', (server) => {
  it.each([0, 1, 4_088, 4_089, 131_064, 131_065, 1_000_000])(
    'of %i octets arrives as it was',
    async (size) => {
      const channel = await openChannel(server);
      const queue = await ownQueue(channel);
      const body = Buffer.alloc(size, 'octets');
      channel.sendToQueue(queue, body);
      const message = await take(channel, queue);
      expect(message.content.equals(body)).toBe(true);
    },
  );

  it('of more than 16 MiB is as welcome as the server says', async () => {
    const channel = await openConfirmChannel(server);
    const queue = await ownQueue(channel);
    const outcome = new Promise<string>((resolve) => {
      channel.once('error', ({ message }: Error) => resolve(message));
      channel.sendToQueue(queue, Buffer.alloc(17 * 2 ** 20), {}, () => resolve('confirmed'));
    });
    const answers = { RabbitMQ: 'confirmed', 'the node': '311 (CONTENT-TOO-LARGE)' };
    expect(await outcome).toContain(server.expected('large bodies', answers));
  });

  it('published in any frames is delivered in frames of at most frame-max', async () => {
    const client = await rawConnection(server);
    await client.open({ frameMax: FRAME_MAX });
    await client.call('channel.open', {}, 'channel.open-ok');
    const queue = unique('queue');
    await client.call('queue.declare', { queue, exclusive: true }, 'queue.declare-ok');
    const parts = [1, FRAME_MAX - 8, 0, 10, 4_000].map((size) => Buffer.alloc(size, 'x'));
    client.send(publication(1, { routingKey: queue }, parts));
    client.sendMethod(1, 'basic.get', { queue, noAck: true });
    await client.expect('basic.get-ok');
    expect((await client.next()).type).toBe('header');
    const received: number[] = [];
    for (let missing = Buffer.concat(parts).length; missing > 0; missing -= received.at(-1) ?? 0) {
      const next = await client.next();
      received.push(next.type === 'body' ? next.payload.length : 0);
    }
    expect(received).toEqual([FRAME_MAX - 8, 4_011]);
  });
});
