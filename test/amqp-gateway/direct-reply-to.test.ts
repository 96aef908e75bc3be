import { describe, expect, it } from 'vitest';
import { decodeProperties } from '../../src/amqp-codec/index.js';
import type { TestGateway } from '../support/amqp-gateway.js';
import { startGateway } from '../support/amqp-gateway.js';
import type { RawClient } from '../support/amqp-raw-client.js';
import { methodFrame, publication } from '../support/amqp-raw-client.js';

const REPLY_TO = 'amq.rabbitmq.reply-to';
const NO_ROUTE = { replyCode: 312, replyText: 'NO_ROUTE' };

const reply = (to: string, body = 'reply', more: { mandatory?: boolean } = {}) =>
  publication(1, { routingKey: to, ...more }, [Buffer.from(body)], { correlationId: '7' });

/** The property reply-to of the next message in queue `requests`. */
async function replyToOfNext(client: RawClient): Promise<string> {
  await client.call('basic.get', { queue: 'requests', noAck: true }, 'basic.get-ok');
  const { header, body } = await client.expectContent();
  expect(body.toString()).toBe('request');
  const { replyTo, correlationId } = decodeProperties(header, 0, header.length);
  expect(correlationId).toBe('7');
  return replyTo ?? '';
}

const request = publication(1, { routingKey: 'requests' }, [Buffer.from('request')], {
  correlationId: '7',
  replyTo: REPLY_TO,
});

/** Somebody who has asked, somebody else who answers, and the name to answer to. */
async function asked(node?: TestGateway) {
  const gateway = node ?? (await startGateway());
  const requester = await gateway.rawChannel();
  const responder = await gateway.rawChannel();
  await responder.call('queue.declare', { queue: 'requests' }, 'queue.declare-ok');
  const consume = { queue: REPLY_TO, noAck: true, consumerTag: 'replies' };
  await requester.call('basic.consume', consume, 'basic.consume-ok');
  requester.send(request);
  await requester.call('queue.declare', { exclusive: true }, 'queue.declare-ok');
  return { gateway, requester, responder, replyTo: await replyToOfNext(responder) };
}

async function expectReply(client: RawClient, body = 'reply') {
  const delivery = await client.expect('basic.deliver');
  expect((await client.expectContent()).body.toString()).toBe(body);
  return delivery;
}

/** Nothing has come before the answer to something else. */
async function expectNothing(client: RawClient): Promise<void> {
  await client.call('basic.qos', {}, 'basic.qos-ok');
}

describe('direct reply-to', () => {
  it('gives each channel a name of its own, and takes replies from the default exchange to it', async () => {
    const { gateway, requester, responder, replyTo } = await asked();
    expect(replyTo).toMatch(/^amq\.rabbitmq\.reply-to\.[0-9a-z]+\.[A-Za-z0-9+/]{22}==$/);
    responder.send(reply(replyTo, 'first'), reply(replyTo, 'second'));
    expect(await expectReply(requester, 'first')).toEqual({
      channel: 1,
      consumerTag: 'replies',
      deliveryTag: 1,
      redelivered: false,
      exchange: '',
      routingKey: replyTo,
    });
    await expectReply(requester, 'second');
    const other = await asked(gateway);
    expect(other.replyTo).not.toBe(replyTo);
  });

  it('works within one channel, and keeps its name while the consumer is there', async () => {
    const client = await (await startGateway()).rawChannel();
    await client.call('queue.declare', { queue: 'requests' }, 'queue.declare-ok');
    await client.call('basic.consume', { queue: REPLY_TO, noAck: true }, 'basic.consume-ok');
    client.send(request, request);
    const replyTo = await replyToOfNext(client);
    expect(await replyToOfNext(client)).toBe(replyTo);
    client.send(reply(replyTo));
    await expectReply(client);
  });

  it('leaves other values of reply-to alone', async () => {
    const client = await (await startGateway()).rawChannel();
    await client.call('queue.declare', { queue: 'q' }, 'queue.declare-ok');
    await client.call('basic.consume', { queue: REPLY_TO, noAck: true }, 'basic.consume-ok');
    for (const replyTo of ['mine', `${REPLY_TO}.x`]) {
      client.send(publication(1, { routingKey: 'q' }, [], { replyTo }));
      await client.call('basic.get', { queue: 'q', noAck: true }, 'basic.get-ok');
      const { header } = await client.expectContent();
      expect(decodeProperties(header, 0, header.length)).toEqual({ replyTo });
    }
  });

  it('takes replies under further keys of the header CC, once', async () => {
    const { requester, responder, replyTo } = await asked();
    const properties = { headers: { CC: [replyTo, replyTo] } };
    responder.send(publication(1, { routingKey: replyTo }, [Buffer.from('reply')], properties));
    await expectReply(requester);
    await expectNothing(requester);
  });

  it('is no queue: a mandatory reply comes back, as in RabbitMQ, whether somebody has it or not', async () => {
    const { requester, responder, replyTo } = await asked();
    responder.send(reply(replyTo, 'reply', { mandatory: true }));
    await expectReply(requester);
    expect(await responder.expect('basic.return')).toMatchObject({ ...NO_ROUTE, routingKey: replyTo });
    await responder.expectContent();
    responder.send(reply(`${REPLY_TO}.nobody`, 'reply', { mandatory: true }));
    expect(await responder.expect('basic.return')).toMatchObject(NO_ROUTE);
  });

  it('has nothing to do with other exchanges', async () => {
    const { requester, responder, replyTo } = await asked();
    responder.send(publication(1, { exchange: 'amq.direct', routingKey: replyTo }, [Buffer.from('x')]));
    await expectNothing(responder);
    await expectNothing(requester);
  });

  it('does not count as a delivery: its tags are those of the next one', async () => {
    const { requester, responder, replyTo } = await asked();
    responder.send(reply(replyTo), reply(replyTo));
    expect((await expectReply(requester)).deliveryTag).toBe(1);
    expect((await expectReply(requester)).deliveryTag).toBe(1);
    requester.send(publication(1, { routingKey: 'requests' }, [Buffer.from('x')]));
    const got = await requester.call('basic.get', { queue: 'requests' }, 'basic.get-ok');
    expect(got.deliveryTag).toBe(1);
    await requester.expectContent();
    requester.sendMethod(1, 'basic.ack', { deliveryTag: 1 });
    await expectNothing(requester);
  });

  it.each([
    ['is cancelled', methodFrame(1, 'basic.cancel', { consumerTag: 'replies' }), 'basic.cancel-ok'],
    ['closes its channel', methodFrame(1, 'channel.close'), 'channel.close-ok'],
    ['closes its connection', methodFrame(0, 'connection.close'), 'connection.close-ok'],
  ] as const)('ends when the consumer %s', async (_, octets, answer) => {
    const { requester, responder, replyTo } = await asked();
    const declare = { queue: replyTo, passive: true };
    expect(await responder.call('queue.declare', declare, 'queue.declare-ok')).toMatchObject({
      queue: replyTo,
      messageCount: 0,
      consumerCount: 1,
    });
    requester.send(octets);
    await requester.expect(answer);
    responder.send(reply(replyTo));
    expect(await responder.call('queue.declare', declare, 'channel.close')).toMatchObject({
      replyCode: 404,
      replyText: `NOT_FOUND - no queue '${replyTo}' in vhost '/'`,
    });
    expect(requester.pending().filter(({ type }) => type === 'method')).toEqual([]);
  });

  it('may be consumed again when it was cancelled, under a new name', async () => {
    const { requester, responder, replyTo } = await asked();
    await requester.call('basic.cancel', { consumerTag: 'replies' }, 'basic.cancel-ok');
    await requester.call('basic.consume', { queue: REPLY_TO, noAck: true }, 'basic.consume-ok');
    requester.send(request);
    await expectNothing(requester);
    expect(await replyToOfNext(responder)).not.toBe(replyTo);
  });

  it('answers the declaration of its name as if that were a queue, passive or not', async () => {
    const client = await (await startGateway()).rawChannel();
    for (const passive of [true, false]) {
      expect(await client.call('queue.declare', { queue: REPLY_TO, passive }, 'queue.declare-ok')).toEqual({
        channel: 1,
        queue: REPLY_TO,
        messageCount: 0,
        consumerCount: 1,
      });
    }
    client.sendMethod(1, 'queue.declare', { queue: REPLY_TO, noWait: true });
    // The queue that was declared last.
    await client.call('basic.consume', { noAck: true }, 'basic.consume-ok');
    const other = { queue: `${REPLY_TO}x` };
    expect(await client.call('queue.declare', other, 'channel.close')).toMatchObject({ replyCode: 404 });
  });

  it.each([
    ['with acknowledgements', [{ noAck: false }], 406, 'reply consumer cannot acknowledge'],
    ['twice on a channel', [{ noAck: true }, { noAck: true }], 406, 'reply consumer already set'],
    ['under an unknown name', [{ noAck: true, queue: `${REPLY_TO}.x` }], 404, `no queue '${REPLY_TO}.x'`],
  ])('is refused %s', async (_, consumes, replyCode, text) => {
    const client = await (await startGateway()).rawChannel();
    for (const consume of consumes) client.sendMethod(1, 'basic.consume', { queue: REPLY_TO, ...consume });
    for (let rest = consumes.length; rest > 1; rest--) await client.expect('basic.consume-ok');
    const close = await client.expect('channel.close');
    expect(close).toMatchObject({ replyCode, classId: 60, methodId: 20 });
    expect(close.replyText).toContain(text);
  });
});
