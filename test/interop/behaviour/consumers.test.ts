import { expect, it } from 'vitest';
import { eventually } from '../../support/eventually.js';
import {
  channelOf,
  connectTo,
  consume,
  openChannel,
  openConfirmChannel,
  ownQueue,
  rawChannel,
  ready,
  send,
  settled,
  sharedQueue,
  unique,
} from './app.js';
import { methodWith } from './field-octets.js';
import { expectRefusal } from './refusal.js';
import { onEachServer } from './server.js';

onEachServer('basic.consume', (server) => {
  it('without a tag makes one', async () => {
    const channel = await openChannel(server);
    const queue = await ownQueue(channel);
    const [one, two] = [await consume(channel, queue), await consume(channel, queue)];
    expect(one.consumerTag).toMatch(/^amq\.ctag-[\w-]{22}$/);
    expect(two.consumerTag).not.toBe(one.consumerTag);
  });

  it('takes the tag that it is given, and each delivery names it', async () => {
    const channel = await openChannel(server);
    const queue = await ownQueue(channel);
    const inbox = await consume(channel, queue, { consumerTag: 'mine' });
    send(channel, queue, 'x');
    await inbox.holds('x');
    expect(inbox.message(0).fields).toEqual({
      consumerTag: 'mine',
      deliveryTag: 1,
      redelivered: false,
      exchange: '',
      routingKey: queue,
    });
  });

  it('of a tag that the channel has is refused with 530', async () => {
    const channel = await rawChannel(server);
    const queue = unique('queue');
    await channel.call('queue.declare', { queue, exclusive: true }, 'queue.declare-ok');
    await channel.call('basic.consume', { queue, consumerTag: 'mine' }, 'basic.consume-ok');
    channel.sendMethod(1, 'basic.consume', { queue, consumerTag: 'mine' });
    expect(await channel.expect('connection.close')).toMatchObject({
      replyCode: 530,
      replyText: "NOT_ALLOWED - attempt to reuse consumer tag 'mine'",
    });
  });

  it('of a tag that another channel has is served', async () => {
    const connection = await connectTo(server);
    const [one, two] = [await channelOf(connection), await channelOf(connection)];
    const queue = await ownQueue(one);
    await consume(one, queue, { consumerTag: 'mine' });
    await consume(two, queue, { consumerTag: 'mine' });
  });

  it('of a queue that is not there is refused with 404', () =>
    expectRefusal(
      server,
      (channel) => channel.consume('no such queue', () => undefined),
      'channel',
      404,
      "NOT_FOUND - no queue 'no such queue' in vhost '/'",
    ));

  it('without waiting is followed by deliveries only', async () => {
    const client = await rawChannel(server);
    const queue = unique('queue');
    await client.call('queue.declare', { queue, exclusive: true }, 'queue.declare-ok');
    client.sendMethod(1, 'basic.consume', { queue, consumerTag: 'mine', noWait: true });
    client.sendMethod(1, 'basic.cancel', { consumerTag: 'mine', noWait: true });
    await client.call('queue.declare', { queue, passive: true }, 'queue.declare-ok');
  });

  it('is answered before the first delivery', async () => {
    const channel = await openConfirmChannel(server);
    const queue = await sharedQueue(channel);
    send(channel, queue, 'x');
    await channel.waitForConfirms();
    const client = await rawChannel(server);
    client.sendMethod(1, 'basic.consume', { queue, consumerTag: 'mine' });
    await client.expect('basic.consume-ok');
    await client.expect('basic.deliver');
  });

  it('with no-local delivers what the connection published all the same', async () => {
    const channel = await openChannel(server);
    const queue = await ownQueue(channel);
    const inbox = await consume(channel, queue, { noLocal: true });
    send(channel, queue, 'x');
    await inbox.holds('x');
  });
});

onEachServer('basic.cancel', (server) => {
  it('ends deliveries; what was delivered can still be acknowledged', async () => {
    const channel = await openConfirmChannel(server);
    const queue = await ownQueue(channel);
    const inbox = await consume(channel, queue);
    send(channel, queue, 'one');
    await inbox.holds('one');
    await channel.cancel(inbox.consumerTag);
    send(channel, queue, 'two');
    await channel.waitForConfirms();
    channel.ack(inbox.message(0));
    await ready(channel, queue, 1);
    expect(inbox.bodies).toEqual(['one']);
  });

  it('of a tag that is not there is answered', async () => {
    const channel = await openChannel(server);
    expect(await channel.cancel('no such tag')).toEqual({ consumerTag: 'no such tag' });
  });

  it('frees the tag', async () => {
    const channel = await openChannel(server);
    const queue = await ownQueue(channel);
    await consume(channel, queue, { consumerTag: 'mine' });
    await channel.cancel('mine');
    await consume(channel, queue, { consumerTag: 'mine' });
  });
});

onEachServer('an exclusive consumer', (server) => {
  const refused = (queue: string) => `ACCESS_REFUSED - queue '${queue}' in vhost '/' in exclusive use`;

  it('lets no other consumer in: 403', async () => {
    const channel = await openChannel(server);
    const queue = await sharedQueue(channel);
    await consume(channel, queue, { exclusive: true });
    const attempt = { scope: 'channel', code: 403 } as const;
    await expectRefusal(
      server,
      (other) => other.consume(queue, () => undefined),
      attempt.scope,
      attempt.code,
      refused(queue),
    );
  });

  it('is not let in where there is one: 403', async () => {
    const channel = await openChannel(server);
    const queue = await sharedQueue(channel);
    await consume(channel, queue);
    await expectRefusal(
      server,
      (other) => other.consume(queue, () => undefined, { exclusive: true }),
      'channel',
      403,
      refused(queue),
    );
  });

  it('leaves basic.get to others', async () => {
    const channel = await openChannel(server);
    const queue = await sharedQueue(channel);
    await consume(channel, queue, { exclusive: true });
    const other = await openChannel(server);
    expect(await other.get(queue)).toBe(false);
  });

  it('makes room when it is cancelled', async () => {
    const channel = await openChannel(server);
    const queue = await sharedQueue(channel);
    const inbox = await consume(channel, queue, { exclusive: true });
    await channel.cancel(inbox.consumerTag);
    await consume(channel, queue);
  });
});

onEachServer('a consumer whose queue is deleted', (server) => {
  it('is told, where the client has the capability', async () => {
    const channel = await openChannel(server);
    const queue = await sharedQueue(channel);
    const inbox = await consume(channel, queue);
    await (await openChannel(server)).deleteQueue(queue);
    await eventually(() => inbox.cancelled);
  });

  it('is told nothing, where the client has not', async () => {
    const client = await rawChannel(server);
    const queue = unique('queue');
    await client.call('queue.declare', { queue, exclusive: true }, 'queue.declare-ok');
    await client.call('basic.consume', { queue, consumerTag: 'mine' }, 'basic.consume-ok');
    await client.call('queue.delete', { queue }, 'queue.delete-ok');
    await client.call('exchange.declare', { exchange: 'amq.direct', passive: true }, 'exchange.declare-ok');
  });

  it('is told by a basic.cancel that names it and wants no answer', async () => {
    const client = await rawChannel(server, ['consumer_cancel_notify']);
    const queue = unique('queue');
    await client.call('queue.declare', { queue, exclusive: true }, 'queue.declare-ok');
    await client.call('basic.consume', { queue, consumerTag: 'mine' }, 'basic.consume-ok');
    client.sendMethod(1, 'queue.delete', { queue });
    const came = [await client.next(), await client.next()];
    expect(came).toContainEqual(
      expect.objectContaining({ name: 'basic.cancel', arguments: { consumerTag: 'mine', noWait: true } }),
    );
  });

  it('frees its tag', async () => {
    const channel = await openChannel(server);
    const queue = await sharedQueue(channel);
    const inbox = await consume(channel, queue, { consumerTag: 'mine' });
    await channel.deleteQueue(queue);
    await eventually(() => inbox.cancelled);
    await consume(channel, await ownQueue(channel), { consumerTag: 'mine' });
  });
});

onEachServer('the priority of a consumer', (server) => {
  it('lets others have what those of a higher one have no room for', async () => {
    const channel = await openConfirmChannel(server);
    const queue = await ownQueue(channel);
    await channel.prefetch(2);
    const low = await consume(channel, queue, { priority: -1 });
    const usual = await consume(channel, queue);
    const high = await consume(channel, queue, { priority: 10 });
    send(channel, queue, '1', '2', '3', '4', '5', '6', '7');
    await channel.waitForConfirms();
    await settled(channel, queue);
    expect([high.bodies, usual.bodies, low.bodies]).toEqual([
      ['1', '2'],
      ['3', '4'],
      ['5', '6'],
    ]);
    high.messages.forEach((message) => {
      channel.ack(message);
    });
    await high.holds('1', '2', '7');
  });

  it('that is no integer is refused with 406', () => {
    const queue = unique('queue');
    return expectRefusal(
      server,
      async (channel) => {
        await channel.assertQueue(queue, { exclusive: true });
        await channel.consume(queue, () => undefined, { arguments: { 'x-priority': 'high' } });
      },
      'channel',
      406,
      `PRECONDITION_FAILED - invalid arg 'x-priority' for queue '${queue}' in vhost '/': "expected integer, got longstr"`,
    );
  });

  it.each([
    ['byte', 'b', '05'],
    ['double', 'd', '4014000000000000'],
    ['float', 'f', '40a00000'],
  ])('as a %s is an integer, or refused with 406', async (type, letter, octets) => {
    const client = await rawChannel(server);
    const queue = unique('queue');
    await client.call('queue.declare', { queue, exclusive: true }, 'queue.declare-ok');
    client.send(methodWith('basic.consume', { queue }, ['x-priority', letter, octets]));
    if (type === 'byte') {
      await client.expect('basic.consume-ok');
      return;
    }
    expect(await client.expect('channel.close')).toMatchObject({
      replyCode: 406,
      replyText: `PRECONDITION_FAILED - invalid arg 'x-priority' for queue '${queue}' in vhost '/': "expected integer, got ${type}"`,
    });
  });

  it('is all that a consumer of a classic queue may ask for: x-stream-offset is refused with 406', () => {
    const queue = unique('queue');
    return expectRefusal(
      server,
      async (channel) => {
        await channel.assertQueue(queue, { exclusive: true });
        await channel.consume(queue, () => undefined, { arguments: { 'x-stream-offset': 'first' } });
      },
      'channel',
      406,
      `PRECONDITION_FAILED - invalid arg 'x-stream-offset' for queue '${queue}' in vhost '/' of queue type rabbit_classic_queue`,
    );
  });
});
