import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import type { NodeProcess } from '../support/node-process.js';
import { projectRoot } from '../support/node-process.js';
import { startNode, startNodes } from '../support/start-node.js';
import { teardown } from '../support/teardown.js';
import { declareSpace, join, openApp, publish } from './space.js';

/** After so long a silence a member counts as dead, and its connections are given up. */
const DEAD_LIMIT_MS = 40_000;

it('a member that was cut off while the owner deleted the space hears of it when it is back, also where the name was declared anew', async () => {
  const [owner, stays, away] = await startNodes('owner', 'stays', 'away');
  const [owning, staying, absent] = [await openApp(owner), await openApp(stays), await openApp(away)];
  await declareSpace(owning, 'fair');
  for (const app of [owning, staying, absent]) await join(app, 'fair', 'talk', owner);

  away.signal('SIGSTOP');
  const dead = () => owner.logs.some((line) => line.includes(away.peerId) && line.includes('member is dead'));
  await eventually(() => expect(dead()).toBe(true), DEAD_LIMIT_MS);
  await owning.channel.deleteExchange('fair');
  await eventually(async () => {
    const probe = await openApp(stays);
    await expect(probe.channel.checkExchange('talk')).rejects.toMatchObject({ code: 404 });
  });

  // Others are in the new space already when it comes back.
  await declareSpace(owning, 'fair');
  await join(owning, 'fair', 'talk', owner);
  away.signal('SIGCONT');
  await eventually(async () => {
    const probe = await openApp(away);
    await expect(probe.channel.checkExchange('talk')).rejects.toMatchObject({ code: 404 });
  }, DEAD_LIMIT_MS);

  const back = await openApp(away);
  await join(back, 'fair', 'talk', owner);
  await back.channel.bindQueue(back.queue, 'talk', '#');
  publish(owning, 'talk', 'a new time');
  await eventually(() => expect(back.arrived).toEqual(['a new time']));
});

it('a member that was cut off while an administrator deleted a point hears of it when it is back, and the name is free', async () => {
  const dataDir = await mkdtemp(joinPath(tmpdir(), 'xspace-admin-'));
  teardown(() => rm(dataDir, { recursive: true, force: true }));
  const administrator = await startNode({ name: 'administrator', flags: ['--data-dir', dataDir] });
  const [stays, away] = await startNodes('stays', 'away');
  const [declaring, staying, absent] = [
    await openApp(administrator),
    await openApp(stays),
    await openApp(away),
  ];
  // The administrator has no alias of the point.
  await declareSpace(declaring, 'fair');
  for (const app of [staying, absent]) await join(app, 'fair', 'talk', administrator);

  away.signal('SIGSTOP');
  const dead = () => stays.logs.some((line) => line.includes(away.peerId) && line.includes('member is dead'));
  await eventually(() => expect(dead()).toBe(true), DEAD_LIMIT_MS);
  xspace('point', 'delete', '--space', 'fair', '--point', 'talk', '--data-dir', dataDir);
  await eventually(() => expectNoAlias(stays));

  away.signal('SIGCONT');
  await eventually(() => expectNoAlias(away), DEAD_LIMIT_MS);
  expect(JSON.parse(xspace('status', '--data-dir', dataDir)).spaces[0]).toMatchObject({
    space: 'fair',
    points: [],
  });

  const back = await openApp(away);
  await join(back, 'fair', 'talk', administrator);
  const again = await openApp(stays);
  await join(again, 'fair', 'talk', administrator);
  await back.channel.bindQueue(back.queue, 'talk', '#');
  publish(again, 'talk', 'a new time');
  await eventually(() => expect(back.arrived).toEqual(['a new time']));
});

async function expectNoAlias(node: NodeProcess): Promise<void> {
  const { channel } = await openApp(node);
  await expect(channel.checkExchange('talk')).rejects.toMatchObject({ code: 404 });
}

function xspace(...args: string[]): string {
  return execFileSync(process.execPath, [joinPath(projectRoot, 'dist', 'cli.js'), ...args], {
    encoding: 'utf8',
  });
}
