import { once } from 'node:events';
import type { Message } from 'amqplib';
import { expect, it } from 'vitest';
import { drain, openChannel, openConfirmChannel, ownExchange, ownQueue, take, unique } from './app.js';
import { expectRefusal } from './refusal.js';
import { onEachServer } from './server.js';

onEachServer('an alternate exchange', (server) => {
  it('gets what its exchange routes to no queue, with key and exchange of the publication', async () => {
    const channel = await openChannel(server);
    const alternate = await ownExchange(channel, 'fanout');
    const exchange = await ownExchange(channel, 'direct', { alternateExchange: alternate });
    const [queue, rest] = [await ownQueue(channel), await ownQueue(channel)];
    await channel.bindQueue(queue, exchange, 'known');
    await channel.bindQueue(rest, alternate, '');

    channel.publish(exchange, 'known', Buffer.from('for the queue'));
    channel.publish(exchange, 'unknown', Buffer.from('for the rest'));

    expect(await drain(channel, queue)).toEqual(['for the queue']);
    const message = await take(channel, rest);
    expect(message.fields).toMatchObject({ exchange, routingKey: 'unknown' });
    expect(await drain(channel, rest)).toEqual([]);
  });

  it('has an alternate of its own', async () => {
    const channel = await openChannel(server);
    const last = await ownExchange(channel, 'fanout');
    const middle = await ownExchange(channel, 'direct', { alternateExchange: last });
    const first = await ownExchange(channel, 'direct', { alternateExchange: middle });
    const queue = await ownQueue(channel);
    await channel.bindQueue(queue, last, '');
    channel.publish(first, 'x', Buffer.from('through all three'));
    expect(await drain(channel, queue)).toEqual(['through all three']);
  });

  it('that leads in a circle drops what nobody takes', async () => {
    const channel = await openConfirmChannel(server);
    const [one, two] = [unique('one'), unique('two')];
    await channel.assertExchange(one, 'direct', { autoDelete: true, alternateExchange: two });
    await channel.assertExchange(two, 'direct', { autoDelete: true, alternateExchange: one });
    channel.publish(one, 'x', Buffer.from('round and round'));
    await channel.waitForConfirms();
    for (const exchange of [one, two]) await channel.deleteExchange(exchange);
  });

  it('that is not there takes nothing, and its exchange returns what is mandatory', async () => {
    const channel = await openChannel(server);
    const exchange = await ownExchange(channel, 'direct', { alternateExchange: unique('missing') });
    const returned = once(channel, 'return');
    channel.publish(exchange, 'x', Buffer.from('x'), { mandatory: true });
    const [message] = (await returned) as [Message];
    expect(message.fields).toMatchObject({ replyCode: 312, exchange, routingKey: 'x' });
  });

  it('takes what is mandatory: it was routed', async () => {
    const channel = await openConfirmChannel(server);
    const alternate = await ownExchange(channel, 'fanout');
    const exchange = await ownExchange(channel, 'direct', { alternateExchange: alternate });
    const queue = await ownQueue(channel);
    await channel.bindQueue(queue, alternate, '');
    const returned: unknown[] = [];
    channel.on('return', (message) => returned.push(message));
    channel.publish(exchange, 'x', Buffer.from('x'), { mandatory: true });
    await channel.waitForConfirms();
    expect(returned).toEqual([]);
    expect(await drain(channel, queue)).toEqual(['x']);
  });

  it('may be internal', async () => {
    const channel = await openChannel(server);
    const alternate = await ownExchange(channel, 'fanout', { internal: true });
    const exchange = await ownExchange(channel, 'topic', { alternateExchange: alternate });
    const queue = await ownQueue(channel);
    await channel.bindQueue(queue, alternate, '');
    channel.publish(exchange, 'x', Buffer.from('x'));
    expect(await drain(channel, queue)).toEqual(['x']);
  });

  it('is not asked when an exchange further on routes nothing', async () => {
    const channel = await openChannel(server);
    const alternate = await ownExchange(channel, 'fanout');
    const last = await ownExchange(channel, 'direct', { alternateExchange: alternate });
    const first = await ownExchange(channel, 'fanout');
    const queue = await ownQueue(channel);
    await channel.bindQueue(queue, alternate, '');
    await channel.bindExchange(last, first, '');
    channel.publish(first, 'x', Buffer.from('x'));
    expect(await drain(channel, queue)).toEqual(['x']);
  });

  it('must be named by a text', () => {
    const exchange = unique('exchange');
    return expectRefusal(
      server,
      (channel) =>
        channel.assertExchange(exchange, 'direct', { arguments: { 'alternate-exchange': 70_000 } }),
      'channel',
      406,
      `PRECONDITION_FAILED - invalid type 'signedint' for arg 'alternate-exchange' in exchange '${exchange}' in vhost '/'`,
    );
  });
});
