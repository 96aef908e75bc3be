import type { EventEmitter } from 'node:events';
import { once } from 'node:events';
import type { ConfirmChannel } from 'amqplib';
import { describe, expect, it } from 'vitest';
import { encodeHeader } from '../../src/amqp-codec/index.js';
import type { Outlet } from '../../src/prototype-space/index.js';
import { outgoing } from '../overlay/messages.js';
import { eventually } from '../support/eventually.js';
import type { TestNode } from './support.js';
import { anyone, logIn, passwordOf, refusalOf, relayChannel, startHome } from './support.js';

interface Received {
  readonly key: string;
  readonly body: string;
  readonly properties: object;
}

/** A node with an outlet of type topic, and a relay that may read it. */
async function startOutlet() {
  const node = await startHome();
  const [member, relay] = [anyone(), anyone()];
  const access = await node.home.openRelayAccess({ member, passwordOf });
  const changes: number[] = [];
  const outlet = access.openOutlet('topic', () => void changes.push(changes.length));
  const user = `${member}.${relay}`;
  return { node, member, relay, access, outlet, changes, user, own: `${user}.${outlet.number}.` };
}

/** Consumes a queue of the relay's, bound as given. */
async function read(
  channel: ConfirmChannel,
  queue: string,
  bindings: [string, string][],
): Promise<Received[]> {
  const received: Received[] = [];
  await channel.assertQueue(queue, { exclusive: true, autoDelete: true });
  for (const [exchange, key] of bindings) await channel.bindQueue(queue, exchange, key);
  const take = (message: { fields: { routingKey: string }; content: Buffer; properties: object } | null) => {
    if (message === null) return;
    const { fields, content, properties } = message;
    received.push({ key: fields.routingKey, body: content.toString(), properties });
  };
  await channel.consume(queue, take, { noAck: true });
  return received;
}

function publish(outlet: Outlet, ...keys: string[]): void {
  for (const key of keys) expect(outlet.publish(outgoing(key, `body of ${key}`))).toBeUndefined();
}

/** How the connection of a channel ends. */
async function closeOf({ connection }: ConfirmChannel): Promise<unknown> {
  return (await once(connection as unknown as EventEmitter, 'close'))[0];
}

async function refusalsOf(
  node: TestNode,
  user: string,
  attempts: Record<string, (channel: ConfirmChannel) => Promise<unknown>>,
): Promise<Record<string, string>> {
  const [, relay = ''] = user.split('.');
  const client = await logIn(node, user, passwordOf(relay));
  const refusals: Record<string, string> = {};
  for (const [what, attempt] of Object.entries(attempts)) {
    refusals[what] = (await refusalOf(client, attempt)).split(' - ')[0] ?? '';
  }
  await client.close();
  return refusals;
}

describe('a relay', () => {
  it('gets what it has bound, each message once and in order, however it has bound it', async () => {
    const { node, member, relay, outlet, own } = await startOutlet();
    const channel = await relayChannel(node, member, relay);
    const some = await read(channel, `${own}some`, [[outlet.exchange, 'a.#']]);
    publish(outlet, 'a.1', 'b.1', 'a.2');
    await channel.bindQueue(`${own}some`, outlet.exchange, '*.1');
    await channel.bindQueue(`${own}some`, outlet.everything, '');
    publish(outlet, 'a.1', 'c.3');
    await channel.unbindQueue(`${own}some`, outlet.everything, '');
    publish(outlet, 'c.4', 'b.1');
    await eventually(() => expect(some.at(-1)).toMatchObject({ key: 'b.1', body: 'body of b.1' }));
    expect(some.map(({ key }) => key)).toEqual(['a.1', 'a.2', 'a.1', 'c.3', 'b.1']);
  });

  it('is told nothing of the user that published', async () => {
    const { node, member, relay, outlet, own } = await startOutlet();
    const channel = await relayChannel(node, member, relay);
    const received = await read(channel, `${own}q`, [[outlet.everything, '']]);
    const header = encodeHeader(0, { userId: 'alice', messageId: 'm' });
    outlet.publish({
      ...outgoing('k'),
      bytes: header,
      headerEnd: header.length,
      bodyStart: header.length,
      bodyEnd: header.length,
    });
    await eventually(() => expect(received).toHaveLength(1));
    expect(received[0]?.properties).toMatchObject({ userId: undefined, messageId: 'm' });
  });

  it('may do nothing else in the virtual host of relays', async () => {
    const { node, member, outlet, user, own, access } = await startOutlet();
    const exclusive = { exclusive: true };
    const stranger = anyone();
    const other = await node.home.openRelayAccess({ member: anyone(), passwordOf });
    const foreign = other.openOutlet('topic', () => {});
    const theirs = await relayChannel(node, member, stranger);
    const theirQueue = `${member}.${stranger}.${outlet.number}.q`;
    await read(theirs, theirQueue, [[outlet.everything, '']]);
    const publishing =
      (exchange: string, key = '') =>
      async (channel: ConfirmChannel) =>
        channel.publish(exchange, key, Buffer.from('x')) && once(channel, 'never');
    const binding = (exchange: string) => async (channel: ConfirmChannel) => {
      await channel.assertQueue(`${own}b`, { ...exclusive, autoDelete: true });
      await channel.bindQueue(`${own}b`, exchange, '');
    };
    const declaring =
      (queue: string, options: object = exclusive) =>
      (channel: ConfirmChannel) =>
        channel.assertQueue(queue, options);

    expect(
      await refusalsOf(node, user, {
        'publish to its outlet': publishing(outlet.exchange),
        'publish to everybody': publishing(outlet.everything),
        'publish to a queue of another relay': publishing('', theirQueue),
        'publish to a predeclared exchange': publishing('amq.fanout'),
        'declare a queue of any name': declaring('q'),
        'declare a queue that the server names': declaring(''),
        'declare a queue of another relay': declaring(`${member}.${stranger}.${outlet.number}.r`),
        'declare a queue whose name goes on like its own': declaring(`${user}0.${outlet.number}.r`),
        'declare an exchange': (channel) => channel.assertExchange(`${own}x`, 'fanout'),
        'declare an alias': (channel) => channel.assertExchange(`${own}x`, 'x-exchange'),
        'delete the exchange of its outlet': (channel) => channel.deleteExchange(outlet.exchange),
        'bind the exchange of its outlet': (channel) =>
          channel.bindExchange(outlet.exchange, outlet.everything, ''),
        'read the queue of another relay': (channel) => channel.get(theirQueue, { noAck: true }),
        'purge the queue of another relay': (channel) => channel.purgeQueue(theirQueue),
        "bind another membership's outlet": binding(foreign.exchange),
        'bind a predeclared exchange': binding('amq.topic'),
        'have dead letters published': declaring(`${own}d`, {
          ...exclusive,
          deadLetterExchange: outlet.exchange,
        }),
      }),
    ).toEqual(
      Object.fromEntries(
        [
          'publish to its outlet',
          'publish to everybody',
          'publish to a queue of another relay',
          'publish to a predeclared exchange',
          'declare a queue of any name',
          'declare a queue that the server names',
          'declare a queue of another relay',
          'declare a queue whose name goes on like its own',
          'declare an exchange',
          'declare an alias',
          'delete the exchange of its outlet',
          'bind the exchange of its outlet',
          'read the queue of another relay',
          'purge the queue of another relay',
          "bind another membership's outlet",
          'bind a predeclared exchange',
          'have dead letters published',
        ].map((what) => [what, 'ACCESS_REFUSED']),
      ),
    );
    access.close();
  });

  it('has exclusive queues at outlets only, a few of them', async () => {
    const { node, outlet, user, own } = await startOutlet();
    const [, relay = ''] = user.split('.');
    const exclusive = { exclusive: true };
    expect(
      await refusalsOf(node, user, {
        shared: (channel) => channel.assertQueue(`${own}q`, {}),
        durable: (channel) => channel.assertQueue(`${own}q`, { durable: true }),
        'of no outlet': (channel) => channel.assertQueue(`${user}.${outlet.number + 1}.q`, exclusive),
        'of no number': (channel) => channel.assertQueue(`${user}.q`, exclusive),
        'read with acknowledgement': async (channel) => {
          await channel.assertQueue(`${own}q`, exclusive);
          await channel.consume(`${own}q`, () => {});
        },
      }),
    ).toEqual({
      shared: 'PRECONDITION_FAILED',
      durable: 'PRECONDITION_FAILED',
      'of no outlet': 'NOT_FOUND',
      'of no number': 'NOT_FOUND',
      'read with acknowledgement': 'ACCESS_REFUSED',
    });
    const channel = await (await logIn(node, user, passwordOf(relay))).createConfirmChannel();
    for (const name of ['1', '2', '3', '4']) await channel.assertQueue(`${own}${name}`, exclusive);
    await channel.deleteQueue(`${own}1`);
    await channel.assertQueue(`${own}5`, exclusive);
    const error = once(channel, 'error');
    channel.assertQueue(`${own}6`, exclusive).catch(() => {});
    expect((await error)[0].message).toContain('too many queues');
  });

  it('enters no other virtual host', async () => {
    const { node, user, relay } = await startOutlet();
    await expect(logIn(node, user, passwordOf(relay), '/')).rejects.toThrow();
  });

  it.each([
    ['with another password', (user: string) => user, 'guessed'],
    ['of no member', (user: string) => `${anyone()}.${user.split('.')[1]}`, undefined],
    ['whose name goes on', (user: string) => `${user}0`, undefined],
  ])('%s is not let in', async (_, name, password) => {
    const { node, user, relay } = await startOutlet();
    await expect(logIn(node, name(user), password ?? passwordOf(relay))).rejects.toThrow('ACCESS_REFUSED');
  });

  it('is asked for its password as it is at each login, and stays when it changes', async () => {
    const node = await startHome();
    const [member, relay] = [anyone(), anyone()];
    let password: string | undefined = 'first';
    const access = await node.home.openRelayAccess({ member, passwordOf: () => password });
    const outlet = access.openOutlet('fanout', () => {});
    const channel = await (await logIn(node, `${member}.${relay}`, 'first')).createConfirmChannel();
    const received = await read(channel, `${member}.${relay}.${outlet.number}.q`, [[outlet.everything, '']]);
    password = 'second';
    await expect(logIn(node, `${member}.${relay}`, 'first')).rejects.toThrow('ACCESS_REFUSED');
    await logIn(node, `${member}.${relay}`, 'second');
    password = undefined;
    await expect(logIn(node, `${member}.${relay}`, 'second')).rejects.toThrow('ACCESS_REFUSED');
    publish(outlet, 'k');
    await eventually(() => expect(received).toHaveLength(1));
  });

  it('that is dismissed is disconnected, others are not', async () => {
    const { node, member, relay, access, outlet } = await startOutlet();
    const other = anyone();
    const [dismissed, stays] = [
      await relayChannel(node, member, relay),
      await relayChannel(node, member, other),
    ];
    await read(dismissed, `${member}.${relay}.${outlet.number}.q`, []);
    const received = await read(stays, `${member}.${other}.${outlet.number}.q`, [[outlet.everything, '']]);
    const closed = closeOf(dismissed);
    access.dismiss(relay);
    expect(await closed).toMatchObject({ code: 320 });
    await eventually(() => expect(outlet.reader(relay)).toBeUndefined());
    publish(outlet, 'k');
    await eventually(() => expect(received).toHaveLength(1));
  });
});

describe('a membership that ends', () => {
  it('disconnects its relays, and takes its outlets along', async () => {
    const { node, member, relay, access, outlet, user } = await startOutlet();
    const channel = await relayChannel(node, member, relay);
    await read(channel, `${user}.${outlet.number}.q`, [[outlet.everything, '']]);
    const closed = closeOf(channel);
    access.close();
    await closed;
    await expect(logIn(node, user, passwordOf(relay))).rejects.toThrow('ACCESS_REFUSED');
    publish(outlet, 'k');
    const again = await node.home.openRelayAccess({ member, passwordOf });
    const next = await (await logIn(node, user, passwordOf(relay))).createConfirmChannel();
    next.on('error', () => {});
    await expect(next.checkExchange(outlet.exchange)).rejects.toThrow('NOT_FOUND');
    again.close();
  });

  it('has outlets that close one by one: their readers are told', async () => {
    const { node, member, relay, access, outlet, user } = await startOutlet();
    const second = access.openOutlet('direct', () => {});
    expect(second.number).not.toBe(outlet.number);
    const channel = await relayChannel(node, member, relay);
    await channel.assertQueue(`${user}.${outlet.number}.q`, { exclusive: true });
    const cancelled = new Promise((resolve) => {
      void channel.consume(`${user}.${outlet.number}.q`, resolve, { noAck: true });
    });
    await eventually(() => expect(outlet.reader(relay)).toBeDefined());
    outlet.close();
    expect(await cancelled).toBeNull();
    await channel.checkExchange(second.exchange);
    await expect(channel.checkExchange(outlet.everything)).rejects.toThrow('NOT_FOUND');
  });
});

describe('what an outlet tells of a relay', () => {
  it('is whether it consumes, and what it has taken', async () => {
    const { node, member, relay, outlet, own, changes } = await startOutlet();
    expect(outlet.reader(relay)).toBeUndefined();
    const channel = await relayChannel(node, member, relay);
    await channel.assertQueue(`${own}a`, { exclusive: true });
    expect(outlet.reader(relay)).toBeUndefined();
    expect(changes).toEqual([]);
    const received = await read(channel, `${own}b`, [
      [outlet.exchange, 'k'],
      [outlet.exchange, 'l'],
    ]);
    expect(changes).toHaveLength(1);
    publish(outlet, 'k', 'l', 'm');
    expect(outlet.reader(relay)).toEqual({ bindings: 2, messages: 2, bytes: 0, droppedMessages: 0 });
    await eventually(() => expect(received).toHaveLength(2));
    expect(outlet.reader(anyone())).toBeUndefined();
    await channel.deleteQueue(`${own}b`);
    expect(outlet.reader(relay)).toBeUndefined();
    expect(changes.length).toBeGreaterThan(1);
  });

  it('is about the newest of its queues that is read', async () => {
    const { node, member, relay, outlet, own } = await startOutlet();
    const channel = await relayChannel(node, member, relay);
    await read(channel, `${own}old`, [[outlet.exchange, 'k']]);
    await read(channel, `${own}new`, [
      [outlet.exchange, 'k'],
      [outlet.exchange, 'l'],
    ]);
    await channel.assertQueue(`${own}unread`, { exclusive: true });
    expect(outlet.reader(relay)?.bindings).toBe(2);
    await channel.deleteQueue(`${own}new`);
    expect(outlet.reader(relay)?.bindings).toBe(1);
  });
});
