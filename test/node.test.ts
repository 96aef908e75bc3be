import { once } from 'node:events';
import { connect as connectSocket, createServer } from 'node:net';
import type { ChannelModel } from 'amqplib';
import { connect } from 'amqplib';
import { describe, expect, it, vi } from 'vitest';
import type { NodeConfig } from '../src/config.js';
import { parseConfig } from '../src/config.js';
import { createLogger } from '../src/logger.js';
import { ManagementServer } from '../src/management/index.js';
import type { Node } from '../src/node.js';
import { startNode } from '../src/node.js';
import type { RawConfig } from '../src/settings.js';
import { version } from '../src/version.js';
import { LogStub } from './dht-space/log-stub.js';
import { eventually } from './support/eventually.js';
import { teardown } from './support/teardown.js';

const logger = createLogger({ level: 'silent', format: 'json', name: 'test' });

const ANYWHERE: RawConfig = {
  amqpListen: ['127.0.0.1:0'],
  overlayListen: ['/ip4/127.0.0.1/tcp/0'],
  managementListen: 'off',
};

function anywhere(raw: RawConfig = {}): NodeConfig {
  const nowhere: RawConfig = raw.dataDir === undefined ? { inMemory: 'true' } : {};
  return parseConfig({ ...ANYWHERE, ...nowhere, ...raw });
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
    const space = {
      space: 'market',
      owner: alice.peerId,
      members: [alice.peerId, bob.peerId].sort(),
      linked: 1,
    };
    const points = [{ name: 'bids', type: 'topic', participants: 2 }];
    for (const { status } of [alice, bob]) expect(status().spaces).toMatchObject([{ ...space, points }]);
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
      overlay: [{ address: node.overlay[0], reached: 'assumed' }],
      spaces: [],
      refusals: {},
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

describe('the management of a node', () => {
  const json = { 'content-type': 'application/json' };
  const authorization = `Basic ${btoa('guest:guest')}`;

  it('takes commands and tells of the node, whether it keeps anything or not', async () => {
    const node = await start({ managementListen: '127.0.0.1:0' });
    const answer = await fetch(`${node.management}/api/commands`, {
      method: 'POST',
      headers: { ...json, authorization },
      body: JSON.stringify({ command: 'vhost list' }),
    });
    expect(await answer.json()).toEqual({ result: [{ name: '/' }] });
    const status = await fetch(`${node.management}/api/status`, { headers: { authorization } });
    const { name } = anywhere();
    expect(await status.json()).toEqual({ name, version, peerId: node.peerId, ...node.status() });
  });

  it('listens on any free port where nobody asked for one and the usual one is taken', async () => {
    const log = new LogStub();
    const nodes: Node[] = [];
    for (let count = 0; count < 2; count++) {
      const { managementListen: _, ...settings } = ANYWHERE;
      const node = await startNode(parseConfig({ ...settings, inMemory: 'true' }), log);
      teardown(() => node.stop());
      nodes.push(node);
    }
    const [one, other] = nodes.map(({ management = '' }) => new URL(management));
    expect([one?.hostname, other?.hostname]).toEqual(['127.0.0.1', '127.0.0.1']);
    expect(other?.port).not.toBe(one?.port);
    expect(log.about('on another port than 15673').at(-1)?.fields).toEqual({
      management: nodes[1]?.management,
    });
  });

  it('is not what keeps a node from starting where nobody asked for it', async () => {
    const log = new LogStub();
    const failing = vi.spyOn(ManagementServer, 'listen').mockRejectedValue(new Error('no such address'));
    teardown(() => failing.mockRestore());
    const { managementListen: _, ...settings } = ANYWHERE;
    const node = await startNode(parseConfig({ ...settings, inMemory: 'true' }), log);
    teardown(() => node.stop());
    expect(node.management).toBeUndefined();
    expect(log.about('there is no management')).toMatchObject([{ level: 'warn' }]);
    await expect(startNode(anywhere({ managementListen: '127.0.0.1:0' }), log)).rejects.toThrow(
      'management-listen 127.0.0.1:0: no such address',
    );
  });

  it('is warned of where other machines reach it', async () => {
    const log = new LogStub();
    for (const managementListen of ['127.0.0.1:0', '0.0.0.0:0']) {
      const node = await startNode(anywhere({ managementListen }), log);
      teardown(() => node.stop());
    }
    expect(log.about('open to other machines')).toMatchObject([
      { level: 'warn', fields: { management: expect.stringMatching(/^http:\/\/0\.0\.0\.0:/) } },
    ]);
  });

  it('ends with its node', async () => {
    const node = await startNode(anywhere({ managementListen: '127.0.0.1:0' }), logger);
    await node.stop();
    expect(await isOpen(Number(new URL(node.management ?? '').port))).toBe(false);
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
