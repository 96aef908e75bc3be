import { expect, it } from 'vitest';
import { drain, openChannel, ownExchange, ownQueue, take, unique } from './app.js';
import { expectRefusal } from './refusal.js';
import { onEachServer } from './server.js';

onEachServer('an exchange of type topic', (server) => {
  const keys = ['', 'a', 'b', 'a.b', 'a.b.c', 'a..b', '.', '..', 'a.', '.a', 'b.a.b', 'A.b', 'a.b.b.b'];

  it.each<[pattern: string, matched: string[]]>([
    ['', ['']],
    ['a', ['a']],
    ['*', ['a', 'b']], // the empty key has no words
    ['#', keys],
    ['a.*', ['a.b', 'a.']],
    ['a.#', ['a', 'a.b', 'a.b.c', 'a..b', 'a.', 'a.b.b.b']],
    ['#.b', ['b', 'a.b', 'a..b', 'b.a.b', 'A.b', 'a.b.b.b']],
    ['*.*', ['a.b', '.', 'a.', '.a', 'A.b']],
    ['#.#', keys],
    ['*.#', keys.filter((key) => key !== '')],
    ['a.*.b', ['a..b']],
    ['#.a.#', ['a', 'a.b', 'a.b.c', 'a..b', 'a.', '.a', 'b.a.b', 'a.b.b.b']],
    ['a.#.b.#.b', ['a.b.b.b']],
    ['a*', []],
    ['.', ['.']],
  ])('matches "%s" word by word', async (pattern, matched) => {
    const channel = await openChannel(server);
    const [exchange, queue] = [await ownExchange(channel, 'topic'), await ownQueue(channel)];
    await channel.bindQueue(queue, exchange, pattern);
    for (const key of keys) channel.publish(exchange, key, Buffer.from(`<${key}>`));
    const expected = keys.filter((key) => matched.includes(key)).map((key) => `<${key}>`);
    expect(await drain(channel, queue)).toEqual(expected);
  });

  it('gives a queue one copy, however many of its bindings match', async () => {
    const channel = await openChannel(server);
    const [exchange, queue] = [await ownExchange(channel, 'topic'), await ownQueue(channel)];
    for (const pattern of ['#', 'a.*', '*.b', 'a.b']) await channel.bindQueue(queue, exchange, pattern);
    channel.publish(exchange, 'a.b', Buffer.from('once'));
    expect(await drain(channel, queue)).toEqual(['once']);
  });
});

onEachServer('an exchange of type direct', (server) => {
  it('compares the whole key, and no part of it is a pattern', async () => {
    const channel = await openChannel(server);
    const [exchange, queue] = [await ownExchange(channel, 'direct'), await ownQueue(channel)];
    await channel.bindQueue(queue, exchange, 'a.*');
    for (const key of ['a.b', 'a.*', 'a.*.c', 'A.*']) channel.publish(exchange, key, Buffer.from(key));
    expect(await drain(channel, queue)).toEqual(['a.*']);
  });
});

onEachServer('an exchange of type fanout', (server) => {
  it('takes no notice of keys', async () => {
    const channel = await openChannel(server);
    const [exchange, queue] = [await ownExchange(channel, 'fanout'), await ownQueue(channel)];
    await channel.bindQueue(queue, exchange, 'one');
    await channel.bindQueue(queue, exchange, 'two');
    channel.publish(exchange, 'three', Buffer.from('x'));
    expect(await drain(channel, queue)).toEqual(['x']);
  });
});

onEachServer('the default exchange', (server) => {
  it('routes to the queue of that name', async () => {
    const channel = await openChannel(server);
    const [queue, other] = [await ownQueue(channel), await ownQueue(channel)];
    channel.publish('', queue, Buffer.from('x'));
    expect(await drain(channel, queue)).toEqual(['x']);
    expect(await drain(channel, other)).toEqual([]);
  });

  const refused = 'ACCESS_REFUSED - operation not permitted on the default exchange';

  it('takes no binding', () =>
    expectRefusal(
      server,
      async (channel) => channel.bindQueue(await ownQueue(channel), '', 'key'),
      'channel',
      403,
      refused,
    ));

  it('gives no binding up', () =>
    expectRefusal(
      server,
      async (channel) => {
        const queue = await ownQueue(channel);
        await channel.unbindQueue(queue, '', queue);
      },
      'channel',
      403,
      refused,
    ));
});

onEachServer('a binding', (server) => {
  it('made twice is one', async () => {
    const channel = await openChannel(server);
    const [exchange, queue] = [await ownExchange(channel, 'direct'), await ownQueue(channel)];
    await channel.bindQueue(queue, exchange, 'key');
    await channel.bindQueue(queue, exchange, 'key');
    channel.publish(exchange, 'key', Buffer.from('x'));
    await channel.unbindQueue(queue, exchange, 'key');
    channel.publish(exchange, 'key', Buffer.from('y'));
    expect(await drain(channel, queue)).toEqual(['x']);
  });

  it('of the same key and other arguments is another one', async () => {
    const channel = await openChannel(server);
    const [exchange, queue] = [await ownExchange(channel, 'direct'), await ownQueue(channel)];
    await channel.bindQueue(queue, exchange, 'key', { one: 1 });
    await channel.bindQueue(queue, exchange, 'key', { two: 2 });
    await channel.unbindQueue(queue, exchange, 'key', { one: 1 });
    channel.publish(exchange, 'key', Buffer.from('x'));
    expect(await drain(channel, queue)).toEqual(['x']);
  });

  it('that is not there is unbound without an error', async () => {
    const channel = await openChannel(server);
    const [exchange, queue] = [await ownExchange(channel, 'direct'), await ownQueue(channel)];
    await channel.unbindQueue(queue, exchange, 'never bound');
  });

  it('to an exchange that is not there is refused with 404', async () => {
    const exchange = unique('missing');
    await expectRefusal(
      server,
      async (channel) => channel.bindQueue(await ownQueue(channel), exchange, 'key'),
      'channel',
      404,
      `NOT_FOUND - no exchange '${exchange}' in vhost '/'`,
    );
  });

  it('of a queue that is not there is refused with 404', async () => {
    const queue = unique('missing');
    await expectRefusal(
      server,
      (channel) => channel.bindQueue(queue, 'amq.direct', 'key'),
      'channel',
      404,
      `NOT_FOUND - no queue '${queue}' in vhost '/'`,
    );
  });

  it('whose ends are not there is unbound without an error', async () => {
    const channel = await openChannel(server);
    await channel.unbindQueue(unique('missing'), 'amq.direct', 'key');
    await channel.unbindQueue(await ownQueue(channel), unique('missing'), 'key');
    await channel.unbindExchange(unique('missing'), unique('missing'), 'key');
  });
});

onEachServer('bindings between exchanges', (server) => {
  it('carry messages on by the key of the publisher', async () => {
    const channel = await openChannel(server);
    const [source, middle] = [await ownExchange(channel, 'topic'), await ownExchange(channel, 'direct')];
    const queue = await ownQueue(channel);
    await channel.bindExchange(middle, source, 'news.#');
    await channel.bindQueue(queue, middle, 'news.sport');
    for (const key of ['news.sport', 'news.art', 'sport']) channel.publish(source, key, Buffer.from(key));
    const message = await take(channel, queue);
    expect(message.fields).toMatchObject({ exchange: source, routingKey: 'news.sport' });
    expect(await drain(channel, queue)).toEqual([]);
  });

  it('in a circle deliver one copy', async () => {
    const channel = await openChannel(server);
    const [one, two] = [await ownExchange(channel, 'fanout'), await ownExchange(channel, 'fanout')];
    const queue = await ownQueue(channel);
    await channel.bindExchange(one, two, '');
    await channel.bindExchange(two, one, '');
    for (const exchange of [one, two]) await channel.bindQueue(queue, exchange, '');
    channel.publish(one, '', Buffer.from('x'));
    expect(await drain(channel, queue)).toEqual(['x']);
  });

  it('end with exchange.unbind', async () => {
    const channel = await openChannel(server);
    const [source, middle] = [await ownExchange(channel, 'fanout'), await ownExchange(channel, 'fanout')];
    const queue = await ownQueue(channel);
    await channel.bindExchange(middle, source, 'key', { one: 1 });
    await channel.bindQueue(queue, middle, '');
    await channel.unbindExchange(middle, source, 'key');
    channel.publish(source, '', Buffer.from('x'));
    await channel.unbindExchange(middle, source, 'key', { one: 1 });
    channel.publish(source, '', Buffer.from('y'));
    expect(await drain(channel, queue)).toEqual(['x']);
  });

  it.each(['source', 'destination'])('whose %s is not there are refused with 404', async (end) => {
    const missing = unique('missing');
    const [source, destination] = end === 'source' ? [missing, 'amq.fanout'] : ['amq.fanout', missing];
    await expectRefusal(
      server,
      (channel) => channel.bindExchange(destination, source, ''),
      'channel',
      404,
      `NOT_FOUND - no exchange '${missing}' in vhost '/'`,
    );
  });

  it('with the default exchange are refused with 403', () =>
    expectRefusal(
      server,
      (channel) => channel.bindExchange('amq.fanout', '', ''),
      'channel',
      403,
      'ACCESS_REFUSED - operation not permitted on the default exchange',
    ));
});
