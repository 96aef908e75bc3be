import type { ConfirmChannel } from 'amqplib';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { NodeProcess } from '../support/node-process.js';
import type { Implementation, PointType } from '../support/space-arguments.js';
import { IMPLEMENTATIONS, pointArguments, spaceArguments } from '../support/space-arguments.js';
import { startNode, startNodes } from '../support/start-node.js';
import { bodiesUntil, openChannel, refusalOf } from './amqplib-support.js';

let nodes: readonly [alice: NodeProcess, bob: NodeProcess];
let alice: ConfirmChannel;
let bob: ConfirmChannel;
let implementation: Implementation;

function join(channel: ConfirmChannel, alias: string, point: string, type: PointType, more = {}) {
  const args = { ...pointArguments('market', nodes[0], point, type, implementation), ...more };
  return channel.assertExchange(alias, 'x-exchange', { durable: false, arguments: args });
}

/** A queue of the channel's connection, bound as given. */
async function boundQueue(
  channel: ConfirmChannel,
  exchange: string,
  key: string,
  args = {},
): Promise<string> {
  const { queue } = await channel.assertQueue('', { exclusive: true });
  await channel.bindQueue(queue, exchange, key, args);
  return queue;
}

function publish(channel: ConfirmChannel, exchange: string, ...keys: string[]): void {
  for (const key of keys) channel.publish(exchange, key, Buffer.from(key));
}

const topicPoint = { exchangename: 'p', exchangetype: 'topic' };

function declare(type: string, args: object) {
  return (channel: ConfirmChannel) =>
    channel.assertExchange('refused', type, { durable: false, arguments: args });
}

describe.each(IMPLEMENTATIONS)('with %s,', (each) => {
  beforeAll(async () => {
    implementation = each;
    nodes = await startNodes('alice', 'bob');
    const owner = await openChannel(nodes[0]);
    await owner.assertExchange('market', 'x-exchangespace', {
      durable: false,
      arguments: spaceArguments(implementation),
    });
  });

  beforeEach(async () => {
    alice = await openChannel(nodes[0]);
    bob = await openChannel(nodes[1]);
  });

  describe('a point', () => {
    it('of type direct takes a message to exactly those who know its routing key', async () => {
      await join(alice, 'marketmail', 'mailbox', 'direct');
      await join(bob, 'm', 'mailbox', 'direct');
      const toBob = await boundQueue(bob, 'm', '41iC3');
      const eavesdropper = await boundQueue(bob, 'm', '#');
      await bob.bindQueue(eavesdropper, 'm', 'end');
      await bob.bindQueue(toBob, 'm', 'end');

      publish(alice, 'marketmail', '41iC3', '41ic3', 'end');

      expect(await bodiesUntil(bob, toBob, 'end')).toEqual(['41iC3', 'end']);
      expect(await bodiesUntil(bob, eavesdropper, 'end')).toEqual(['end']);
    });

    it('of type fanout takes every message to every participant', async () => {
      await join(alice, 'news here', 'news', 'fanout');
      await join(bob, 'news there', 'news', 'fanout');
      const here = await boundQueue(alice, 'news here', '');
      const there = await boundQueue(bob, 'news there', 'ignored');

      publish(bob, 'news there', 'a', 'b.c', 'end');

      expect(await bodiesUntil(alice, here, 'end')).toEqual(['a', 'b.c', 'end']);
      expect(await bodiesUntil(bob, there, 'end')).toEqual(['a', 'b.c', 'end']);
    });

    it('takes a message with CC to those as well who are bound to one of its further keys', async () => {
      await join(alice, 'copying', 'copies', 'direct');
      await join(bob, 'copied', 'copies', 'direct');
      const toBob = await boundQueue(bob, 'copied', 'copy');
      await bob.bindQueue(toBob, 'copied', 'end');

      alice.publish('copying', 'original', Buffer.from('with a copy'), { CC: ['copy', 'nobody'] });
      publish(alice, 'copying', 'original', 'end');

      expect(await bodiesUntil(bob, toBob, 'end')).toEqual(['with a copy', 'end']);
    });

    it('of type headers compares the headers of the message with those of the binding', async () => {
      await join(alice, 'h', 'by headers', 'headers');
      await join(bob, 'h', 'by headers', 'headers');
      const all = await boundQueue(bob, 'h', '', { 'x-match': 'all', metal: 'tin', city: 'Lima' });
      const any = await boundQueue(bob, 'h', '', { 'x-match': 'any', metal: 'tin', city: 'Lima', end: true });
      await bob.bindQueue(all, 'h', '', { 'x-match': 'any', end: true });

      alice.publish('h', '', Buffer.from('both'), { headers: { metal: 'tin', city: 'Lima', more: 1 } });
      alice.publish('h', '', Buffer.from('one'), { headers: { metal: 'tin', city: 'Oruro' } });
      alice.publish('h', '', Buffer.from('none'), { headers: { metal: 'zinc' } });
      alice.publish('h', '', Buffer.from('end'), { headers: { end: true } });

      expect(await bodiesUntil(bob, all, 'end')).toEqual(['both', 'end']);
      expect(await bodiesUntil(bob, any, 'end')).toEqual(['both', 'one', 'end']);
    });

    it('connects two aliases on one node as well, each with its own bindings', async () => {
      await join(alice, 'first', 'shared', 'topic');
      await join(alice, 'second', 'shared', 'topic');
      const first = await boundQueue(alice, 'first', '#');
      const second = await boundQueue(alice, 'second', '#');

      publish(alice, 'first', 'a', 'end');

      expect(await bodiesUntil(alice, first, 'end')).toEqual(['a', 'end']);
      expect(await bodiesUntil(alice, second, 'end')).toEqual(['a', 'end']);
    });
  });

  describe('bindings between exchanges', () => {
    it('bring a remote publication from the alias to a local exchange', async () => {
      await join(alice, 'source', 'e2e out', 'topic');
      await join(bob, 'source', 'e2e out', 'topic');
      await bob.assertExchange('bob inside', 'fanout', { durable: false });
      const queue = await boundQueue(bob, 'bob inside', '');
      await bob.bindExchange('bob inside', 'source', 'wanted.*');
      await bob.bindExchange('bob inside', 'source', 'end');

      publish(alice, 'source', 'wanted.1', 'unwanted.1', 'wanted.2', 'end');

      expect(await bodiesUntil(bob, queue, 'end')).toEqual(['wanted.1', 'wanted.2', 'end']);
    });

    it('bring a publication from a local exchange through the alias to a remote queue', async () => {
      await join(alice, 'sink', 'e2e in', 'topic');
      await join(bob, 'sink', 'e2e in', 'topic');
      await alice.assertExchange('alice inside', 'topic', { durable: false });
      await alice.bindExchange('sink', 'alice inside', 'public.#');
      const queue = await boundQueue(bob, 'sink', '#');

      publish(alice, 'alice inside', 'private', 'public', 'public.end');

      expect(await bodiesUntil(bob, queue, 'public.end')).toEqual(['public', 'public.end']);
    });
  });

  describe('an alias', () => {
    it('may be declared again with equal arguments, in either spelling', async () => {
      await join(alice, 'again', 'twice', 'topic');
      await join(alice, 'again', 'twice', 'topic');
      const { exchangename, ...others } = pointArguments(
        'market',
        nodes[0],
        'twice',
        'topic',
        implementation,
      );
      const args = { ...others, exchangenname: exchangename };
      await alice.assertExchange('again', 'x-exchange-point', { durable: false, arguments: args });
      await alice.checkExchange('again');
    });

    it('that was deleted leaves the point to the others, and can be declared again', async () => {
      await join(alice, 'leaver', 'left', 'topic');
      await join(bob, 'stayer', 'left', 'topic');
      const queue = await boundQueue(bob, 'stayer', '#');
      await alice.deleteExchange('leaver');
      publish(bob, 'stayer', 'alone');
      await join(alice, 'leaver', 'left', 'topic');

      publish(alice, 'leaver', 'back', 'end');

      expect(await bodiesUntil(bob, queue, 'end')).toEqual(['alone', 'back', 'end']);
    });

    it('whose queue was unbound gets no more of what the binding asked for', async () => {
      await join(alice, 'pub', 'unbinding', 'topic');
      await join(bob, 'sub', 'unbinding', 'topic');
      const queue = await boundQueue(bob, 'sub', 'a.*');
      await bob.bindQueue(queue, 'sub', 'end');
      await bob.unbindQueue(queue, 'sub', 'a.*');

      publish(alice, 'pub', 'a.1', 'end');

      expect(await bodiesUntil(bob, queue, 'end')).toEqual(['end']);
    });
  });

  describe('what cannot be done is refused', () => {
    const topic = () => pointArguments('market', nodes[0], 'refusals', 'topic', implementation);

    it.each([
      ['a space without implementation', () => declare('x-exchangespace', {}), 406, /implementation/],
      [
        'a space with an unknown implementation',
        () => declare('x-exchangespace', { implementation: 'pigeons' }),
        406,
        /implementation.*pigeons/,
      ],
      [
        'an alias without exchangespace',
        () => declare('x-exchange', { exchangename: 'p' }),
        406,
        /exchangespace/,
      ],
      [
        'an alias whose exchangespace is no table',
        () => declare('x-exchange', { ...topic(), exchangespace: 'market' }),
        406,
        /exchangespace/,
      ],
      [
        'an alias without the name of the space',
        () => declare('x-exchange', { ...topic(), exchangespace: { implementation } }),
        406,
        /space/,
      ],
      [
        'an alias without the name of the point',
        () => declare('x-exchange', { ...topic(), exchangename: undefined }),
        406,
        /exchangename/,
      ],
      [
        'an alias with an unknown point type',
        () => declare('x-exchange', { ...topic(), exchangetype: 'random' }),
        406,
        /exchangetype.*random/,
      ],
      [
        'an alias with a setting that makes no sense',
        () =>
          declare('x-exchange', {
            ...topic(),
            exchangespace: { implementation, space: 'market', host: 'localhost', seeds: 7 },
          }),
        406,
        /exchangespace\.(seeds|host)/,
      ],
      [
        'an alias with an argument that nobody understands',
        () => declare('x-exchange', { ...topic(), colour: 'red' }),
        406,
        /colour/,
      ],
      [
        'a space that nobody declared',
        () => declare('x-exchange', pointArguments('bazaar', nodes[0], 'p', 'topic', implementation)),
        404,
        /bazaar/,
      ],
    ])('%s', async (_, attempt, code, text) => {
      const refusal = await refusalOf(nodes[1].amqpUrl, attempt());
      expect(refusal).toMatchObject({ scope: 'channel', code });
      expect(refusal.text).toMatch(text);
    });

    it('a point that exists with another type', async () => {
      await join(alice, 'typed', 'typed', 'topic');
      const refusal = await refusalOf(nodes[1].amqpUrl, (channel) =>
        join(channel, 'other', 'typed', 'direct'),
      );
      expect(refusal).toMatchObject({ scope: 'channel', code: 406 });
      expect(refusal.text).toMatch(/topic.*direct|direct.*topic/);
    });

    it('a point that exists with other arguments', async () => {
      await join(alice, 'argued', 'argued', 'topic', { arguments: { 'x-one': 1 } });
      const refusal = await refusalOf(nodes[1].amqpUrl, (channel) =>
        join(channel, 'other', 'argued', 'topic', { arguments: { 'x-one': 2 } }),
      );
      expect(refusal).toMatchObject({ scope: 'channel', code: 406 });
    });

    it('an alias declared again with other arguments', async () => {
      await join(alice, 'fixed', 'fixed', 'topic');
      const refusal = await refusalOf(nodes[0].amqpUrl, (channel) =>
        join(channel, 'fixed', 'other', 'topic'),
      );
      expect(refusal).toMatchObject({ scope: 'channel', code: 406 });
      expect(refusal.text).toMatch(/exchangename.*(other.*fixed|fixed.*other)/);
    });

    it('an alias under a name that an ordinary exchange has', async () => {
      await alice.assertExchange('ordinary', 'topic', { durable: false });
      const refusal = await refusalOf(nodes[0].amqpUrl, (channel) => join(channel, 'ordinary', 'p', 'topic'));
      expect(refusal).toMatchObject({ scope: 'channel', code: 406 });
    });

    it('a passive declare of an alias that is not there', async () => {
      const refusal = await refusalOf(nodes[0].amqpUrl, (channel) => channel.checkExchange('no such alias'));
      expect(refusal).toMatchObject({ scope: 'channel', code: 404 });
    });

    it('publishing to an alias that was deleted', async () => {
      await join(alice, 'gone', 'gone', 'topic');
      await alice.deleteExchange('gone');
      const refusal = await refusalOf(nodes[0].amqpUrl, (channel) => void publish(channel, 'gone', 'x'));
      expect(refusal).toMatchObject({ scope: 'channel', code: 404 });
      expect(refusal.text).toMatch(/gone/);
    });

    it('publishing to an alias with mandatory set', async () => {
      await join(alice, 'optional', 'optional', 'topic');
      const refusal = await refusalOf(nodes[0].amqpUrl, (channel) =>
        channel.publish('optional', 'x', Buffer.from('x'), { mandatory: true }),
      );
      expect(refusal).toMatchObject({ scope: 'channel', code: 540 });
      expect(refusal.text).toMatch(/mandatory/);
    });

    it('an exchange type that nobody knows, and with it the connection', async () => {
      const refusal = await refusalOf(nodes[0].amqpUrl, declare('x-unknown', {}));
      expect(refusal).toMatchObject({ scope: 'connection', code: 503 });
    });
  });
});

describe('what cannot be done is refused with dht,', () => {
  it('a join with seeds that do not answer, with each seed and its cause', async () => {
    const loner = await startNode({ name: 'loner' });
    const exchangespace = {
      implementation: 'dht',
      space: 'market',
      seeds: ['127.0.0.1:1', '/ip4/127.0.0.1/tcp/2'],
    };
    const refusal = await refusalOf(loner.amqpUrl, declare('x-exchange', { exchangespace, ...topicPoint }));
    expect(refusal).toMatchObject({ scope: 'channel', code: 404 });
    expect(refusal.text).toMatch(
      /127\.0\.0\.1\W+(tcp\W+)?1\b.*refused.*127\.0\.0\.1\W+(tcp\W+)?2\b.*refused/i,
    );
  });
});

describe('what cannot be done is refused with prototype,', () => {
  it('a join at a broker that is not there, with its address and the cause', async () => {
    const loner = await startNode({ name: 'loner' });
    const exchangespace = { implementation: 'prototype', space: 'market', host: '127.0.0.1', port: 1 };
    const refusal = await refusalOf(loner.amqpUrl, declare('x-exchange', { exchangespace, ...topicPoint }));
    expect(refusal).toMatchObject({ scope: 'channel', code: 404 });
    expect(refusal.text).toMatch(/market.*127\.0\.0\.1:1\b.*ECONNREFUSED/);
  });

  it('a join at an exchange that is no space', async () => {
    const node = await startNode({ name: 'ordinary' });
    const { host, port } = node;
    const exchangespace = { implementation: 'prototype', space: 'amq.topic', host, port };
    const refusal = await refusalOf(node.amqpUrl, declare('x-exchange', { exchangespace, ...topicPoint }));
    expect(refusal).toMatchObject({ scope: 'channel', code: 404 });
    expect(refusal.text).toMatch(/amq\.topic.*no exchange space/);
  });
});
