import type { Channel } from 'amqplib';
import { connect } from 'amqplib';
import { beforeAll, expect, it } from 'vitest';
import { PROTOCOL_HEADER } from '../../../src/amqp-codec/index.js';
import { clerk, nameless, stranger } from './accounts.js';
import { openChannel, rawConnection, take, unique } from './app.js';
import { expectRefusal } from './refusal.js';
import { onEachServer } from './server.js';

/** Names of things that clerk may do something with, made by somebody who may do everything. */
interface Things {
  readonly name: string;
  mine(what: string): string;
  readable(what: string): string;
  writable(what: string): string;
  foreign(what: string): string;
}

function things(): Things {
  const name = unique('thing');
  const of = (prefix: string) => (what: string) => `${prefix}-${what}-${name}`;
  return { name, mine: of('mine'), readable: of('in'), writable: of('out'), foreign: of('their') };
}

onEachServer('a user of some permissions', (server) => {
  const thing = things();
  const all = [thing.mine, thing.readable, thing.writable, thing.foreign];

  beforeAll(async () => {
    const connection = await connect(server.url());
    const channel = await connection.createChannel();
    for (const of of all) {
      await channel.assertQueue(of('queue'), { durable: false });
      await channel.assertExchange(of('exchange'), 'topic', { durable: false });
    }
    await connection.close();
  });

  const allowed: readonly [string, (channel: Channel) => unknown][] = [
    [
      'declare a queue that it may configure',
      (channel) => channel.assertQueue(thing.mine('new'), { exclusive: true }),
    ],
    ['declare an exchange that it may configure', (channel) => declare(channel, thing.mine('new'))],
    [
      'ask passively for a queue that it may do nothing with',
      (channel) => channel.checkQueue(thing.foreign('queue')),
    ],
    [
      'ask passively for an exchange that it may do nothing with',
      (channel) => channel.checkExchange(thing.foreign('exchange')),
    ],
    ['publish where it may write', (channel) => publishAndWait(channel, thing.writable('exchange'))],
    ['take messages where it may read', (channel) => channel.get(thing.readable('queue'))],
    ['consume where it may read', (channel) => channel.consume(thing.readable('queue'), () => undefined)],
    ['purge where it may read', (channel) => channel.purgeQueue(thing.readable('queue'))],
    [
      'bind a queue that it may write to an exchange that it may read',
      (channel) => channel.bindQueue(thing.writable('queue'), thing.readable('exchange'), ''),
    ],
    [
      'unbind it again',
      (channel) => channel.unbindQueue(thing.writable('queue'), thing.readable('exchange'), ''),
    ],
    [
      'bind an exchange that it may write to one that it may read',
      (channel) => channel.bindExchange(thing.writable('exchange'), thing.readable('exchange'), ''),
    ],
    [
      'declare a queue whose dead letters go where it may write',
      (channel) =>
        channel.assertQueue(thing.mine('dead'), {
          exclusive: true,
          deadLetterExchange: thing.writable('exchange'),
        }),
    ],
    [
      'declare an exchange whose alternate is one that it may write',
      (channel) => declare(channel, thing.mine('alternate'), thing.writable('exchange')),
    ],
    ['delete what it may configure', (channel) => channel.deleteQueue(thing.mine('queue'))],
  ];

  it.each(allowed)('may %s', async (_, attempt) => {
    const channel = await openChannel(server, { account: clerk });
    await attempt(channel);
    await channel.checkExchange('amq.direct');
  });

  const forbidden: readonly [string, (channel: Channel) => unknown, string][] = [
    [
      'declare any queue',
      (channel) => channel.assertQueue(thing.foreign('new')),
      queue(thing.foreign('new')),
    ],
    [
      'declare a queue without a name',
      (channel) => channel.assertQueue(''),
      "ACCESS_REFUSED - access to queue 'amq.gen-",
    ],
    [
      'declare again what somebody else declared',
      (channel) => channel.assertQueue(thing.readable('queue'), { durable: false }),
      queue(thing.readable('queue')),
    ],
    [
      'declare any exchange',
      (channel) => declare(channel, thing.foreign('new')),
      exchange(thing.foreign('new')),
    ],
    [
      'delete a queue',
      (channel) => channel.deleteQueue(thing.readable('queue')),
      queue(thing.readable('queue')),
    ],
    [
      'delete a queue that is not there',
      (channel) => channel.deleteQueue(thing.foreign('none')),
      queue(thing.foreign('none')),
    ],
    [
      'delete an exchange',
      (channel) => channel.deleteExchange(thing.writable('exchange')),
      exchange(thing.writable('exchange')),
    ],
    [
      'publish where it may only read',
      (channel) => publishAndWait(channel, thing.readable('exchange')),
      exchange(thing.readable('exchange')),
    ],
    ['publish to the default exchange', (channel) => publishAndWait(channel, ''), exchange('amq.default')],
    [
      'get where it may only write',
      (channel) => channel.get(thing.writable('queue')),
      queue(thing.writable('queue')),
    ],
    [
      'consume where it may only write',
      (channel) => channel.consume(thing.writable('queue'), () => undefined),
      queue(thing.writable('queue')),
    ],
    [
      'purge where it may only write',
      (channel) => channel.purgeQueue(thing.writable('queue')),
      queue(thing.writable('queue')),
    ],
    [
      'bind a queue that it may only read',
      (channel) => channel.bindQueue(thing.readable('queue'), thing.readable('exchange'), ''),
      queue(thing.readable('queue')),
    ],
    [
      'bind to an exchange that it may only write',
      (channel) => channel.bindQueue(thing.writable('queue'), thing.writable('exchange'), ''),
      exchange(thing.writable('exchange')),
    ],
    [
      'unbind from an exchange that it may only write',
      (channel) => channel.unbindQueue(thing.writable('queue'), thing.writable('exchange'), ''),
      exchange(thing.writable('exchange')),
    ],
    [
      'bind an exchange that it may only read',
      (channel) => channel.bindExchange(thing.readable('exchange'), thing.readable('exchange'), ''),
      exchange(thing.readable('exchange')),
    ],
    [
      'declare a queue whose dead letters go where it may not write',
      (channel) =>
        channel.assertQueue(thing.mine('grave'), {
          exclusive: true,
          deadLetterExchange: thing.foreign('exchange'),
        }),
      exchange(thing.foreign('exchange')),
    ],
    [
      'declare a queue with dead letters that it may not read',
      (channel) => channel.assertQueue(thing.mine('grave'), { exclusive: true, deadLetterExchange: '' }),
      exchange('amq.default'),
    ],
    [
      'declare an exchange whose alternate is one that it may not write',
      (channel) => declare(channel, thing.mine('other'), thing.foreign('exchange')),
      exchange(thing.foreign('exchange')),
    ],
  ];

  it.each(forbidden)('may not %s: 403', (_, attempt, text) =>
    expectRefusal(server, attempt, 'channel', 403, new RegExp(`^${escaped(text)}`), clerk),
  );

  it('sees that a queue is not there before it is told that it may not use it', () =>
    expectRefusal(
      server,
      (channel) => channel.checkQueue(thing.foreign('none')),
      'channel',
      404,
      /^NOT_FOUND/,
      clerk,
    ));

  it('may not publish to a topic exchange where it may not write, whatever the key', () =>
    expectRefusal(
      server,
      (channel) => publishAndWait(channel, thing.foreign('exchange')),
      'channel',
      403,
      exchange(thing.foreign('exchange')),
      clerk,
    ));
});

onEachServer('a user for queues without names', (server) => {
  it('may do everything with them', async () => {
    const channel = await openChannel(server, { account: nameless });
    const { queue: name } = await channel.assertQueue('', { exclusive: true });
    channel.sendToQueue(name, Buffer.from('x'));
    expect((await take(channel, name)).content.toString()).toBe('x');
  });
});

onEachServer('virtual hosts', (server) => {
  it('hold queues and exchanges of their own', async () => {
    const [here, there] = [await openChannel(server), await openChannel(server, { vhost: 'elsewhere' })];
    const name = unique('name');
    await here.assertQueue(name, { exclusive: true });
    await there.assertQueue(name, { exclusive: true });
    here.sendToQueue(name, Buffer.from('here'));
    expect((await take(here, name)).content.toString()).toBe('here');
    expect(await there.get(name)).toBe(false);
  });

  it('have the predeclared exchanges each', async () => {
    const channel = await openChannel(server, { vhost: 'elsewhere' });
    for (const name of ['amq.direct', 'amq.fanout', 'amq.topic', 'amq.headers', 'amq.match'])
      await channel.checkExchange(name);
  });

  it('are named in refusals', async () => {
    const channel = await openChannel(server, { vhost: 'elsewhere' });
    await expect(channel.checkQueue('none')).rejects.toThrow(
      "NOT_FOUND - no queue 'none' in vhost 'elsewhere'",
    );
  });

  it.each([stranger, clerk])(
    'do not let $name in, who has no permission there: 530',
    async ({ name, password }) => {
      const client = await rawConnection(server);
      client.expectFrames();
      client.send(PROTOCOL_HEADER);
      await client.expect('connection.start');
      client.startOk([], Buffer.from(`\0${name}\0${password}`));
      await client.expect('connection.tune');
      client.tuneOk();
      client.sendMethod(0, 'connection.open', { virtualHost: 'elsewhere' });
      expect(await client.expect('connection.close')).toMatchObject({
        replyCode: 530,
        replyText: `NOT_ALLOWED - access to vhost 'elsewhere' refused for user '${name}'`,
      });
    },
  );
});

function queue(name: string): string {
  return `ACCESS_REFUSED - access to queue '${name}' in vhost '/' refused for user 'clerk'`;
}

function exchange(name: string): string {
  return `ACCESS_REFUSED - access to exchange '${name}' in vhost '/' refused for user 'clerk'`;
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

function declare(channel: Channel, name: string, alternateExchange?: string) {
  const alternate = alternateExchange === undefined ? {} : { alternateExchange };
  return channel.assertExchange(name, 'fanout', { durable: false, ...alternate });
}

async function publishAndWait(channel: Channel, name: string): Promise<void> {
  channel.publish(name, 'key', Buffer.from('x'));
  await channel.checkExchange('amq.direct');
}
