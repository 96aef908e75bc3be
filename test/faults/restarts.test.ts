import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import type { NodeProcess } from '../support/node-process.js';
import { pointArguments } from '../support/space-arguments.js';
import { startNode } from '../support/start-node.js';
import { teardown } from '../support/teardown.js';
import type { App } from './space.js';
import { declareSpace, join, openApp, publish } from './space.js';

const RETURN_LIMIT_MS = 15_000;

/** A node that keeps its data, and can be started again. */
interface KeptNode {
  readonly dataDir: string;
  readonly process: NodeProcess;
}

async function startKept(name: string): Promise<KeptNode> {
  const dataDir = await mkdtemp(joinPath(tmpdir(), 'xspace-restart-'));
  teardown(() => rm(dataDir, { recursive: true, force: true }));
  return { dataDir, process: await startNode({ name, flags: ['--data-dir', dataDir] }) };
}

function startAgain({ dataDir, process }: KeptNode, overlay: 'same address' | 'other address') {
  const overlayListen = process.overlay[0]?.replace(/\/p2p\/.*/, '') ?? '';
  return startNode({
    name: process.name,
    flags: ['--data-dir', dataDir],
    ...(overlay === 'same address' && { overlayListen }),
  });
}

/** A durable alias of the topic point `talk`, and a durable queue that gets everything from it. */
async function joinForGood({ channel }: App, seed: NodeProcess): Promise<void> {
  const args = pointArguments('reunion', seed, 'talk', 'topic');
  await channel.assertExchange('talk', 'x-exchange', { durable: true, arguments: args });
  await channel.assertQueue('inbox', { durable: true });
  await channel.bindQueue('inbox', 'talk', '#');
}

/** LevelDB has the file open, and what it wrote last is in it as it was written. */
async function hasWrittenDown({ dataDir }: KeptNode, member: NodeProcess): Promise<boolean> {
  const folder = joinPath(dataDir, 'overlay');
  const logs = (await readdir(folder)).filter((file) => file.endsWith('.log'));
  const texts = await Promise.all(logs.map((file) => readFile(joinPath(folder, file), 'latin1')));
  return texts.some((text) => text.includes(`{"peer":"${member.peerId}"`));
}

/** Publishes on one node until the durable queue of another one has it. */
async function eventuallyReaches(from: App, to: App, text: string, startedMs: number): Promise<void> {
  const leftMs = RETURN_LIMIT_MS - (performance.now() - startedMs);
  await eventually(async () => {
    publish(from, 'talk', text);
    await from.channel.waitForConfirms();
    for (let got = await to.channel.get('inbox'); got !== false; got = await to.channel.get('inbox'))
      if (got.content.toString() === text) return true;
    return false;
  }, leftMs);
}

function report(what: string, startedMs: number): void {
  console.log(`${what}: ${Math.round(performance.now() - startedMs)} ms from its start to a message through`);
}

it('a node that is started again with every seed dead finds its space through a member that it knew', async () => {
  const [founder, member] = [await startNode({ name: 'founder' }), await startNode({ name: 'member' })];
  const killed = await startKept('killed');
  await declareSpace(await openApp(founder), 'reunion');
  const staying = await openApp(member);
  await join(staying, 'reunion', 'talk', founder);
  await staying.channel.bindQueue(staying.queue, 'talk', '#');
  await joinForGood(await openApp(killed.process), founder);
  await eventually(() => hasWrittenDown(killed, member));

  await Promise.all([founder.kill(), killed.process.kill()]);
  const startedMs = performance.now();
  // Where nobody looks for it.
  const again = await openApp(await startAgain(killed, 'other address'));
  publish(again, 'talk', 'local');
  await again.channel.waitForConfirms();
  expect(await again.channel.get('inbox')).toMatchObject({ content: Buffer.from('local') });

  await eventuallyReaches(staying, again, 'from the other', startedMs);
  report('seeds dead', startedMs);
  publish(again, 'talk', 'to the other');
  await eventually(() => expect(staying.arrived).toContain('to the other'));
});

describe.each(['stopped', 'killed'])('when all nodes of a space were %s', (how) => {
  it('two that come back, and did not found it, find each other', async () => {
    const founder = await startNode({ name: 'founder' });
    const [one, other] = [await startKept('one'), await startKept('other')];
    await declareSpace(await openApp(founder), 'reunion');
    for (const { process } of [one, other]) await joinForGood(await openApp(process), founder);
    await eventually(() => hasWrittenDown(one, other.process));
    await eventually(() => hasWrittenDown(other, one.process));
    for (const node of [founder, one.process, other.process])
      await (how === 'stopped' ? node.stop() : node.kill());

    const startedMs = performance.now();
    const [first, second] = await Promise.all(
      [one, other].map(async (node) => openApp(await startAgain(node, 'same address'))),
    );
    if (first === undefined || second === undefined) throw new Error('two nodes were started');
    await eventuallyReaches(first, second, 'there', startedMs);
    await eventuallyReaches(second, first, 'and back', startedMs);
    report(`all ${how}`, startedMs);
  });
});

it('an overlay store that is damaged ends the start with what to do, and without it the node has all its messages', async () => {
  const node = await startKept('damaged');
  const { channel } = await openApp(node.process);
  await channel.assertQueue('kept', { durable: true });
  channel.sendToQueue('kept', Buffer.from('message'), { persistent: true });
  await channel.waitForConfirms();
  await node.process.stop();
  const folder = joinPath(node.dataDir, 'overlay');
  await rm(joinPath(folder, 'CURRENT'));

  await expect(startAgain(node, 'same address')).rejects.toThrow(
    new RegExp(`overlay store '${folder}' cannot be opened: CURRENT.*move the folder away`),
  );
  await rm(folder, { recursive: true });
  const again = await openApp(await startAgain(node, 'same address'));
  expect(await again.channel.get('kept')).toMatchObject({ content: Buffer.from('message') });
});
