import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import type { ConfirmChannel } from 'amqplib';
import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import type { NodeProcess } from '../support/node-process.js';
import { pointArguments, spaceArguments } from '../support/space-arguments.js';
import { startNode } from '../support/start-node.js';
import { teardown } from '../support/teardown.js';
import { openApp } from './space.js';

/** Less than the time limit of a join, which is what it takes where somebody is waited for in vain. */
const REJOIN_LIMIT_MS = 8_000;

async function newDataDir(): Promise<string> {
  const folder = await mkdtemp(joinPath(tmpdir(), 'xspace-durable-'));
  teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** The node of this data directory, at the addresses where it was before. */
async function startAgain(dataDir: string, before?: NodeProcess): Promise<NodeProcess> {
  const addresses = before && {
    amqpListen: `${before.host}:${before.port}`,
    overlayListen: before.overlay[0]?.replace(/\/p2p\/.*/, '') ?? '',
  };
  return startNode({ name: 'durable', flags: ['--data-dir', dataDir], ...addresses });
}

/** Declares an alias of the topic point `talk`, and a queue bound to it, both durable. */
async function declareDurable(channel: ConfirmChannel, seed: NodeProcess): Promise<void> {
  const args = pointArguments('reunion', seed, 'talk', 'topic');
  await channel.assertExchange('talk', 'x-exchange', { durable: true, arguments: args });
  await channel.assertQueue('inbox', { durable: true });
  await channel.bindQueue('inbox', 'talk', '#');
}

async function bodiesIn(channel: ConfirmChannel, queue: string): Promise<string[]> {
  const bodies: string[] = [];
  for (let got = await channel.get(queue); got !== false; got = await channel.get(queue)) {
    bodies.push(got.content.toString());
  }
  return bodies;
}

describe('a killed node with durable aliases, started again on its data directory', () => {
  it('is in the space again without any app, and its durable queue gets what others publish', async () => {
    const dataDir = await newDataDir();
    const [other, killed] = [await startNode({ name: 'other' }), await startAgain(dataDir)];
    const app = await openApp(other);
    await app.channel.assertExchange('reunion', 'x-exchangespace', { arguments: spaceArguments() });
    await app.channel.assertExchange('talk', 'x-exchange', {
      arguments: pointArguments('reunion', other, 'talk', 'topic'),
    });
    await declareDurable((await openApp(killed)).channel, other);
    app.channel.publish('talk', 'a', Buffer.from('before'), { persistent: true });
    const first = (await openApp(killed)).channel;
    await eventually(async () => expect((await first.checkQueue('inbox')).messageCount).toBe(1));
    await first.close();

    await killed.kill();
    const again = await startAgain(dataDir, killed);
    expect(again.peerId).toBe(killed.peerId);
    const channel = (await openApp(again)).channel;
    channel.publish('talk', 'b', Buffer.from('local'), { persistent: true });
    await channel.waitForConfirms();
    // The other node tells by and by whom it is linked with; each of these is lost or arrives once.
    let sent = 0;
    await eventually(async () => {
      app.channel.publish('talk', 'c', Buffer.from(`after ${sent++}`));
      await app.channel.waitForConfirms();
      expect((await channel.checkQueue('inbox')).messageCount).toBeGreaterThan(2);
    }, REJOIN_LIMIT_MS);
    const bodies = await bodiesIn(channel, 'inbox');
    expect(bodies.slice(0, 2)).toEqual(['before', 'local']);
    expect(bodies.slice(2).every((body) => body.startsWith('after'))).toBe(true);
  });

  it('is still the owner of its space, which it declares again by itself', async () => {
    const dataDir = await newDataDir();
    const [owner, other] = [await startAgain(dataDir), await startNode({ name: 'other' })];
    const { channel } = await openApp(owner);
    await channel.assertExchange('reunion', 'x-exchangespace', {
      durable: true,
      arguments: spaceArguments(),
    });
    await declareDurable(channel, owner);
    const app = await openApp(other);
    const args = pointArguments('reunion', owner, 'talk', 'topic');
    await app.channel.assertExchange('talk', 'x-exchange', { arguments: args });
    await app.channel.bindQueue(app.queue, 'talk', '#');

    await owner.kill();
    const again = await startAgain(dataDir, owner);
    const returned = await openApp(again);
    await returned.channel.assertExchange('reunion', 'x-exchangespace', {
      durable: true,
      arguments: spaceArguments(),
    });
    let sent = 0;
    await eventually(() => {
      returned.channel.publish('talk', 'a', Buffer.from(`again ${sent++}`));
      expect(app.arrived.length).toBeGreaterThan(0);
    }, REJOIN_LIMIT_MS);
  });

  it('works for its own apps while nobody else is up', async () => {
    const dataDir = await newDataDir();
    const [other, killed] = [await startNode({ name: 'other' }), await startAgain(dataDir)];
    const app = await openApp(other);
    await app.channel.assertExchange('reunion', 'x-exchangespace', { arguments: spaceArguments() });
    await declareDurable((await openApp(killed)).channel, other);
    await Promise.all([other.kill(), killed.kill()]);

    const { channel } = await openApp(await startAgain(dataDir, killed));
    channel.publish('talk', 'a', Buffer.from('alone'));
    await channel.waitForConfirms();
    expect(await bodiesIn(channel, 'inbox')).toEqual(['alone']);
    await channel.deleteExchange('talk');
  });
});
