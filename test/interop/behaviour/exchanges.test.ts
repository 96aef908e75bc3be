import type { Channel } from 'amqplib';
import { expect, it } from 'vitest';
import { drain, openChannel, ownExchange, ownQueue, rawChannel, sharedQueue, unique } from './app.js';
import { expectRefusal } from './refusal.js';
import { onEachServer } from './server.js';

onEachServer('exchange.declare', (server) => {
  it.each(['direct', 'fanout', 'topic', 'headers'])('makes an exchange of type %s', async (type) => {
    const channel = await openChannel(server);
    const exchange = await ownExchange(channel, type);
    await channel.checkExchange(exchange);
  });

  it.each(['', 'amq.direct', 'amq.fanout', 'amq.topic', 'amq.headers', 'amq.match'])(
    'finds the predeclared exchange "%s"',
    async (exchange) => {
      const channel = await openChannel(server);
      if (exchange === '') {
        const queue = await ownQueue(channel);
        channel.publish('', queue, Buffer.from('x'));
        expect(await drain(channel, queue)).toEqual(['x']);
      } else await channel.checkExchange(exchange);
    },
  );

  it('again with the same properties changes nothing', async () => {
    const channel = await openChannel(server);
    const exchange = unique('exchange');
    for (let times = 0; times < 2; times++) {
      await channel.assertExchange(exchange, 'topic', { durable: false, autoDelete: true, internal: true });
    }
  });

  it('again with other arguments changes nothing: they are not compared', async () => {
    const channel = await openChannel(server);
    const exchange = await ownExchange(channel, 'direct', { arguments: { 'x-one': 1 } });
    await channel.assertExchange(exchange, 'direct', { durable: false, arguments: { 'x-two': 2 } });
  });

  const declared =
    (options: object, type = 'direct') =>
    async (channel: Channel, exchange: string) => {
      await ownExchange(channel, 'direct');
      await channel.assertExchange(exchange, 'direct', { durable: false });
      await channel.assertExchange(exchange, type, { durable: false, ...options });
    };

  it.each<[string, (channel: Channel, exchange: string) => unknown, string]>([
    [
      'type',
      declared({}, 'fanout'),
      "PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'NAME' in vhost '/': received 'fanout' but current is 'direct'",
    ],
    [
      'durable',
      declared({ durable: true }),
      "PRECONDITION_FAILED - inequivalent arg 'durable' for exchange 'NAME' in vhost '/': received 'true' but current is 'false'",
    ],
    [
      'auto_delete',
      declared({ autoDelete: true }),
      "PRECONDITION_FAILED - inequivalent arg 'auto_delete' for exchange 'NAME' in vhost '/': received 'true' but current is 'false'",
    ],
    [
      'internal',
      declared({ internal: true }),
      "PRECONDITION_FAILED - inequivalent arg 'internal' for exchange 'NAME' in vhost '/': received 'true' but current is 'false'",
    ],
    [
      'alternate-exchange',
      declared({ alternateExchange: 'amq.fanout' }),
      "PRECONDITION_FAILED - inequivalent arg 'alternate-exchange' for exchange 'NAME' in vhost '/': received the value 'amq.fanout' of type 'longstr' but current is none",
    ],
  ])('again with another %s is refused with 406', async (_, attempt, text) => {
    const exchange = unique('exchange');
    const check = (channel: Channel) => attempt(channel, exchange);
    await expectRefusal(server, check, 'channel', 406, text.replace('NAME', exchange));
  });

  it('of an unknown type is refused with 503', () =>
    expectRefusal(
      server,
      (channel) => channel.assertExchange(unique('exchange'), 'x-unheard-of'),
      'connection',
      503,
      "COMMAND_INVALID - unknown exchange type 'x-unheard-of'",
    ));

  it('of a reserved name is refused with 403', () =>
    expectRefusal(
      server,
      (channel) => channel.assertExchange('amq.mine', 'direct'),
      'channel',
      403,
      "ACCESS_REFUSED - exchange name 'amq.mine' contains reserved prefix 'amq.*'",
    ));

  it('of the default exchange is refused with 403', () =>
    expectRefusal(
      server,
      (channel) => channel.assertExchange('', 'direct'),
      'channel',
      403,
      'ACCESS_REFUSED - operation not permitted on the default exchange',
    ));

  it('passively of the default exchange is refused with 403', () =>
    expectRefusal(
      server,
      (channel) => channel.checkExchange(''),
      'channel',
      403,
      'ACCESS_REFUSED - operation not permitted on the default exchange',
    ));

  it('passively of one that is not there is refused with 404', () =>
    expectRefusal(
      server,
      (channel) => channel.checkExchange('no such exchange'),
      'channel',
      404,
      "NOT_FOUND - no exchange 'no such exchange' in vhost '/'",
    ));

  it('of a predeclared exchange as it is changes nothing', async () => {
    const channel = await openChannel(server);
    await channel.assertExchange('amq.topic', 'topic', { durable: true });
  });

  it('without waiting is followed by nothing', async () => {
    const client = await rawChannel(server);
    const exchange = unique('exchange');
    client.sendMethod(1, 'exchange.declare', { exchange, type: 'fanout', autoDelete: true, noWait: true });
    await client.call('exchange.declare', { exchange, passive: true }, 'exchange.declare-ok');
    client.sendMethod(1, 'exchange.delete', { exchange, noWait: true });
    client.sendMethod(1, 'exchange.declare', { exchange, passive: true });
    expect(await client.expect('channel.close')).toMatchObject({ replyCode: 404, classId: 40, methodId: 10 });
  });
});

onEachServer('exchange.delete', (server) => {
  it('of one that is not there is no error', async () => {
    const channel = await openChannel(server);
    await channel.deleteExchange(unique('missing'));
  });

  it('takes its bindings along', async () => {
    const channel = await openChannel(server);
    const [exchange, queue] = [await ownExchange(channel, 'fanout'), await ownQueue(channel)];
    await channel.bindQueue(queue, exchange, '');
    await channel.deleteExchange(exchange);
    await channel.assertExchange(exchange, 'fanout', { durable: false });
    channel.publish(exchange, '', Buffer.from('nobody'));
    expect(await drain(channel, queue)).toEqual([]);
  });

  it('if unused is refused with 406 where it is used', async () => {
    const exchange = unique('exchange');
    await expectRefusal(
      server,
      async (channel) => {
        await channel.assertExchange(exchange, 'fanout', { durable: false });
        await channel.bindQueue(await ownQueue(channel), exchange, '');
        await channel.deleteExchange(exchange, { ifUnused: true });
      },
      'channel',
      406,
      `PRECONDITION_FAILED - exchange '${exchange}' in vhost '/' in use`,
    );
  });

  it('if unused deletes one without bindings', async () => {
    const channel = await openChannel(server);
    const exchange = await ownExchange(channel, 'fanout');
    await channel.deleteExchange(exchange, { ifUnused: true });
    await expect(channel.checkExchange(exchange)).rejects.toThrow('NOT_FOUND');
  });

  it('if unused deletes one that is only the destination of a binding', async () => {
    const channel = await openChannel(server);
    const [source, end] = [await ownExchange(channel, 'fanout'), await ownExchange(channel, 'fanout')];
    await channel.bindExchange(end, source, '');
    await channel.deleteExchange(end, { ifUnused: true });
    await channel.deleteExchange(source, { ifUnused: true });
  });

  it.each([
    ['amq.direct', "ACCESS_REFUSED - deletion of system exchange 'amq.direct' in vhost '/' not allowed"],
    ['', 'ACCESS_REFUSED - operation not permitted on the default exchange'],
  ])('of the predeclared "%s" is refused with 403', (exchange, text) =>
    expectRefusal(server, (channel) => channel.deleteExchange(exchange), 'channel', 403, text),
  );
});

onEachServer('an exchange that deletes itself', (server) => {
  it('stays as long as it has had no binding', async () => {
    const channel = await openChannel(server);
    const exchange = await ownExchange(channel, 'fanout', { autoDelete: true });
    channel.publish(exchange, '', Buffer.from('x'));
    await channel.checkExchange(exchange);
  });

  it('goes with its last binding', async () => {
    const channel = await openChannel(server);
    const [exchange, queue] = [
      await ownExchange(channel, 'direct', { autoDelete: true }),
      await ownQueue(channel),
    ];
    await channel.bindQueue(queue, exchange, 'one');
    await channel.bindQueue(queue, exchange, 'two');
    await channel.unbindQueue(queue, exchange, 'one');
    await channel.checkExchange(exchange);
    await channel.unbindQueue(queue, exchange, 'two');
    await expect(channel.checkExchange(exchange)).rejects.toThrow('NOT_FOUND');
  });

  it('goes with the last queue that was bound to it', async () => {
    const channel = await openChannel(server);
    const [exchange, queue] = [
      await ownExchange(channel, 'fanout', { autoDelete: true }),
      await sharedQueue(channel),
    ];
    await channel.bindQueue(queue, exchange, '');
    await channel.deleteQueue(queue);
    await expect(channel.checkExchange(exchange)).rejects.toThrow('NOT_FOUND');
  });

  it('takes along another one that was bound to it alone', async () => {
    const channel = await openChannel(server);
    const source = await ownExchange(channel, 'fanout', { autoDelete: true });
    const middle = await ownExchange(channel, 'fanout');
    await channel.bindExchange(middle, source, '');
    await channel.deleteExchange(middle);
    await expect(channel.checkExchange(source)).rejects.toThrow('NOT_FOUND');
  });
});

onEachServer('an internal exchange', (server) => {
  it('takes no publication from a client: 403', async () => {
    const exchange = unique('internal');
    await expectRefusal(
      server,
      async (channel) => {
        await channel.assertExchange(exchange, 'fanout', {
          durable: false,
          internal: true,
          autoDelete: true,
        });
        channel.publish(exchange, '', Buffer.from('x'));
      },
      'channel',
      403,
      `ACCESS_REFUSED - cannot publish to internal exchange '${exchange}' in vhost '/'`,
    );
  });

  it('takes messages from another exchange', async () => {
    const channel = await openChannel(server);
    const entrance = await ownExchange(channel, 'direct');
    const internal = await ownExchange(channel, 'fanout', { internal: true });
    const queue = await ownQueue(channel);
    await channel.bindExchange(internal, entrance, 'in');
    await channel.bindQueue(queue, internal, '');
    channel.publish(entrance, 'in', Buffer.from('x'));
    expect(await drain(channel, queue)).toEqual(['x']);
  });
});
