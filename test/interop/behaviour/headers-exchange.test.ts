import type { Channel } from 'amqplib';
import { expect, it } from 'vitest';
import { drain, openChannel, ownExchange, ownQueue } from './app.js';
import { expectRefusal } from './refusal.js';
import type { Server } from './server.js';
import { onEachServer } from './server.js';

type Table = Record<string, unknown>;

const messages: Readonly<Record<string, Table>> = {
  none: {},
  a: { a: 1 },
  'a and b': { a: 1, b: 'two' },
  'a and another b': { a: 1, b: 'three' },
  'only b': { b: 'two' },
  'x-a': { 'x-a': 1 },
  'x-a and b': { 'x-a': 1, b: 'two' },
  'a as text': { a: '1' },
  'a as fraction': { a: 1.5 },
  'a is nothing': { a: null },
  'a is true': { a: true },
  'a is a list': { a: [1, 2] },
  'a is a time': { a: { '!': 'timestamp', value: 1 } },
  'a is octets': { a: Buffer.from('1') },
};
const all = Object.keys(messages);

onEachServer('an exchange of type headers', (server) => {
  it.each<[string, Table, string[]]>([
    ['all of nothing', { 'x-match': 'all' }, all],
    ['any of nothing', { 'x-match': 'any' }, []],
    ['nothing at all', {}, all],
    ['all of one', { 'x-match': 'all', a: 1 }, ['a', 'a and b', 'a and another b', 'a is a time']],
    ['one, without x-match', { a: 1 }, ['a', 'a and b', 'a and another b', 'a is a time']],
    ['all of two', { 'x-match': 'all', a: 1, b: 'two' }, ['a and b']],
    [
      'any of two',
      { 'x-match': 'any', a: 1, b: 'two' },
      ['a', 'a and b', 'a and another b', 'only b', 'x-a and b', 'a is a time'],
    ],
    ['all, x- left out', { 'x-match': 'all', 'x-a': 1, b: 'two' }, ['a and b', 'only b', 'x-a and b']],
    ['any, x- left out', { 'x-match': 'any', 'x-a': 1, b: 'two' }, ['a and b', 'only b', 'x-a and b']],
    ['all with x-', { 'x-match': 'all-with-x', 'x-a': 1, b: 'two' }, ['x-a and b']],
    [
      'any with x-',
      { 'x-match': 'any-with-x', 'x-a': 1, b: 'two' },
      ['a and b', 'only b', 'x-a', 'x-a and b'],
    ],
    ['a text', { a: '1' }, ['a as text', 'a is octets']],
    ['octets', { a: Buffer.from('1') }, ['a as text', 'a is octets']],
    [
      'a time, in seconds',
      { a: { '!': 'timestamp', value: 1 } },
      ['a', 'a and b', 'a and another b', 'a is a time'],
    ],
    ['a fraction', { a: 1.5 }, ['a as fraction']],
    ['a boolean', { a: true }, ['a is true']],
    ['no value: the header must be there', { a: null }, all.filter((name) => 'a' in (messages[name] ?? {}))],
  ])('matches %s', async (_, args, matched) => {
    expect(await matchedBy(server, args)).toEqual(all.filter((name) => matched.includes(name)));
  });

  it.each([
    [
      'sometimes',
      'PRECONDITION_FAILED - Invalid x-match field value <<"sometimes">>; expected all, any, all-with-x, or any-with-x',
    ],
    [null, 'PRECONDITION_FAILED - Invalid x-match field type void (value undefined); expected longstr'],
    [70_000, 'PRECONDITION_FAILED - Invalid x-match field type signedint (value 70000); expected longstr'],
  ])('refuses x-match = %s with 406', (value, text) =>
    expectRefusal(
      server,
      async (channel) => channel.bindQueue(await ownQueue(channel), 'amq.headers', '', { 'x-match': value }),
      'channel',
      406,
      text,
    ),
  );

  it('takes no notice of keys', async () => {
    const channel = await openChannel(server);
    const [exchange, queue] = [await ownExchange(channel, 'headers'), await ownQueue(channel)];
    await channel.bindQueue(queue, exchange, 'one', { a: 1 });
    channel.publish(exchange, 'two', Buffer.from('x'), { headers: { a: 1 } });
    expect(await drain(channel, queue)).toEqual(['x']);
  });
});

async function matchedBy(server: Server, args: Table): Promise<string[]> {
  const channel: Channel = await openChannel(server);
  const [exchange, queue] = [await ownExchange(channel, 'headers'), await ownQueue(channel)];
  await channel.bindQueue(queue, exchange, '', args);
  for (const name of all) channel.publish(exchange, '', Buffer.from(name), { headers: messages[name] });
  return drain(channel, queue);
}
