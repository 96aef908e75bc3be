import { expect, it } from 'vitest';
import { publication } from '../../support/amqp-raw-client.js';
import {
  consume,
  drain,
  openChannel,
  openConfirmChannel,
  ownQueue,
  rawChannel,
  ready,
  send,
  unique,
} from './app.js';
import { expectRefusal } from './refusal.js';
import { onEachServer } from './server.js';

onEachServer('queue.declare', (server) => {
  it('without a name makes one that starts with amq.gen-', async () => {
    const channel = await openChannel(server);
    const [one, two] = [
      await channel.assertQueue('', { exclusive: true }),
      await channel.assertQueue('', { exclusive: true }),
    ];
    expect(one.queue).toMatch(/^amq\.gen-[\w-]{22}$/);
    expect(two.queue).not.toBe(one.queue);
  });

  it('tells how many messages are ready and how many consumers there are', async () => {
    const channel = await openConfirmChannel(server);
    const queue = await ownQueue(channel);
    send(channel, queue, 'one', 'two');
    await channel.waitForConfirms();
    expect(await channel.checkQueue(queue)).toEqual({ queue, messageCount: 2, consumerCount: 0 });
    await channel.prefetch(1);
    const inbox = await consume(channel, queue);
    await inbox.holds('one');
    expect(await channel.checkQueue(queue)).toEqual({ queue, messageCount: 1, consumerCount: 1 });
  });

  it('again keeps what is in it', async () => {
    const channel = await openConfirmChannel(server);
    const queue = await ownQueue(channel);
    send(channel, queue, 'kept');
    await channel.waitForConfirms();
    expect(await channel.assertQueue(queue, { exclusive: true })).toMatchObject({ messageCount: 1 });
  });

  it('passively of one that is not there is refused with 404', () =>
    expectRefusal(
      server,
      (channel) => channel.checkQueue('no such queue'),
      'channel',
      404,
      "NOT_FOUND - no queue 'no such queue' in vhost '/'",
    ));

  it('of a reserved name is refused with 403', () =>
    expectRefusal(
      server,
      (channel) => channel.assertQueue('amq.mine'),
      'channel',
      403,
      "ACCESS_REFUSED - queue name 'amq.mine' contains reserved prefix 'amq.*'",
    ));

  it('without waiting is followed by nothing', async () => {
    const client = await rawChannel(server);
    const queue = unique('queue');
    client.sendMethod(1, 'queue.declare', { queue, exclusive: true, noWait: true });
    client.sendMethod(1, 'queue.bind', { queue, exchange: 'amq.fanout', noWait: true });
    client.sendMethod(1, 'queue.purge', { queue, noWait: true });
    await client.call('queue.declare', { queue, passive: true }, 'queue.declare-ok');
    client.sendMethod(1, 'queue.delete', { queue, noWait: true });
    client.sendMethod(1, 'queue.declare', { queue, passive: true });
    expect(await client.expect('channel.close')).toMatchObject({ replyCode: 404 });
  });

  it('is remembered by the channel: an empty name means the queue declared last', async () => {
    const client = await rawChannel(server);
    const queue = unique('queue');
    await client.call('queue.declare', { queue, exclusive: true }, 'queue.declare-ok');
    await client.call('queue.bind', { queue: '', exchange: 'amq.direct', routingKey: '' }, 'queue.bind-ok');
    client.send(publication(1, { exchange: 'amq.direct', routingKey: queue }, [Buffer.from('x')]));
    expect(await client.call('queue.purge', {}, 'queue.purge-ok')).toMatchObject({ messageCount: 1 });
    await client.call('queue.delete', {}, 'queue.delete-ok');
  });

  it.each([
    ['queue.bind', { exchange: 'amq.direct' }],
    ['basic.consume', {}],
    ['basic.get', {}],
    ['queue.purge', {}],
    ['queue.delete', {}],
  ] as const)('is missed by a %s without a name: 404', async (method, args) => {
    const client = await rawChannel(server);
    client.sendMethod(1, method, args);
    expect(await client.expect('channel.close')).toMatchObject({
      replyCode: 404,
      replyText: 'NOT_FOUND - no previously declared queue',
    });
  });
});

onEachServer('queue.delete', (server) => {
  it('tells how many messages were in it', async () => {
    const channel = await openConfirmChannel(server);
    const queue = await ownQueue(channel);
    send(channel, queue, 'one', 'two', 'three');
    await channel.waitForConfirms();
    expect(await channel.deleteQueue(queue)).toEqual({ messageCount: 3 });
  });

  it('of one that is not there is no error', async () => {
    const channel = await openChannel(server);
    expect(await channel.deleteQueue(unique('missing'))).toEqual({ messageCount: 0 });
  });

  it('if unused is refused with 406 where it has a consumer', async () => {
    const queue = unique('queue');
    await expectRefusal(
      server,
      async (channel) => {
        await channel.assertQueue(queue, { exclusive: true });
        await channel.consume(queue, () => undefined);
        await channel.deleteQueue(queue, { ifUnused: true });
      },
      'channel',
      406,
      `PRECONDITION_FAILED - queue '${queue}' in vhost '/' in use`,
    );
  });

  it('if empty is refused with 406 where it holds a message', async () => {
    const queue = unique('queue');
    await expectRefusal(
      server,
      async (channel) => {
        await channel.assertQueue(queue, { exclusive: true });
        send(channel, queue, 'something');
        await channel.deleteQueue(queue, { ifEmpty: true });
      },
      'channel',
      406,
      `PRECONDITION_FAILED - queue '${queue}' in vhost '/' not empty`,
    );
  });

  it('if unused and empty deletes one that is both', async () => {
    const channel = await openChannel(server);
    const queue = await ownQueue(channel);
    await channel.deleteQueue(queue, { ifEmpty: true, ifUnused: true });
    await expect(channel.checkQueue(queue)).rejects.toThrow('NOT_FOUND');
  });

  it('drops what was delivered and not acknowledged: an acknowledgement later is no error', async () => {
    const channel = await openConfirmChannel(server);
    const queue = await ownQueue(channel);
    send(channel, queue, 'x');
    const inbox = await consume(channel, queue);
    await inbox.holds('x');
    await channel.deleteQueue(queue);
    channel.ack(inbox.message(0));
    await channel.checkExchange('amq.direct');
  });
});

onEachServer('queue.purge', (server) => {
  it('drops what is ready, and not what was delivered', async () => {
    const channel = await openConfirmChannel(server);
    const queue = await ownQueue(channel);
    send(channel, queue, 'one', 'two', 'three');
    await channel.waitForConfirms();
    const taken = await channel.get(queue);
    expect(await channel.purgeQueue(queue)).toEqual({ messageCount: 2 });
    if (taken) channel.nack(taken);
    await ready(channel, queue, 1);
    expect(await drain(channel, queue)).toEqual(['one']);
  });

  it('of one that is not there is refused with 404', () =>
    expectRefusal(
      server,
      (channel) => channel.purgeQueue('no such queue'),
      'channel',
      404,
      "NOT_FOUND - no queue 'no such queue' in vhost '/'",
    ));
});
