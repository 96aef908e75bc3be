import { once } from 'node:events';
import type { Channel } from 'amqplib';
import { expect, it } from 'vitest';
import { consume, openChannel, openConfirmChannel, ownQueue, rawChannel, send, take } from './app.js';
import { expectRefusal } from './refusal.js';
import { onEachServer } from './server.js';

const REPLY_TO = 'amq.rabbitmq.reply-to';

onEachServer('direct reply-to', (server) => {
  it('brings the answer to whoever asked, on the same channel', async () => {
    const [client, worker] = [await openChannel(server), await openChannel(server)];
    const requests = await ownQueue(worker);
    const answers = await consume(client, REPLY_TO, { noAck: true });
    client.sendToQueue(requests, Buffer.from('question'), { replyTo: REPLY_TO, correlationId: '7' });
    const request = await take(worker, requests);
    expect(request.properties.replyTo).toMatch(/^amq\.rabbitmq\.reply-to\../);
    worker.sendToQueue(request.properties.replyTo, Buffer.from('answer'), { correlationId: '7' });
    await answers.holds('answer');
    expect(answers.message(0).fields).toMatchObject({
      exchange: '',
      routingKey: request.properties.replyTo,
      redelivered: false,
    });
    expect(answers.message(0).properties.correlationId).toBe('7');
  });

  it('works for the asker itself, and for many answers', async () => {
    const channel = await openChannel(server);
    const requests = await ownQueue(channel);
    const answers = await consume(channel, REPLY_TO, { noAck: true });
    channel.sendToQueue(requests, Buffer.from('question'), { replyTo: REPLY_TO });
    const { properties } = await take(channel, requests);
    send(channel, properties.replyTo, 'one', 'two', 'three');
    await answers.holds('one', 'two', 'three');
  });

  it('is declared passively as long as the asker is there', async () => {
    const [client, worker] = [await openChannel(server), await openChannel(server)];
    const requests = await ownQueue(worker);
    await consume(client, REPLY_TO, { noAck: true });
    client.sendToQueue(requests, Buffer.from('question'), { replyTo: REPLY_TO });
    const { properties } = await take(worker, requests);
    expect(await worker.checkQueue(properties.replyTo)).toMatchObject({ messageCount: 0, consumerCount: 1 });
    await client.close();
    await expect(worker.checkQueue(properties.replyTo)).rejects.toThrow('NOT_FOUND');
  });

  it('returns an answer to nobody, if that is mandatory', async () => {
    const [client, worker] = [await openChannel(server), await openConfirmChannel(server)];
    const requests = await ownQueue(worker);
    await consume(client, REPLY_TO, { noAck: true });
    client.sendToQueue(requests, Buffer.from('question'), { replyTo: REPLY_TO });
    const { properties } = await take(worker, requests);
    await client.close();
    const returned = once(worker, 'return');
    worker.sendToQueue(properties.replyTo, Buffer.from('lost'));
    worker.sendToQueue(properties.replyTo, Buffer.from('returned'), { mandatory: true });
    const [message] = await returned;
    expect(message.content.toString()).toBe('returned');
  });

  it('gives no answers after the consumer is cancelled', async () => {
    const client = await openConfirmChannel(server);
    const requests = await ownQueue(client);
    const answers = await consume(client, REPLY_TO, { noAck: true });
    client.sendToQueue(requests, Buffer.from('question'), { replyTo: REPLY_TO });
    const { properties } = await take(client, requests);
    await client.cancel(answers.consumerTag);
    const returned = once(client, 'return');
    client.sendToQueue(properties.replyTo, Buffer.from('late'), { mandatory: true });
    await returned;
    expect(answers.bodies).toEqual([]);
  });

  it.each<[string, (channel: Channel) => unknown, string]>([
    [
      'consuming with acknowledgements',
      (channel) => channel.consume(REPLY_TO, () => undefined),
      'PRECONDITION_FAILED - reply consumer cannot acknowledge',
    ],
    [
      'a second consumer',
      async (channel) => {
        await channel.consume(REPLY_TO, () => undefined, { noAck: true });
        await channel.consume(REPLY_TO, () => undefined, { noAck: true });
      },
      'PRECONDITION_FAILED - reply consumer already set',
    ],
    [
      'a question without a consumer',
      (channel) => channel.publish('', 'x', Buffer.from('x'), { replyTo: REPLY_TO }),
      'PRECONDITION_FAILED - fast reply consumer does not exist',
    ],
  ])('refuses %s with 406', (_, attempt, text) => expectRefusal(server, attempt, 'channel', 406, text));

  it('can be declared passively without a consumer', async () => {
    const client = await rawChannel(server);
    client.sendMethod(1, 'queue.declare', { queue: REPLY_TO, passive: true });
    const answer = await client.expect('queue.declare-ok');
    expect(answer).toMatchObject({ messageCount: 0, consumerCount: 1 });
  });
});
