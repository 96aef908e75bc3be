import { beforeEach, describe, expect, it } from 'vitest';
import type { MethodArguments, MethodName } from '../../src/amqp-codec/index.js';
import { PROTOCOL_HEADER } from '../../src/amqp-codec/index.js';
import type { TestGateway } from '../support/amqp-gateway.js';
import { startGateway } from '../support/amqp-gateway.js';
import { publication } from '../support/amqp-raw-client.js';

const ALL = { configure: '.*', write: '.*', read: '.*' };
/** Each permission for the names that begin with its letter; `cr` can be configured and read. */
const LIMITED = { configure: '^c', write: '^w', read: '^(r|cr)' };

let gateway: TestGateway;

beforeEach(async () => {
  gateway = await startGateway();
  gateway.broker.setPermissions('guest', '/', LIMITED);
});

async function refusalOf<N extends MethodName>(name: N, args: Partial<MethodArguments<N>>): Promise<string> {
  const client = await gateway.rawChannel();
  client.sendMethod(1, name, args);
  const { replyCode, replyText } = await client.expect('channel.close');
  expect(replyText).toMatch(replyCode === 403 ? /^ACCESS_REFUSED - / : /^(NOT_FOUND|PRECONDITION_FAILED) - /);
  return replyText;
}

function access(kind: 'queue' | 'exchange', name: string): string {
  return `ACCESS_REFUSED - access to ${kind} '${name}' in vhost '/' refused for user 'guest'`;
}

const ON_DEFAULT = 'ACCESS_REFUSED - operation not permitted on the default exchange';

// What RabbitMQ 3.10 answers to the same requests of the same user.
describe('a user with limited permissions', () => {
  it.each<[Partial<MethodArguments<'exchange.declare'>>, string]>([
    [{ exchange: 'x' }, access('exchange', 'x')],
    [{ exchange: 'amq.x' }, access('exchange', 'amq.x')],
    [{ exchange: '' }, ON_DEFAULT],
    [{ exchange: 'x', passive: true }, "NOT_FOUND - no exchange 'x' in vhost '/'"],
    [{ exchange: 'c', arguments: { 'alternate-exchange': 'w' } }, access('exchange', 'c')],
    [{ exchange: 'cr', arguments: { 'alternate-exchange': 'x' } }, access('exchange', 'x')],
    [{ exchange: 'cr', arguments: { 'alternate-exchange': '' } }, access('exchange', 'amq.default')],
  ])('declares no exchange with %j', async (args, text) => {
    expect(await refusalOf('exchange.declare', args)).toBe(text);
  });

  it.each<[Partial<MethodArguments<'queue.declare'>>, string]>([
    [{ queue: 'x' }, access('queue', 'x')],
    [{ queue: 'amq.x' }, "ACCESS_REFUSED - queue name 'amq.x' contains reserved prefix 'amq.*'"],
    [{ queue: 'x', passive: true }, "NOT_FOUND - no queue 'x' in vhost '/'"],
    [{ queue: 'c', arguments: { 'x-dead-letter-exchange': 'w' } }, access('queue', 'c')],
    [{ queue: 'cr', arguments: { 'x-dead-letter-exchange': 'x' } }, access('exchange', 'x')],
    [{ queue: 'cr', arguments: { 'x-dead-letter-exchange': '' } }, access('exchange', 'amq.default')],
  ])('declares no queue with %j', async (args, text) => {
    expect(await refusalOf('queue.declare', args)).toBe(text);
  });

  it('declares no queue that the server names, unless that name is permitted', async () => {
    const text = await refusalOf('queue.declare', { queue: '' });
    expect(text).toMatch(/access to queue 'amq\.gen-[\w-]{22}' in vhost '\/' refused for user 'guest'$/);
    gateway.broker.setPermissions('guest', '/', { ...LIMITED, configure: '^amq\\.gen-' });
    const client = await gateway.rawChannel();
    expect((await client.call('queue.declare', {}, 'queue.declare-ok')).queue).toMatch(/^amq\.gen-/);
  });

  it('declares what is there already without a look at where else it leads', async () => {
    const client = await gateway.rawChannel();
    const dead = { 'x-dead-letter-exchange': 'w' };
    await client.call('queue.declare', { queue: 'cr', arguments: dead }, 'queue.declare-ok');
    gateway.broker.setPermissions('guest', '/', { ...LIMITED, write: '' });
    await client.call('queue.declare', { queue: 'cr', arguments: dead }, 'queue.declare-ok');
    await client.call('exchange.declare', { exchange: 'c' }, 'exchange.declare-ok');
    await client.call('exchange.declare', { exchange: 'amq.direct', passive: true }, 'exchange.declare-ok');
  });

  it('is told of an unknown exchange type first', async () => {
    const client = await gateway.rawChannel();
    client.sendMethod(1, 'exchange.declare', { exchange: 'x', type: 'zz' });
    expect(await client.expect('connection.close')).toMatchObject({
      replyCode: 503,
      replyText: "COMMAND_INVALID - unknown exchange type 'zz'",
    });
  });

  it.each<[MethodName, object, string]>([
    ['exchange.delete', { exchange: 'x' }, access('exchange', 'x')],
    ['exchange.delete', { exchange: '' }, ON_DEFAULT],
    [
      'exchange.delete',
      { exchange: 'amq.direct' },
      "ACCESS_REFUSED - deletion of system exchange 'amq.direct' in vhost '/' not allowed",
    ],
    ['queue.delete', { queue: 'x' }, access('queue', 'x')],
    ['queue.purge', { queue: 'x' }, access('queue', 'x')],
    ['queue.purge', { queue: 'r' }, "NOT_FOUND - no queue 'r' in vhost '/'"],
    ['basic.get', { queue: 'x' }, access('queue', 'x')],
    ['basic.get', { queue: 'r' }, "NOT_FOUND - no queue 'r' in vhost '/'"],
    ['basic.consume', { queue: 'x' }, access('queue', 'x')],
    ['basic.consume', { queue: 'r' }, "NOT_FOUND - no queue 'r' in vhost '/'"],
  ])('has %s of %j refused', async (name, args, text) => {
    expect(await refusalOf(name, args)).toBe(text);
  });

  it.each(['queue.bind', 'queue.unbind'] as const)(
    'needs to write the queue and read the exchange for %s',
    async (name) => {
      expect(await refusalOf(name, { queue: 'r', exchange: 'r' })).toBe(access('queue', 'r'));
      expect(await refusalOf(name, { queue: 'x', exchange: '' })).toBe(access('queue', 'x'));
      expect(await refusalOf(name, { queue: 'w', exchange: 'w' })).toBe(access('exchange', 'w'));
      expect(await refusalOf(name, { queue: 'w', exchange: '' })).toBe(ON_DEFAULT);
    },
  );

  it.each(['exchange.bind', 'exchange.unbind'] as const)(
    'needs to write the destination and read the source for %s',
    async (name) => {
      expect(await refusalOf(name, { destination: 'r', source: 'r' })).toBe(access('exchange', 'r'));
      expect(await refusalOf(name, { destination: '', source: 'r' })).toBe(access('exchange', 'amq.default'));
      expect(await refusalOf(name, { destination: 'w', source: '' })).toBe(ON_DEFAULT);
      expect(await refusalOf(name, { destination: 'w', source: 'w' })).toBe(access('exchange', 'w'));
    },
  );

  it.each([
    ['x', 403, access('exchange', 'x')],
    ['', 403, access('exchange', 'amq.default')],
    ['w', 404, "NOT_FOUND - no exchange 'w' in vhost '/'"],
  ])('that publishes to %j gets %i', async (exchange, replyCode, replyText) => {
    const client = await gateway.rawChannel();
    client.send(publication(1, { exchange, routingKey: 'k' }, [Buffer.from('body')]));
    expect(await client.expect('channel.close')).toMatchObject({
      replyCode,
      replyText,
      classId: 60,
      methodId: 40,
    });
  });

  it('does what is permitted', async () => {
    gateway.broker.setPermissions('guest', '/', { configure: '^a\\.', write: '^a\\.', read: '^a\\.' });
    const client = await gateway.rawChannel();
    await client.call('exchange.declare', { exchange: 'a.x' }, 'exchange.declare-ok');
    await client.call('queue.declare', { queue: 'a.q' }, 'queue.declare-ok');
    await client.call('queue.bind', { queue: 'a.q', exchange: 'a.x', routingKey: 'k' }, 'queue.bind-ok');
    client.send(publication(1, { exchange: 'a.x', routingKey: 'k' }, [Buffer.from('body')]));
    await client.call('basic.get', { queue: 'a.q', noAck: true }, 'basic.get-ok');
    await client.expectContent();
    await client.call('queue.purge', { queue: 'a.q' }, 'queue.purge-ok');
    await client.call('queue.unbind', { queue: 'a.q', exchange: 'a.x', routingKey: 'k' }, 'queue.unbind-ok');
    await client.call('queue.delete', { queue: 'a.q' }, 'queue.delete-ok');
    await client.call('exchange.delete', { exchange: 'a.x' }, 'exchange.delete-ok');
  });
});

describe('a change', () => {
  it('of permissions counts for the next publication of a connection that is there', async () => {
    gateway.broker.setPermissions('guest', '/', ALL);
    const client = await gateway.rawChannel();
    await client.call('queue.declare', { queue: 'q' }, 'queue.declare-ok');
    const message = publication(1, { exchange: '', routingKey: 'q' }, [Buffer.from('body')]);
    client.send(message, message);
    expect(await client.call('queue.declare', { queue: 'q' }, 'queue.declare-ok')).toMatchObject({
      messageCount: 2,
    });
    gateway.broker.setPermissions('guest', '/', { ...ALL, write: '^q$' });
    client.send(message);
    expect(await client.expect('channel.close')).toMatchObject({
      replyText: access('exchange', 'amq.default'),
    });
    expect(gateway.virtualHost.findQueue('q')?.messageCount).toBe(2);
  });

  it('of a password leaves connections alone', async () => {
    const client = await gateway.rawChannel();
    await gateway.broker.users.setPassword('guest', 'other');
    await client.call('queue.declare', { queue: 'c' }, 'queue.declare-ok');
  });
});

describe('removing', () => {
  it("a user closes the user's connections, and no others", async () => {
    const { broker, raw, rawChannel } = gateway;
    await broker.users.add('alice', 'secret', []);
    broker.setPermissions('alice', '/', ALL);
    const alice = await raw();
    alice.expectFrames();
    alice.send(PROTOCOL_HEADER);
    await alice.expect('connection.start');
    alice.startOk([], Buffer.from('\0alice\0secret'));
    await alice.expect('connection.tune');
    alice.tuneOk();
    alice.sendMethod(0, 'connection.open');
    await alice.expect('connection.open-ok');
    await alice.call('channel.open', {}, 'channel.open-ok');
    const guests = [await rawChannel(), await rawChannel()];
    broker.removeUser('guest');
    for (const guest of guests) {
      expect(await guest.expect('connection.close')).toMatchObject({
        replyCode: 320,
        replyText: "CONNECTION_FORCED - user 'guest' is deleted",
      });
    }
    await alice.call('queue.declare', { queue: 'q' }, 'queue.declare-ok');
  });

  it('a virtual host closes the connections to it', async () => {
    const client = await gateway.rawChannel();
    await client.call('queue.declare', { queue: 'c' }, 'queue.declare-ok');
    gateway.broker.removeVirtualHost('/');
    expect(await client.expect('connection.close')).toMatchObject({
      replyCode: 320,
      replyText: "CONNECTION_FORCED - vhost '/' is deleted",
    });
    expect(gateway.memory.bytes).toBe(0);
  });
});
