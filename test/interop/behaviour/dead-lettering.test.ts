import type { Channel, ConfirmChannel, GetMessage } from 'amqplib';
import { expect, it } from 'vitest';
import {
  drain,
  hold,
  openConfirmChannel,
  ownExchange,
  ownQueue,
  passed,
  ready,
  send,
  sharedQueue,
  take,
  unique,
} from './app.js';
import type { Server } from './server.js';
import { onEachServer } from './server.js';

const SHORT_MS = 50;

interface Death {
  readonly count: number;
  readonly reason: string;
  readonly queue: string;
  readonly exchange: string;
  readonly 'routing-keys': string[];
  readonly time: { readonly value: number };
  readonly 'original-expiration'?: string;
}

onEachServer('a dead letter', (server) => {
  it.each<[reason: string, args: object, kill: (channel: Channel, queue: string) => unknown]>([
    ['rejected', {}, async (channel, queue) => channel.reject(await hold(channel, queue), false)],
    ['expired', { 'x-message-ttl': SHORT_MS }, () => undefined],
    ['maxlen', { 'x-max-length': 1 }, (channel, queue) => send(channel, queue, 'next')],
  ])('that was %s says so in its headers', async (reason, args, kill) => {
    const { channel, graves, exchange } = await graveyard(server);
    const queue = await ownQueue(channel, { ...args, 'x-dead-letter-exchange': exchange });
    send(channel, queue, 'x');
    await kill(channel, queue);
    const message = await take(channel, graves);
    expect(message.content.toString()).toBe('x');
    expect(message.fields).toMatchObject({ exchange, routingKey: queue, redelivered: false });
    expect(message.properties.headers).toEqual({
      'x-death': [
        {
          count: 1,
          reason,
          queue,
          exchange: '',
          'routing-keys': [queue],
          time: { '!': 'timestamp', value: expect.any(Number) },
        },
      ],
      'x-first-death-reason': reason,
      'x-first-death-queue': queue,
      'x-first-death-exchange': '',
    });
  });

  it('takes the time of its death in seconds', async () => {
    const { channel, graves, exchange } = await graveyard(server);
    const before = Math.floor(Date.now() / 1000);
    const message = await deadOf(channel, graves, { 'x-dead-letter-exchange': exchange });
    const seconds = deaths(message)[0]?.time.value;
    expect(seconds).toBeGreaterThanOrEqual(before);
    expect(seconds).toBeLessThanOrEqual(Date.now() / 1000);
  });

  it('keeps its properties and headers, but not its expiration, which x-death remembers', async () => {
    const { channel, graves, exchange } = await graveyard(server);
    const queue = await ownQueue(channel, { 'x-dead-letter-exchange': exchange });
    const properties = {
      messageId: 'id',
      priority: 3,
      contentType: 'text/plain',
      headers: { mine: [1, 'two'] },
    };
    channel.sendToQueue(queue, Buffer.from('x'), { ...properties, expiration: SHORT_MS });
    const message = await take(channel, graves);
    expect(message.properties).toMatchObject({ ...properties, expiration: undefined });
    expect(deaths(message)).toMatchObject([{ reason: 'expired', 'original-expiration': String(SHORT_MS) }]);
  });

  it('goes by the key x-dead-letter-routing-key, where there is one', async () => {
    const { channel, graves, exchange } = await graveyard(server);
    const args = { 'x-dead-letter-exchange': exchange, 'x-dead-letter-routing-key': 'graves' };
    const message = await deadOf(channel, graves, args);
    expect(message.fields.routingKey).toBe('graves');
    expect(deaths(message)[0]?.['routing-keys']).toEqual([
      message.properties.headers?.['x-first-death-queue'],
    ]);
  });

  it('dies again in the same way: its count goes up', async () => {
    const { channel, graves, exchange } = await graveyard(server);
    const queue = await ownQueue(channel, { 'x-dead-letter-exchange': exchange });
    send(channel, queue, 'x');
    channel.nack(await hold(channel, queue), false, false);
    const first = await take(channel, graves);
    channel.sendToQueue(queue, first.content, { headers: first.properties.headers });
    channel.nack(await hold(channel, queue), false, false);
    const second = await take(channel, graves);
    expect(deaths(second)).toMatchObject([{ count: 2, reason: 'rejected', queue }]);
  });

  it('of several queues lists them all, the last first', async () => {
    const { channel, graves, exchange } = await graveyard(server);
    const last = await ownQueue(channel, { 'x-dead-letter-exchange': exchange, 'x-message-ttl': SHORT_MS });
    const first = await ownQueue(channel, {
      'x-dead-letter-exchange': '',
      'x-dead-letter-routing-key': last,
    });
    send(channel, first, 'x');
    channel.nack(await hold(channel, first), false, false);
    const message = await take(channel, graves);
    expect(deaths(message)).toMatchObject([
      { reason: 'expired', queue: last, exchange: '', 'routing-keys': [last], count: 1 },
      { reason: 'rejected', queue: first, exchange: '', 'routing-keys': [first], count: 1 },
    ]);
    expect(message.properties.headers).toMatchObject({
      'x-first-death-reason': 'rejected',
      'x-first-death-queue': first,
    });
  });

  it('goes round between two queues as long as somebody rejects it', async () => {
    const channel = await openConfirmChannel(server);
    const work = unique('work');
    const wait = await ownQueue(channel, {
      'x-message-ttl': 1,
      'x-dead-letter-exchange': '',
      'x-dead-letter-routing-key': work,
    });
    const args = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': wait };
    await channel.assertQueue(work, { exclusive: true, arguments: args });
    send(channel, work, 'x');
    for (let round = 0; round < 3; round++) channel.reject(await hold(channel, work), false);
    const message = await hold(channel, work);
    expect(deaths(message)).toMatchObject([
      { queue: wait, reason: 'expired', count: 3 },
      { queue: work, reason: 'rejected', count: 3 },
    ]);
  });

  it('is dropped when it comes round by itself', async () => {
    const channel = await openConfirmChannel(server);
    const name = unique('circle');
    const other = await ownQueue(channel, {
      'x-message-ttl': 1,
      'x-dead-letter-exchange': '',
      'x-dead-letter-routing-key': name,
    });
    const args = { 'x-message-ttl': 1, 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': other };
    await channel.assertQueue(name, { exclusive: true, arguments: args });
    send(channel, name, 'x');
    await passed(channel, SHORT_MS);
    expect([await drain(channel, name), await drain(channel, other)]).toEqual([[], []]);
  });

  it('whose exchange is not there is gone', async () => {
    const channel = await openConfirmChannel(server);
    const queue = await ownQueue(channel, { 'x-dead-letter-exchange': unique('missing') });
    send(channel, queue, 'x', 'y');
    channel.reject(await hold(channel, queue), false);
    expect((await take(channel, queue)).content.toString()).toBe('y');
  });

  it('is not made of what is purged, nor of what goes with its queue', async () => {
    const { channel, graves, exchange } = await graveyard(server);
    const queue = await sharedQueue(channel, { 'x-dead-letter-exchange': exchange });
    send(channel, queue, 'purged');
    await channel.waitForConfirms();
    await channel.purgeQueue(queue);
    send(channel, queue, 'deleted');
    await channel.waitForConfirms();
    await channel.deleteQueue(queue);
    await deadOf(channel, graves, { 'x-dead-letter-exchange': exchange });
    expect(await drain(channel, graves)).toEqual([]);
  });

  it('is made of each of several that are rejected at once, in order', async () => {
    const { channel, graves, exchange } = await graveyard(server);
    const queue = await ownQueue(channel, { 'x-dead-letter-exchange': exchange });
    send(channel, queue, 'one', 'two', 'three');
    const messages = [await hold(channel, queue), await hold(channel, queue), await hold(channel, queue)];
    const last = messages.at(-1);
    if (last) channel.nack(last, true, false);
    await ready(channel, graves, 3);
    expect(await drain(channel, graves)).toEqual(['one', 'two', 'three']);
  });

  it('is made of each of several that expire, in order', async () => {
    const { channel, graves, exchange } = await graveyard(server);
    const queue = await ownQueue(channel, { 'x-dead-letter-exchange': exchange, 'x-message-ttl': SHORT_MS });
    send(channel, queue, 'one', 'two', 'three');
    await ready(channel, graves, 3);
    expect(await drain(channel, graves)).toEqual(['one', 'two', 'three']);
  });

  it('is routed by the headers of its message', async () => {
    const channel = await openConfirmChannel(server);
    const [exchange, graves] = [await ownExchange(channel, 'headers'), await ownQueue(channel)];
    await channel.bindQueue(graves, exchange, '', { 'x-match': 'all', colour: 'black' });
    const queue = await ownQueue(channel, { 'x-dead-letter-exchange': exchange });
    for (const colour of ['white', 'black']) {
      channel.sendToQueue(queue, Buffer.from(colour), { headers: { colour } });
      channel.nack(await hold(channel, queue), false, false);
    }
    expect((await take(channel, graves)).content.toString()).toBe('black');
  });

  it('takes the way of an alternate exchange', async () => {
    const { channel, graves, exchange: alternate } = await graveyard(server);
    const exchange = await ownExchange(channel, 'direct', { alternateExchange: alternate });
    const message = await deadOf(channel, graves, { 'x-dead-letter-exchange': exchange });
    expect(message.fields.exchange).toBe(exchange);
  });

  it('of a publisher whose x-death is none of a broker leaves that out', async () => {
    const { channel, graves, exchange } = await graveyard(server);
    const queue = await ownQueue(channel, { 'x-dead-letter-exchange': exchange });
    channel.sendToQueue(queue, Buffer.from('x'), { headers: { 'x-death': [{ mine: 1 }] } });
    channel.nack(await hold(channel, queue), false, false);
    const all = deaths(await take(channel, graves));
    expect(all[0]).toMatchObject({ queue, reason: 'rejected', count: 1 });
    expect(all.slice(1)).toEqual([{ mine: 1 }]);
  });

  it('loses CC, though x-death remembers its keys', async () => {
    const { channel, graves, exchange } = await graveyard(server);
    const queue = await ownQueue(channel, {
      'x-dead-letter-exchange': exchange,
      'x-dead-letter-routing-key': 'graves',
    });
    channel.sendToQueue(queue, Buffer.from('x'), { CC: ['copied'] });
    channel.nack(await hold(channel, queue), false, false);
    const message = await take(channel, graves);
    expect(message.properties.headers).not.toHaveProperty('CC');
    expect(deaths(message)[0]?.['routing-keys']).toEqual([queue, 'copied']);
  });

  it('of a persistent message is persistent, of another one is not', async () => {
    const { channel, graves, exchange } = await graveyard(server);
    const queue = await ownQueue(channel, { 'x-dead-letter-exchange': exchange });
    for (const deliveryMode of [1, 2]) {
      channel.sendToQueue(queue, Buffer.from('x'), { deliveryMode });
      channel.nack(await hold(channel, queue), false, false);
      expect((await take(channel, graves)).properties.deliveryMode).toBe(deliveryMode);
    }
  });
});

async function graveyard(server: Server) {
  const channel = await openConfirmChannel(server);
  const exchange = await ownExchange(channel, 'fanout');
  const graves = await ownQueue(channel);
  await channel.bindQueue(graves, exchange, '');
  return { channel, exchange, graves };
}

/** A message that died in a queue of its own. */
async function deadOf(channel: ConfirmChannel, graves: string, args: object): Promise<GetMessage> {
  const queue = await ownQueue(channel, { ...args });
  send(channel, queue, 'x');
  channel.nack(await hold(channel, queue), false, false);
  return take(channel, graves);
}

function deaths(message: GetMessage): readonly Death[] {
  return message.properties.headers?.['x-death'] as unknown as Death[];
}
