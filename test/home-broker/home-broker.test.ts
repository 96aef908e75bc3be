import { once } from 'node:events';
import { connect } from 'amqplib';
import { describe, expect, it } from 'vitest';
import { NodeHomeBroker } from '../../src/home-broker/index.js';
import { createBroker } from '../broker/support.js';
import { teardown } from '../support/teardown.js';
import { anyone, logIn, passwordOf, refusalOf, startHome } from './support.js';

const silent = { debug() {}, info() {}, warn() {}, error() {} };
const PLAIN = { port: 5672, tls: false };
const TLS = { port: 5671, tls: true };

function homeOf(options: Partial<ConstructorParameters<typeof NodeHomeBroker>[0]> = {}) {
  const home = new NodeHomeBroker({ broker: createBroker().broker, logger: silent, ...options });
  teardown(() => home.close());
  return home;
}

describe('a tracker', () => {
  it('logs in at its own node, and does there what a tracker does', async () => {
    const node = await startHome();
    const { host, port, tls, virtualHost, username, password } = await node.home.admitTracker('/');
    expect({ host, port, tls, virtualHost }).toEqual({
      host: '127.0.0.1',
      port: node.port,
      tls: false,
      virtualHost: '/',
    });
    const client = await logIn(node, username, password, '/');
    const app = await (await node.connect()).createChannel();
    await app.assertExchange('market', 'direct');
    const channel = await client.createConfirmChannel();
    const { queue } = await channel.assertQueue('', {
      exclusive: true,
      maxLength: 100,
      arguments: { 'x-overflow': 'drop-head' },
    });
    await channel.bindQueue(queue, 'market', 'tracker');
    await channel.consume(queue, () => {});
    await channel.assertQueue('xspace.tracker.market', { durable: true });
    const { queue: replies } = await app.assertQueue('', { exclusive: true });
    channel.sendToQueue(replies, Buffer.from('ok'));
    await channel.waitForConfirms();
    expect(await app.get(replies, { noAck: true })).toMatchObject({ content: Buffer.from('ok') });
    for (const attempt of [
      () => refusalOf(client, (other) => other.assertQueue('q')),
      () => refusalOf(client, (other) => other.assertExchange('x', 'fanout')),
      () => refusalOf(client, (other) => other.deleteExchange('market')),
      () =>
        refusalOf(client, async (other) => other.publish('market', '', Buffer.alloc(0)) && once(other, 'x')),
    ]) {
      expect(await attempt()).toMatch(/^ACCESS_REFUSED/);
    }
  });

  it('is the same one for each virtual host, and enters no other', async () => {
    const node = await startHome();
    node.broker.addVirtualHost('other');
    const [one, same] = [await node.home.admitTracker('/'), await node.home.admitTracker('/')];
    const other = await node.home.admitTracker('other');
    expect(same).toEqual(one);
    expect(other.username).not.toBe(one.username);
    await logIn(node, other.username, other.password, 'other');
    await expect(logIn(node, one.username, one.password, 'other')).rejects.toThrow();
    await expect(logIn(node, one.username, other.password, '/')).rejects.toThrow('ACCESS_REFUSED');
  });

  it('is admitted when the node listens, at its first listener without TLS', async () => {
    const home = homeOf();
    const admitted = home.admitTracker('/');
    home.listening([
      { host: '192.0.2.1', ...TLS },
      { host: '::', ...PLAIN },
      { host: '192.0.2.2', ...PLAIN },
    ]);
    expect(await admitted).toMatchObject({ host: '::1', ...PLAIN });
  });

  it('is refused where there is none, and where the node stops before it listens', async () => {
    const home = homeOf();
    home.listening([{ host: '192.0.2.1', ...TLS }]);
    await expect(home.admitTracker('/')).rejects.toMatchObject({
      code: 'refused',
      message: expect.stringContaining('amqp-listen'),
    });
    const stopped = homeOf();
    const admitted = stopped.admitTracker('/');
    stopped.close();
    await expect(admitted).rejects.toMatchObject({ code: 'not-found', message: 'the node stops' });
  });

  it('is disconnected when the node stops, and not let in again', async () => {
    const node = await startHome();
    const { username, password } = await node.home.admitTracker('/');
    const client = await logIn(node, username, password, '/');
    const closed = once(client, 'close');
    node.home.close();
    expect((await closed)[0]).toMatchObject({ code: 320 });
    await expect(logIn(node, username, password, '/')).rejects.toThrow('ACCESS_REFUSED');
  });
});

describe('where relays connect', () => {
  const listeners = [
    { host: '192.0.2.1', ...TLS },
    { host: '0.0.0.0', ...PLAIN },
  ];
  const options = { member: anyone(), passwordOf };

  it('is what the node advertises, or else its first listener without TLS', async () => {
    const advertise = { host: 'broker.example', port: 1, tls: true };
    const advertised = homeOf({ advertise });
    advertised.listening(listeners);
    expect((await advertised.openRelayAccess(options)).endpoint).toEqual({
      ...advertise,
      virtualHost: 'xspace-relay',
    });
    const plain = homeOf();
    plain.listening([...listeners, { host: '192.0.2.2', ...PLAIN }]);
    expect((await plain.openRelayAccess(options)).endpoint).toEqual({
      ...PLAIN,
      host: undefined,
      virtualHost: 'xspace-relay',
    });
  });

  it('is a listener with TLS where there is no other', async () => {
    const home = homeOf();
    home.listening(listeners.slice(0, 1));
    expect((await home.openRelayAccess(options)).endpoint).toMatchObject({ host: '192.0.2.1', ...TLS });
  });

  it('is nowhere where the node listens nowhere', async () => {
    const home = homeOf();
    home.listening([]);
    await expect(home.openRelayAccess(options)).rejects.toMatchObject({ code: 'refused' });
  });

  it('is for members with an id, once each at a time', async () => {
    const home = homeOf();
    home.listening(listeners);
    for (const member of ['', 'x', '.*', `${anyone()}.`, anyone().toUpperCase().replace(/^./, 'A')]) {
      await expect(home.openRelayAccess({ member, passwordOf })).rejects.toThrow('member: expected 32');
    }
    const access = await home.openRelayAccess(options);
    await expect(home.openRelayAccess(options)).rejects.toThrow('is open already');
    access.close();
    await home.openRelayAccess(options);
  });
});

describe('what the home broker permits', () => {
  it("is what the broker's permissions say", async () => {
    const { home, broker } = await startHome();
    await broker.users.add('alice', 'secret', []);
    broker.setPermissions('alice', '/', { configure: '', write: '^market$', read: '^market$' });
    expect(home.permits('alice', '/', 'market')).toEqual({ configure: false, write: true, read: true });
    expect(home.permits('nobody', '/', 'market')).toEqual({ configure: false, write: false, read: false });
  });

  it('is nothing to relays, and no user is let in where they are', async () => {
    const node = await startHome();
    const member = anyone();
    await node.home.openRelayAccess({ member, passwordOf });
    const all = { hostname: '127.0.0.1', port: node.port, username: 'guest', password: 'guest' };
    await expect(connect({ ...all, vhost: 'xspace-relay' })).rejects.toThrow();
    const relay = anyone();
    expect(node.home.permits(`${member}.${relay}`, 'xspace-relay', `${member}.x.1`).read).toBe(false);
  });
});
