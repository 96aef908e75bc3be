import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import type { NodeProcess } from '../support/node-process.js';
import { projectRoot } from '../support/node-process.js';
import { startNode } from '../support/start-node.js';
import { openChannel, refusalOf } from './amqplib-support.js';

const run = promisify(execFile);
const SPACE = { implementation: 'dht', access: 'granted' };

/** A command of an administrator of the node, from anywhere; what it prints. */
async function xspace({ management }: NodeProcess, ...args: readonly string[]): Promise<string> {
  const command = [join(projectRoot, 'dist/cli.js'), ...args, '--management', management ?? ''];
  const { stdout } = await run(process.execPath, command);
  return stdout;
}

async function digestOf(node: NodeProcess): Promise<unknown> {
  return JSON.parse(await xspace(node, 'status')).spaces[0]?.digest;
}

/** What becomes of a message to the alias. */
async function publishTo(node: NodeProcess) {
  return refusalOf(node.amqpUrl, async (channel) => {
    channel.publish('bids', 'eu.de', Buffer.from('late'));
    await channel.waitForConfirms();
  });
}

it('grants are created, and a point is deleted on all nodes, by the management of nodes that keep nothing', async () => {
  const managed = { managementListen: '127.0.0.1:0' };
  const [owner, guest] = await Promise.all([
    startNode({ name: 'owner', ...managed }),
    startNode({ name: 'guest', ...managed }),
  ]);
  const [home, away] = [await openChannel(owner), await openChannel(guest)];
  await home.assertExchange('market', 'x-exchangespace', { arguments: SPACE });
  const terms = ['--to', guest.peerId, '--points', '*', '--rights', 'publish,subscribe', '--expires', '1h'];
  const grant = (await xspace(owner, 'grant', 'create', '--space', 'market', ...terms)).trim();
  await xspace(guest, 'grant', 'import', grant);

  const exchangespace = { implementation: 'dht', space: 'market', seeds: [...owner.overlay] };
  // The second one keeps them in the space when the first is deleted.
  for (const exchangename of ['bids', 'asks']) {
    const options = { arguments: { exchangespace, exchangename, exchangetype: 'topic' } };
    for (const channel of [home, away]) await channel.assertExchange(exchangename, 'x-exchange', options);
  }
  const { queue } = await home.assertQueue('', { exclusive: true });
  await home.bindQueue(queue, 'bids', '#');
  away.publish('bids', 'eu.de', Buffer.from('hello'));
  await eventually(async () => expect((await home.checkQueue(queue)).messageCount).toBe(1));
  await eventually(async () => expect(await digestOf(guest)).toEqual(await digestOf(owner)));
  const before = await digestOf(owner);

  const deletion = ['point', 'delete', '--space', 'market', '--point', 'bids'];
  const refused = xspace(guest, ...deletion);
  await expect(refused).rejects.toThrow('administer');
  expect(await digestOf(owner)).toEqual(before);
  expect(await xspace(owner, ...deletion)).toBe('');
  for (const node of [owner, guest]) {
    await eventually(async () =>
      expect(await publishTo(node)).toMatchObject({ scope: 'channel', code: 404 }),
    );
  }
  await eventually(async () => expect(await digestOf(guest)).toEqual(await digestOf(owner)));
  expect(await digestOf(owner)).not.toEqual(before);
  await expect(xspace(owner, ...deletion)).rejects.toThrow('bids');
});
