import type { ConsumeMessage } from 'amqplib';
import { describe, expect, it } from 'vitest';
import type { Properties } from '../../src/amqp-codec/index.js';
import { encodeHeader, FRAME_BODY, FRAME_HEADER, PROPERTY_FLAGS } from '../../src/amqp-codec/index.js';
import { frame, methodFrame } from '../support/amqp-raw-client.js';
import { eventually } from '../support/eventually.js';
import { bodies, boundQueue, drain, join, point, publish, startMarket } from './space-exchange-fixture.js';

/** Two nodes with a channel and an alias each for the same point: `here` and `there`. */
async function twoAliases(type: 'direct' | 'fanout' | 'topic' | 'headers' = 'topic') {
  const [alice, bob] = await startMarket('alice', 'bob');
  const [here, there] = [await alice.channel(), await bob.channel()];
  await join(here, 'here', point('bids', type));
  await join(there, 'there', point('bids', type));
  return { alice, bob, here, there };
}

describe('a message that is published to an alias', () => {
  it('reaches the queues of every alias once, its own included', async () => {
    const [alice, bob, carol] = await startMarket('alice', 'bob', 'carol');
    const channels = await Promise.all([alice, bob, carol].map((node) => node.channel()));
    const queues: string[] = [];
    for (const channel of channels) {
      await join(channel, 'b', point('bids'));
      queues.push(await boundQueue(channel, 'b', 'copper.*'));
    }
    for (const [index, channel] of channels.entries()) await publish(channel, 'b', `copper.${index}`, 'tin');
    for (const [index, channel] of channels.entries()) {
      expect(await bodies(channel, queues[index] ?? '')).toEqual(['copper.0', 'copper.1', 'copper.2']);
    }
  });

  it('reaches a queue once, however many of its bindings match', async () => {
    const { here, there } = await twoAliases();
    for (const [channel, alias] of [
      [here, 'here'],
      [there, 'there'],
    ] as const) {
      const queue = await boundQueue(channel, alias, '#');
      await channel.bindQueue(queue, alias, 'a.*');
      await channel.bindQueue(queue, alias, '*.b');
      await publish(here, 'here', 'a.b');
      expect(await bodies(channel, queue)).toEqual(['a.b']);
    }
  });

  it('is delivered from the local alias, whatever the other is called', async () => {
    const { here, there } = await twoAliases();
    const [near, far] = [await boundQueue(here, 'here'), await boundQueue(there, 'there')];
    await publish(here, 'here', 'copper.london');
    for (const [channel, queue, exchange] of [
      [here, near, 'here'],
      [there, far, 'there'],
    ] as const) {
      const [message] = await drain(channel, queue);
      expect(message?.fields).toMatchObject({ exchange, routingKey: 'copper.london', redelivered: false });
    }
  });

  it('is pushed to consumers, and stays theirs until they acknowledge it', async () => {
    const { here, there, bob } = await twoAliases();
    await there.assertQueue('q');
    await there.bindQueue('q', 'there', '#');
    const received: ConsumeMessage[] = [];
    await there.consume('q', (delivery) => delivery && received.push(delivery));
    await publish(here, 'here', 'copper.london');
    await eventually(() => received.length === 1);
    expect(received[0]?.fields).toMatchObject({ exchange: 'there', routingKey: 'copper.london' });
    await there.close();
    const other = await bob.channel();
    await eventually(async () => expect((await other.checkQueue('q')).messageCount).toBe(1));
    expect((await drain(other, 'q')).map(({ fields }) => fields.redelivered)).toEqual([true]);
  });

  it('is delivered in the order it was published in', async () => {
    const { here, there } = await twoAliases();
    const queue = await boundQueue(there, 'there');
    const keys = Array.from({ length: 500 }, (_, index) => `key.${index}`);
    await publish(here, 'here', ...keys);
    expect(await bodies(there, queue)).toEqual(keys);
  });

  it('of type direct reaches those who know its routing key', async () => {
    const { here, there } = await twoAliases('direct');
    const queue = await boundQueue(there, 'there', 'secret');
    await publish(here, 'here', 'Secret', 'secret', '#');
    expect(await bodies(there, queue)).toEqual(['secret']);
  });

  it('of type fanout reaches everybody who is bound at all', async () => {
    const { here, there } = await twoAliases('fanout');
    const queue = await boundQueue(there, 'there', 'one key');
    await there.bindQueue(queue, 'there', 'another key');
    await there.unbindQueue(queue, 'there', 'one key');
    await publish(here, 'here', 'a', 'b');
    expect(await bodies(there, queue)).toEqual(['a', 'b']);
  });

  it('of type headers reaches those whose binding arguments its headers meet', async () => {
    const { here, there } = await twoAliases('headers');
    const all = await boundQueue(there, 'there', '', { 'x-match': 'all', metal: 'tin', lots: 3 });
    const any = await boundQueue(there, 'there', '', { 'x-match': 'any', metal: 'tin', lots: 3 });
    const send = (body: string, headers: object) => here.publish('here', '', Buffer.from(body), { headers });
    send('both', { metal: 'tin', lots: 3, more: true });
    send('one', { metal: 'zinc', lots: 3 });
    send('none', {});
    await here.waitForConfirms();
    expect(await bodies(there, all)).toEqual(['both']);
    expect(await bodies(there, any)).toEqual(['both', 'one']);
  });

  it('is confirmed, with and without anybody who wants it', async () => {
    const { here, there } = await twoAliases();
    await publish(here, 'here', 'nobody wants this');
    const queue = await boundQueue(there, 'there');
    await new Promise<void>((resolve, reject) =>
      here.publish('here', 'k', Buffer.from('k'), {}, (error) => (error ? reject(error) : resolve())),
    );
    expect(await bodies(there, queue)).toEqual(['k']);
  });

  it('reaches a queue that is bound to the alias and to an ordinary exchange once for each', async () => {
    const { here, there } = await twoAliases();
    await there.assertExchange('ordinary', 'fanout');
    const queue = await boundQueue(there, 'there');
    await there.bindQueue(queue, 'ordinary', '');
    await publish(here, 'here', 'from afar');
    await publish(there, 'ordinary', 'from here');
    expect(await bodies(there, queue)).toEqual(['from afar', 'from here']);
  });
});

describe('two aliases of one point on one node', () => {
  it('get what is published to the other and to remote ones, each by its own bindings', async () => {
    const { here, there } = await twoAliases();
    await join(here, 'here too', point('bids'));
    const [first, second] = [await boundQueue(here, 'here', 'a'), await boundQueue(here, 'here too', 'b')];
    await publish(here, 'here', 'a', 'b');
    await publish(here, 'here too', 'a', 'b');
    await publish(there, 'there', 'a', 'b');
    expect(await bodies(here, first)).toEqual(['a', 'a', 'a']);
    expect(await bodies(here, second)).toEqual(['b', 'b', 'b']);
  });

  it('are two participants: a queue that is bound to both gets a message from each', async () => {
    const { here, there } = await twoAliases();
    await join(here, 'here too', point('bids'));
    const queue = await boundQueue(here, 'here');
    await here.bindQueue(queue, 'here too', '#');
    await publish(here, 'here', 'x');
    await publish(there, 'there', 'y');
    const exchanges = (await drain(here, queue)).map(
      ({ content, fields }) => `${content} ${fields.exchange}`,
    );
    expect(exchanges.sort()).toEqual(['x here', 'x here too', 'y here', 'y here too']);
  });

  it('reach other nodes once', async () => {
    const { here, there } = await twoAliases();
    await join(here, 'here too', point('bids'));
    const queue = await boundQueue(there, 'there');
    await publish(here, 'here', 'x');
    await publish(here, 'here too', 'y');
    expect(await bodies(there, queue)).toEqual(['x', 'y']);
  });
});

describe('a binding between exchanges', () => {
  it('with an alias as source brings remote messages to a local exchange, until it is gone', async () => {
    const { here, there } = await twoAliases();
    await there.assertExchange('inside', 'topic');
    await there.bindExchange('inside', 'there', 'public.#');
    const queue = await boundQueue(there, 'inside', '*.news');
    await publish(here, 'here', 'public.news', 'private.news', 'public.ads');
    expect(await bodies(there, queue)).toEqual(['public.news']);
    await there.unbindExchange('inside', 'there', 'public.#');
    await publish(here, 'here', 'public.news');
    expect(await bodies(there, queue)).toEqual([]);
  });

  it('with an alias as destination brings local messages to remote queues, until it is gone', async () => {
    const { here, there } = await twoAliases();
    await here.assertExchange('inside', 'topic');
    await here.bindExchange('here', 'inside', 'public.#');
    const queue = await boundQueue(there, 'there', '*.news');
    await publish(here, 'inside', 'public.news', 'private.news', 'public.ads');
    const [message, ...more] = await drain(there, queue);
    expect(message?.fields).toMatchObject({ exchange: 'there', routingKey: 'public.news' });
    expect(more).toEqual([]);
    await here.unbindExchange('here', 'inside', 'public.#');
    await publish(here, 'inside', 'public.news');
    expect(await bodies(there, queue)).toEqual([]);
  });

  it('from alias to alias takes local messages into the other point, and remote ones to local queues only', async () => {
    const { here, there } = await twoAliases();
    await join(here, 'to', point('archive'));
    await join(there, 'archive', point('archive'));
    await here.bindExchange('to', 'here', '#');
    const [near, far] = [await boundQueue(here, 'to'), await boundQueue(there, 'archive')];
    await publish(here, 'here', 'local');
    await publish(there, 'there', 'remote');
    expect(await bodies(here, near)).toEqual(['local', 'remote']);
    expect(await bodies(there, far)).toEqual(['local']);
  });

  it('goes with the exchange at its other end, and the interest with it', async () => {
    const { here, there, alice } = await twoAliases();
    await there.assertExchange('inside', 'topic');
    await there.bindExchange('inside', 'there', '#');
    await there.deleteExchange('inside');
    await there.assertExchange('inside', 'topic');
    const queue = await boundQueue(there, 'inside');
    await publish(here, 'here', 'x');
    expect(await bodies(there, queue)).toEqual([]);
    expect(alice.spaceLog).toEqual([]);
  });
});

describe('what a node of its own cannot promise is refused on the channel', () => {
  it.each([
    ['mandatory', { mandatory: true }],
    ['immediate', { immediate: true }],
  ])('%s messages', async (flag, options) => {
    const { alice, here } = await twoAliases();
    const queue = await boundQueue(here, 'here');
    const client = await alice.rawChannel();
    client.send(...message('here', 'k', encodeHeader(1, {}), 'x', options));
    const close = await client.expect('channel.close');
    expect(close).toMatchObject({ replyCode: 540, classId: 60, methodId: 40 });
    expect(close.replyText).toMatch(new RegExp(`^NOT_IMPLEMENTED - ${flag} .*'here' is an alias`));
    expect(await bodies(here, queue)).toEqual([]);
  });

  it('messages of a transaction, and what it did before is undone', async () => {
    const { alice, here } = await twoAliases();
    const queue = await boundQueue(here, 'here');
    const client = await alice.rawChannel();
    await client.call('tx.select', {}, 'tx.select-ok');
    client.send(...message('', queue, encodeHeader(1, {}), 'x'));
    client.send(...message('here', 'k', encodeHeader(1, {}), 'x'));
    const close = await client.expect('channel.close');
    expect(close).toMatchObject({ replyCode: 540, classId: 60, methodId: 40 });
    expect(close.replyText).toMatch(/^NOT_IMPLEMENTED - .*transaction.*'here' is an alias/);
    expect(await bodies(here, queue)).toEqual([]);
  });

  it('but for the handle of a space, which concerns this node alone', async () => {
    const { alice, here } = await twoAliases();
    const queue = await boundQueue(here, 'market', 'k');
    const client = await alice.rawChannel();
    await client.call('tx.select', {}, 'tx.select-ok');
    client.send(...message('market', 'k', encodeHeader(1, {}), 'x'));
    await client.call('tx.commit', {}, 'tx.commit-ok');
    expect(await bodies(here, queue)).toEqual(['x']);
  });
});

describe('a message that crosses a point', () => {
  const everyProperty: Properties = {
    contentType: 'application/json',
    contentEncoding: 'gzip',
    headers: { text: 'grün', nested: { list: [1, 'two', null] }, big: 2n ** 62n },
    deliveryMode: 2,
    priority: 9,
    correlationId: 'correlation',
    replyTo: 'somewhere',
    messageId: 'message-1',
    timestamp: new Date(1_700_000_000_000),
    type: 'greeting',
    userId: 'guest',
    appId: 'app',
    clusterId: 'cluster',
  };
  const { userId, ...withoutUser } = everyProperty;
  it.each([
    ['no properties', encodeHeader(4, {}), encodeHeader(4, {})],
    ['every property', encodeHeader(4, withoutUser), encodeHeader(4, withoutUser)],
    ['every property and a user id', encodeHeader(4, everyProperty), encodeHeader(4, withoutUser)],
    ['a user id alone', encodeHeader(4, { userId: 'guest' }), encodeHeader(4, {})],
    ['headers written differently', oddHeader(4), oddHeader(4)],
    ['headers written differently and a user id', oddHeader(4, 'guest'), oddHeader(4)],
  ])(
    'with %s arrives octet for octet, without a user id that nobody can verify',
    async (_, sent, expected) => {
      const { alice, bob } = await twoAliases();
      const [publisher, consumer] = [await alice.rawChannel(), await bob.rawChannel()];
      await consumer.call('queue.declare', { queue: 'q' }, 'queue.declare-ok');
      await consumer.call('queue.bind', { queue: 'q', exchange: 'there', routingKey: '#' }, 'queue.bind-ok');
      publisher.send(...message('here', 'some.key', sent, 'body'));
      await publisher.call('tx.select', {}, 'tx.select-ok');
      const got = await consumer.call('basic.get', { queue: 'q', noAck: true }, 'basic.get-ok');
      expect(got).toMatchObject({ exchange: 'there', routingKey: 'some.key', redelivered: false });
      const { header, body } = await consumer.expectContent();
      expect(header.toString('hex')).toBe(expected.toString('hex'));
      expect(body.toString()).toBe('body');
    },
  );

  it('keeps its user id on the node that verified it', async () => {
    const { alice, here } = await twoAliases();
    const queue = await boundQueue(here, 'here');
    const publisher = await alice.rawChannel();
    publisher.send(...message('here', 'k', encodeHeader(1, { userId: 'guest' }), 'x'));
    await publisher.call('tx.select', {}, 'tx.select-ok');
    const [delivered] = await drain(here, queue);
    expect(delivered?.properties.userId).toBe('guest');
  });

  it('may have any octets as routing key that are text', async () => {
    const { here, there } = await twoAliases();
    const queue = await boundQueue(there, 'there');
    const keys = ['', ' ', 'ü.😀', 'k'.repeat(255)];
    for (const key of keys) here.publish('here', key, Buffer.from('x'));
    await here.waitForConfirms();
    expect((await drain(there, queue)).map(({ fields }) => fields.routingKey)).toEqual(keys);
  });
});

function message(exchange: string, routingKey: string, header: Buffer, body: string, flags = {}): Buffer[] {
  return [
    methodFrame(1, 'basic.publish', { exchange, routingKey, ...flags }),
    frame(FRAME_HEADER, 1, header),
    frame(FRAME_BODY, 1, Buffer.from(body)),
  ];
}

/** A content header with a table that this node itself would write with other octets. */
function oddHeader(bodyBytes: number, userId?: string): Buffer {
  const head = Buffer.alloc(14);
  head.writeUInt16BE(60, 0);
  head.writeBigUInt64BE(BigInt(bodyBytes), 4);
  head.writeUInt16BE(PROPERTY_FLAGS.headers | (userId === undefined ? 0 : PROPERTY_FLAGS.userId), 12);
  // a: int8, b: uint8, c: int16, d: float, a again: boolean 2, e: int64 that is small
  const table = Buffer.from(
    '016162ff 01624201 0163730001 01646601020304 01617402 01656c0000000000000001'.replaceAll(' ', ''),
    'hex',
  );
  const length = Buffer.alloc(4);
  length.writeUInt32BE(table.length);
  const user = userId === undefined ? [] : [Buffer.from([userId.length]), Buffer.from(userId)];
  return Buffer.concat([head, length, table, ...user]);
}
