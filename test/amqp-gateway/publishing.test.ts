import type { ConsumeMessage } from 'amqplib';
import { describe, expect, it } from 'vitest';
import { encodeHeader, FRAME_BODY, FRAME_HEADER } from '../../src/amqp-codec/index.js';
import { DEFAULT_MAX_BODY_BYTES } from '../../src/amqp-gateway/limits.js';
import { startGateway } from '../support/amqp-gateway.js';
import { frame, methodFrame, publication } from '../support/amqp-raw-client.js';
import { eventually } from '../support/eventually.js';
import { Random, seed } from '../support/random.js';

describe('a published message', () => {
  it('arrives with every property that it was published with', async () => {
    const channel = await (await (await startGateway()).connect()).createChannel();
    const { queue } = await channel.assertQueue('', { exclusive: true });
    const received: ConsumeMessage[] = [];
    await channel.consume(queue, (message) => message && received.push(message), { noAck: true });
    const properties = {
      contentType: 'text/plain',
      contentEncoding: 'identity',
      headers: { nested: { list: [1, 'two', true] }, price: 12.5 },
      deliveryMode: 2,
      priority: 3,
      correlationId: 'c',
      replyTo: 'r',
      messageId: 'm',
      timestamp: 1_234_567_890,
      type: 't',
      userId: 'guest',
      appId: 'a',
    };
    channel.sendToQueue(queue, Buffer.from('hello'), properties);
    await eventually(() => received.length === 1);
    expect(received[0]?.properties).toMatchObject(properties);
    expect(received[0]?.content.toString()).toBe('hello');
    expect(received[0]?.fields).toMatchObject({
      exchange: '',
      routingKey: queue,
      redelivered: false,
      deliveryTag: 1,
    });
  });

  it.each([0, 1, 4087, 4088, 4089, 65_536, 131_064, 131_065, 1_000_000, DEFAULT_MAX_BODY_BYTES])(
    'of %d octets arrives as it was, in frames that its consumer can take',
    async (size) => {
      const { rawChannel, raw } = await startGateway();
      const publisher = await rawChannel();
      const body = Buffer.alloc(size, 'the quick brown fox');
      const parts = [];
      for (let at = 0; at < size; at += 131_064) parts.push(body.subarray(at, at + 131_064));
      const consumer = await raw();
      await consumer.open({ frameMax: 4096 });
      await consumer.call('channel.open', {}, 'channel.open-ok');
      await consumer.call('queue.declare', { queue: 'q', autoDelete: true }, 'queue.declare-ok');
      await consumer.call('basic.consume', { noAck: true }, 'basic.consume-ok');
      publisher.send(publication(1, { routingKey: 'q' }, parts));
      await consumer.expect('basic.deliver');
      const header = await consumer.next();
      expect(header.type === 'header' && header.payload.readBigUInt64BE(4)).toBe(BigInt(size));
      let received = 0;
      const digest = [];
      while (received < size) {
        const part = await consumer.next();
        if (part.type !== 'body') throw new Error(`expected a body, got ${part.type}`);
        expect(part.payload.length).toBe(Math.min(4096 - 8, size - received));
        digest.push(part.payload);
        received += part.payload.length;
      }
      expect(Buffer.concat(digest).equals(body)).toBe(true);
    },
  );

  it(`arrives as it was however the socket cuts it up (SEED=${seed})`, async () => {
    const random = new Random(seed);
    const client = await (await startGateway()).rawChannel();
    await client.call('queue.declare', { exclusive: true, queue: 'q' }, 'queue.declare-ok');
    await client.call('basic.consume', { queue: 'q', noAck: true }, 'basic.consume-ok');
    const bodies = Array.from({ length: 60 }, (_, index) =>
      random.list(4, () => Buffer.alloc(1 + random.int(3000), `${index} `)),
    );
    const octets = Buffer.concat(bodies.map((parts) => publication(1, { routingKey: 'q' }, parts)));
    for (let at = 0; at < octets.length; ) {
      const length = 1 + random.int(random.int(5) === 0 ? 5000 : 50);
      client.socket.write(octets.subarray(at, at + length));
      at += length;
      if (random.int(8) === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    for (const parts of bodies) {
      await client.expect('basic.deliver');
      expect((await client.expectContent()).body.equals(Buffer.concat(parts))).toBe(true);
    }
  });

  it('above 16 MiB closes its channel with CONTENT_TOO_LARGE, before its body has come', async () => {
    const client = await (await startGateway()).rawChannel();
    client.send(methodFrame(1, 'basic.publish', { routingKey: 'q' }));
    client.send(frame(FRAME_HEADER, 1, encodeHeader(DEFAULT_MAX_BODY_BYTES + 1, {})));
    expect(await client.expect('channel.close')).toMatchObject({ replyCode: 311, classId: 60, methodId: 40 });
    // The rest of it does no harm.
    for (let parts = 0; parts < 20; parts++) client.send(frame(FRAME_BODY, 1, Buffer.alloc(100_000)));
    client.send(methodFrame(1, 'channel.close-ok'), methodFrame(1, 'channel.open'));
    await client.expect('channel.open-ok');
  });

  it('may be as large as the node says, and no larger', async () => {
    const { rawChannel } = await startGateway({ maxBodyBytes: 1000 });
    const client = await rawChannel(['basic.nack']);
    await client.call('confirm.select', {}, 'confirm.select-ok');
    client.send(publication(1, { routingKey: 'q' }, [Buffer.alloc(1000)]));
    await client.expect('basic.ack');
    client.send(publication(1, { routingKey: 'q' }, [Buffer.alloc(1001)]));
    expect(await client.expect('channel.close')).toMatchObject({
      replyCode: 311,
      replyText: 'CONTENT_TOO_LARGE - body of 1001 octets, the limit is 1000',
    });
  });

  it('costs memory as its body arrives, and none when its channel ends before', async () => {
    const { rawChannel, memory } = await startGateway();
    const client = await rawChannel();
    client.send(methodFrame(1, 'basic.publish', { routingKey: 'q' }));
    client.send(
      frame(FRAME_HEADER, 1, encodeHeader(DEFAULT_MAX_BODY_BYTES, {})),
      frame(FRAME_BODY, 1, Buffer.alloc(10)),
    );
    await eventually(() => memory.bytes > 10);
    expect(memory.bytes).toBeLessThan(1_000_000);
    client.destroy();
    await eventually(() => memory.bytes === 0);
  });

  it('to an exchange that is not there closes its channel with NOT_FOUND', async () => {
    const client = await (await startGateway()).rawChannel();
    client.send(publication(1, { exchange: 'none' }, [Buffer.from('x')]));
    expect(await client.expect('channel.close')).toMatchObject({
      replyCode: 404,
      replyText: "NOT_FOUND - no exchange 'none' in vhost '/'",
      classId: 60,
      methodId: 40,
    });
  });

  it('to an exchange that was deleted and declared anew between two equal publishes goes to the new one', async () => {
    const client = await (await startGateway()).rawChannel();
    await client.call('queue.declare', { exclusive: true, queue: 'q' }, 'queue.declare-ok');
    for (const round of ['1', '2']) {
      await client.call('exchange.declare', { exchange: 'x', type: 'fanout' }, 'exchange.declare-ok');
      await client.call('queue.bind', { queue: 'q', exchange: 'x' }, 'queue.bind-ok');
      client.send(publication(1, { exchange: 'x', routingKey: 'k' }, [Buffer.from(round)]));
      await client.call('basic.get', { queue: 'q', noAck: true }, 'basic.get-ok');
      expect((await client.expectContent()).body.toString()).toBe(round);
      await client.call('exchange.delete', { exchange: 'x' }, 'exchange.delete-ok');
    }
  });

  it('under alternating keys, whose publishes have the same length, is routed by its own', async () => {
    const client = await (await startGateway()).rawChannel();
    for (const queue of ['q1', 'q2'])
      await client.call('queue.declare', { queue, exclusive: true }, 'queue.declare-ok');
    for (const routingKey of ['q1', 'q2', 'q2', 'q1'])
      client.send(publication(1, { routingKey }, [Buffer.from(routingKey)]));
    for (const queue of ['q1', 'q2']) {
      expect(await client.call('queue.purge', { queue }, 'queue.purge-ok')).toMatchObject({
        messageCount: 2,
      });
    }
  });

  it.each([
    [
      'another user in user-id',
      { userId: 'bob' },
      "user_id property set to 'bob' but authenticated user was 'guest'",
    ],
    ['an expiration that is no number', { expiration: 'soon' }, "invalid expiration 'soon': no_integer"],
    [
      'an expiration in another unit',
      { expiration: '10s' },
      `invalid expiration '10s': {leftover_string,"s"}`,
    ],
    ['a delivery mode that is none', { deliveryMode: 3 }, 'invalid message: {delivery_mode_unknown,3}'],
    [
      'CC that is no list',
      { headers: { CC: 'other' } },
      'invalid message: {unacceptable_type_in_header,"CC",longstr}',
    ],
    [
      'BCC that is no list',
      { headers: { BCC: 7 } },
      'invalid message: {unacceptable_type_in_header,"BCC",signedint}',
    ],
    [
      'direct reply-to, where nobody consumes that',
      { replyTo: 'amq.rabbitmq.reply-to' },
      'fast reply consumer does not exist',
    ],
    [
      'several faults, for the first in the order of RabbitMQ',
      { userId: 'bob', expiration: 'x', deliveryMode: 3, headers: { CC: 1 } },
      "user_id property set to 'bob' but authenticated user was 'guest'",
    ],
  ] as const)('with %s is refused', async (_, properties, text) => {
    const client = await (await startGateway()).rawChannel();
    client.send(publication(1, { routingKey: 'q' }, [Buffer.from('x')], properties));
    expect(await client.expect('channel.close')).toMatchObject({
      replyCode: 406,
      replyText: `PRECONDITION_FAILED - ${text}`,
      classId: 60,
      methodId: 40,
    });
  });

  it.each([
    ['its own user in user-id', { userId: 'guest' }],
    ['CC somewhere in its headers', { headers: { kind: 'CC', ACCOUNT: 'CC', nested: { CC: 'x' } } }],
    ['a reply-to that looks like direct reply-to', { replyTo: 'not.amq.rabbitmq.reply-to' }],
    ['an expiration and a delivery mode', { expiration: '1000', deliveryMode: 1 }],
  ])('with %s is accepted', async (_, properties) => {
    const client = await (await startGateway()).rawChannel();
    client.send(publication(1, { routingKey: 'q' }, [Buffer.from('x')], properties));
    await client.call('tx.select', {}, 'tx.select-ok');
  });

  it('with immediate closes the connection with NOT_IMPLEMENTED, as in RabbitMQ', async () => {
    const client = await (await startGateway()).rawChannel();
    client.send(publication(1, { routingKey: 'q', immediate: true }, [Buffer.from('x')]));
    expect(await client.expect('connection.close')).toMatchObject({
      replyCode: 540,
      replyText: 'NOT_IMPLEMENTED - immediate=true',
    });
  });

  it('to an internal exchange closes its channel with ACCESS_REFUSED', async () => {
    const client = await (await startGateway()).rawChannel();
    await client.call(
      'exchange.declare',
      { exchange: 'x', type: 'fanout', internal: true },
      'exchange.declare-ok',
    );
    client.send(publication(1, { exchange: 'x' }, [Buffer.from('x')]));
    expect(await client.expect('channel.close')).toMatchObject({
      replyCode: 403,
      replyText: "ACCESS_REFUSED - cannot publish to internal exchange 'x' in vhost '/'",
    });
  });
});

describe('a mandatory message', () => {
  it('that no queue takes comes back whole, with NO_ROUTE', async () => {
    const client = await (await startGateway()).rawChannel();
    const octets = publication(
      1,
      { exchange: 'amq.topic', routingKey: 'k', mandatory: true },
      [Buffer.from('x')],
      { messageId: '7' },
    );
    client.send(octets);
    expect(await client.expect('basic.return')).toMatchObject({
      replyCode: 312,
      replyText: 'NO_ROUTE',
      exchange: 'amq.topic',
      routingKey: 'k',
      channel: 1,
    });
    const content = await client.expectContent();
    expect(content.header.equals(encodeHeader(1, { messageId: '7' }))).toBe(true);
    expect(content.body.toString()).toBe('x');
  });

  it('that a queue takes does not come back', async () => {
    const client = await (await startGateway()).rawChannel();
    const { queue } = await client.call('queue.declare', { exclusive: true }, 'queue.declare-ok');
    client.send(publication(1, { routingKey: queue, mandatory: true }, [Buffer.from('x')]));
    expect(await client.call('queue.purge', { queue }, 'queue.purge-ok')).toMatchObject({ messageCount: 1 });
  });

  it('comes back before it is confirmed', async () => {
    const client = await (await startGateway()).rawChannel();
    await client.call('confirm.select', {}, 'confirm.select-ok');
    client.send(publication(1, { routingKey: 'none', mandatory: true }, [Buffer.from('x')]));
    await client.expect('basic.return');
    await client.expectContent();
    expect(await client.expect('basic.ack')).toMatchObject({ deliveryTag: 1, multiple: false });
  });
});

describe('publisher confirms', () => {
  it('count from confirm.select, and are sent together for what came together', async () => {
    const client = await (await startGateway()).rawChannel();
    await client.call('queue.declare', { queue: 'q' }, 'queue.declare-ok');
    client.send(publication(1, { routingKey: 'q' }, [Buffer.from('not counted')]));
    await client.call('confirm.select', {}, 'confirm.select-ok');
    const one = publication(1, { routingKey: 'q' }, [Buffer.from('x')]);
    client.send(...Array.from({ length: 100 }, () => one));
    expect(await client.expect('basic.ack')).toMatchObject({ deliveryTag: 100, multiple: true });
    client.send(one);
    expect(await client.expect('basic.ack')).toMatchObject({ deliveryTag: 101, multiple: false });
  });

  it('are sent one by one for what no queue takes, each behind its basic.return, as in RabbitMQ', async () => {
    const client = await (await startGateway()).rawChannel();
    await client.call('confirm.select', {}, 'confirm.select-ok');
    const plain = publication(1, { routingKey: 'nowhere' }, [Buffer.from('x')]);
    const mandatory = publication(1, { routingKey: 'nowhere', mandatory: true }, [Buffer.from('x')]);
    client.send(plain, mandatory, plain);
    expect(await client.expect('basic.ack')).toMatchObject({ deliveryTag: 1, multiple: false });
    await client.expect('basic.return');
    await client.expectContent();
    expect(await client.expect('basic.ack')).toMatchObject({ deliveryTag: 2, multiple: false });
    expect(await client.expect('basic.ack')).toMatchObject({ deliveryTag: 3, multiple: false });
  });

  it('are selected twice without harm', async () => {
    const client = await (await startGateway()).rawChannel();
    await client.call('confirm.select', {}, 'confirm.select-ok');
    client.send(publication(1, { routingKey: 'q' }, [Buffer.from('x')]));
    expect(await client.expect('basic.ack')).toMatchObject({ deliveryTag: 1 });
    await client.call('confirm.select', {}, 'confirm.select-ok');
    client.send(publication(1, { routingKey: 'q' }, [Buffer.from('x')]));
    expect(await client.expect('basic.ack')).toMatchObject({ deliveryTag: 2 });
  });

  it.each(['channel.close', 'connection.close'] as const)('precede the answer to %s', async (name) => {
    const client = await (await startGateway()).rawChannel();
    await client.call('confirm.select', {}, 'confirm.select-ok');
    client.send(publication(1, { routingKey: 'q' }, [Buffer.from('x')]));
    client.sendMethod(name === 'channel.close' ? 1 : 0, name);
    expect(await client.expect('basic.ack')).toMatchObject({ deliveryTag: 1 });
    await client.expect(`${name}-ok`);
  });

  it('precede a close for an error that came later', async () => {
    const client = await (await startGateway()).rawChannel();
    await client.call('confirm.select', {}, 'confirm.select-ok');
    client.send(publication(1, { routingKey: 'q' }, [Buffer.from('x')]));
    client.send(publication(1, { exchange: 'none' }, [Buffer.from('x')]));
    expect(await client.expect('basic.ack')).toMatchObject({ deliveryTag: 1, multiple: false });
    expect(await client.expect('channel.close')).toMatchObject({ replyCode: 404 });
  });

  it('come for each of many publishes of amqplib', async () => {
    const channel = await (await (await startGateway()).connect()).createConfirmChannel();
    let confirmed = 0;
    for (let count = 0; count < 1000; count++) {
      channel.publish('amq.fanout', '', Buffer.from('x'), {}, (error) => {
        if (error === null) confirmed++;
      });
    }
    await channel.waitForConfirms();
    expect(confirmed).toBe(1000);
  });
});
