import { once } from 'node:events';
import { connect as connectSocket, createServer } from 'node:net';
import type { ChannelModel } from 'amqplib';
import { connect } from 'amqplib';
import { describe, expect, it } from 'vitest';
import type { NodeConfig } from '../src/config.js';
import { parseConfig } from '../src/config.js';
import { createLogger } from '../src/logger.js';
import type { Node } from '../src/node.js';
import { startNode } from '../src/node.js';
import type { RawConfig } from '../src/settings.js';
import { version } from '../src/version.js';
import { eventually } from './support/eventually.js';
import { teardown } from './support/teardown.js';

const logger = createLogger({ level: 'silent', format: 'json', name: 'test' });

function anywhere(raw: RawConfig = {}): NodeConfig {
  const nowhere: RawConfig = raw.dataDir === undefined ? { inMemory: 'true' } : {};
  return parseConfig({
    amqpListen: ['127.0.0.1:0'],
    overlayListen: ['/ip4/127.0.0.1/tcp/0'],
    ...nowhere,
    ...raw,
  });
}

async function start(raw?: RawConfig): Promise<Node> {
  const node = await startNode(anywhere(raw), logger);
  teardown(() => node.stop());
  return node;
}

async function client(node: Node, listener = 0): Promise<ChannelModel> {
  const connection = await connect(node.amqp[listener] ?? '');
  connection.on('error', () => {});
  teardown(() => connection.close().catch(() => {}));
  return connection;
}

/** A port that something listens on for the length of the test. */
async function takenPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  teardown(() => server.close());
  return portOf(server.address());
}

function portOf(address: unknown): number {
  return (address as { readonly port: number }).port;
}

async function isOpen(port: number): Promise<boolean> {
  const socket = connectSocket(port, '127.0.0.1');
  return new Promise((resolve) => {
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
  }).then((open) => {
    socket.destroy();
    return open as boolean;
  });
}

function overlayPort(node: Node): number {
  return Number(node.overlay[0]?.split('/')[4]);
}

describe('a node', () => {
  it('serves AMQP apps on every listener, and all of them see the same', async () => {
    const node = await start({ amqpListen: ['127.0.0.1:0', 'localhost:0', '127.0.0.1:0'] });
    expect(new Set(node.amqp).size).toBe(3);
    await (await (await client(node, 0)).createChannel()).assertQueue('q');
    for (const listener of [1, 2])
      await (await (await client(node, listener)).createChannel()).checkQueue('q');
  });

  it('tells every app its version and its overlay addresses, which are seeds for others', async () => {
    const node = await start();
    const { serverProperties } = (await client(node)).connection;
    expect(serverProperties).toMatchObject({
      product: 'RabbitMQ',
      cluster_name: anywhere().name,
      xspace_version: version,
      overlay_addresses: node.overlay,
    });
    expect(node.overlay[0]).toMatch(new RegExp(`^/ip4/127\\.0\\.0\\.1/tcp/\\d+/p2p/${node.peerId}$`));
  });

  it('takes apps into spaces of other nodes, with the other as seed at its start', async () => {
    const alice = await start();
    const bob = await start({ seeds: alice.overlay.join(',') });
    const here = await (await client(alice)).createConfirmChannel();
    const there = await (await client(bob)).createChannel();
    const implementation = { implementation: 'dht' };
    await here.assertExchange('market', 'x-exchangespace', { arguments: implementation });
    const arguments_ = {
      exchangespace: { ...implementation, space: 'market' },
      exchangename: 'bids',
      exchangetype: 'topic',
    };
    await here.assertExchange('here', 'x-exchange', { arguments: arguments_ });
    await there.assertExchange('there', 'x-exchange', { arguments: arguments_ });
    const { queue } = await there.assertQueue('', { exclusive: true });
    await there.bindQueue(queue, 'there', '#');
    here.publish('here', 'copper', Buffer.from('100 t'));
    await here.waitForConfirms();
    await eventually(async () => expect((await there.checkQueue(queue)).messageCount).toBe(1));
    const message = await there.get(queue, { noAck: true });
    expect(message).toMatchObject({ fields: { exchange: 'there', routingKey: 'copper' } });
    expect(alice.status().aliases).toMatchObject([
      {
        virtualHost: '/',
        exchange: 'here',
        implementation: 'dht',
        space: 'market',
        point: {
          name: 'bids',
          state: 'joined',
          published: 1,
          participants: [{ id: bob.peerId, linked: true, interest: 1, sentMessages: 1 }],
        },
      },
    ]);
  });

  it('counts its AMQP traffic', async () => {
    const node = await start();
    const channel = await (await client(node)).createConfirmChannel();
    await channel.assertQueue('q');
    channel.sendToQueue('q', Buffer.from('m'));
    await channel.waitForConfirms();
    expect(node.status()).toEqual({
      connections: 1,
      channels: 1,
      publishedMessages: 1,
      deliveredMessages: 0,
      aliases: [],
    });
  });

  it('is up while none of its seeds is', async () => {
    const node = await start({ seeds: `127.0.0.1:${await takenPort()}` });
    await client(node);
  });

  it('that stops tells its clients, and gives back its ports', async () => {
    const node = await startNode(anywhere(), logger);
    const closed = once(await client(node), 'close');
    await node.stop();
    expect((await closed)[0]).toMatchObject({ code: 320 });
    expect(await isOpen(Number(new URL(node.amqp[0] ?? '').port))).toBe(false);
    expect(await isOpen(overlayPort(node))).toBe(false);
  });
});

describe('a node that cannot listen', () => {
  it('for AMQP apps says where and why, and lets go of what it has got', async () => {
    const [taken, free, overlay] = [await takenPort(), await freePort(), await freePort()];
    const config = anywhere({
      amqpListen: [`127.0.0.1:${free}`, `127.0.0.1:${taken}`],
      overlayListen: [`/ip4/127.0.0.1/tcp/${overlay}`],
    });
    await expect(startNode(config, logger)).rejects.toThrow(
      new RegExp(`^amqp-listen 127\\.0\\.0\\.1:${taken}: .*address already in use`),
    );
    expect(await isOpen(free)).toBe(false);
    expect(await isOpen(overlay)).toBe(false);
  });

  it('for AMQP apps as the host is not known says so', async () => {
    await expect(startNode(anywhere({ amqpListen: ['no-such-host.invalid:5672'] }), logger)).rejects.toThrow(
      /^amqp-listen no-such-host\.invalid:5672: .*no-such-host\.invalid/,
    );
  });

  it('for other nodes says where and why', async () => {
    const taken = await takenPort();
    const overlayListen = ['/ip4/127.0.0.1/tcp/0', `/ip4/127.0.0.1/tcp/${taken}`];
    await expect(startNode(anywhere({ overlayListen }), logger)).rejects.toThrow(
      new RegExp(`/ip4/127\\.0\\.0\\.1/tcp/${taken}.*address already in use`),
    );
  });
});

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const port = portOf(server.address());
  await new Promise((resolve) => server.close(resolve));
  return port;
}
