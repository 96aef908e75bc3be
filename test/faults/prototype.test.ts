import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { promisify } from 'node:util';
import { beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import type { NodeProcess } from '../support/node-process.js';
import { projectRoot } from '../support/node-process.js';
import { pointArguments } from '../support/space-arguments.js';
import { startNode, startNodes } from '../support/start-node.js';
import { teardown } from '../support/teardown.js';
import type { App } from './space.js';
import { declareSpace, join, openApp, publish } from './space.js';
import { SpyMember } from './spy-member.js';

const run = promisify(execFile);

const REJOIN_LIMIT_MS = 15_000;
/** Half-open connections are found by then. */
const SILENCE_LIMIT_MS = 15_000;
/** Of a lease, and what it takes to hear of its end. */
const LEASE_LIMIT_MS = 35_000;

let dataDir: string;

beforeEach(async () => {
  dataDir = await mkdtemp(joinPath(tmpdir(), 'xspace-tracker-'));
  teardown(() => rm(dataDir, { recursive: true, force: true }));
});

/** The node that holds the space; where it was before, if it was. */
function startTracker(before?: NodeProcess, flags: readonly string[] = ['--data-dir', dataDir]) {
  const address = before && { amqpListen: `${before.host}:${before.port}` };
  return startNode({ name: 'tracker', flags, ...address });
}

/** Two apps on two nodes, each of which gets what the other publishes. */
async function joinedPair(tracker: NodeProcess, space: string): Promise<[App, App, NodeProcess]> {
  const [left, right] = await startNodes('left', 'right');
  const apps = [await openApp(left), await openApp(right)] as const;
  for (const app of apps) {
    await join(app, space, 'talk', tracker, 'prototype');
    await app.channel.bindQueue(app.queue, 'talk', '#');
  }
  return [...apps, left];
}

/** Publishes until something of it arrives. */
async function expectTraffic(from: App, to: App, limitMs = REJOIN_LIMIT_MS): Promise<void> {
  const before = to.arrived.length;
  await eventually(() => {
    publish(from, 'talk', 'anybody there?');
    expect(to.arrived.length).toBeGreaterThan(before);
  }, limitMs);
}

describe('when the tracker is killed', () => {
  it('links carry on without losing, doubling or reordering a message, and joining is refused', async () => {
    const tracker = await startTracker();
    await declareSpace(await openApp(tracker), 'market', 'prototype');
    const [left, right] = await joinedPair(tracker, 'market');
    const numbers = Array.from({ length: 2_000 }, (_, index) => String(index));

    publish(left, 'talk', ...numbers.slice(0, 1_000));
    await tracker.kill();
    publish(left, 'talk', ...numbers.slice(1_000));

    await eventually(() => expect(right.arrived).toHaveLength(numbers.length));
    expect(right.arrived).toEqual(numbers);
    const newcomer = await openApp(await startNode({ name: 'newcomer' }));
    const refusal = await join(newcomer, 'market', 'talk', tracker, 'prototype').catch((error) => error);
    expect(refusal).toMatchObject({ code: 404 });
    expect(refusal.message).toContain(`${tracker.host}:${tracker.port}`);
  });

  it('and started again on its data directory, members are there again and newcomers join within 15 s', async () => {
    const tracker = await startTracker();
    await declareSpace(await openApp(tracker), 'market', 'prototype', true);
    const [left, right] = await joinedPair(tracker, 'market');
    await tracker.kill();

    const restartedAt = performance.now();
    const again = await startTracker(tracker);
    const newcomer = await openApp(await startNode({ name: 'newcomer' }));
    await join(newcomer, 'market', 'talk', again, 'prototype');
    await newcomer.channel.bindQueue(newcomer.queue, 'talk', '#');
    for (const app of [left, right]) await expectTraffic(app, newcomer);
    await expectTraffic(newcomer, left);
    expect(performance.now() - restartedAt).toBeLessThan(REJOIN_LIMIT_MS);

    // What the tracker knew: the point is of type topic, whoever says otherwise.
    const args = pointArguments('market', again, 'talk', 'direct', 'prototype');
    const conflict = newcomer.channel.assertExchange('other', 'x-exchange', {
      durable: false,
      arguments: args,
    });
    await expect(conflict).rejects.toMatchObject({ code: 406 });
  });

  it('and started again with nothing, members register by themselves once the space is declared', async () => {
    const tracker = await startTracker(undefined, []);
    await declareSpace(await openApp(tracker), 'market', 'prototype');
    const [left, right] = await joinedPair(tracker, 'market');
    await tracker.kill();

    const restartedAt = performance.now();
    const again = await startTracker(tracker, []);
    await declareSpace(await openApp(again), 'market', 'prototype');
    const newcomer = await openApp(await startNode({ name: 'newcomer' }));
    await join(newcomer, 'market', 'talk', again, 'prototype');
    await newcomer.channel.bindQueue(newcomer.queue, 'talk', '#');
    for (const app of [left, right]) await expectTraffic(app, newcomer);
    await expectTraffic(left, right);
    expect(performance.now() - restartedAt).toBeLessThan(REJOIN_LIMIT_MS);
  });
});

describe('a member that is killed', () => {
  it('harms nobody, and is linked with right interest within 15 s when it is back', async () => {
    const [tracker, dies] = await startNodes('tracker', 'dies');
    await declareSpace(await openApp(tracker), 'market', 'prototype');
    const [left, right] = await joinedPair(tracker, 'market');
    const dying = await openApp(dies);
    await join(dying, 'market', 'talk', tracker, 'prototype');
    await dying.channel.bindQueue(dying.queue, 'talk', 'before');
    publish(left, 'talk', 'before');
    await eventually(() => expect(dying.arrived).toEqual(['before']));

    await dies.kill();
    const numbers = Array.from({ length: 1_000 }, (_, index) => String(index));
    publish(left, 'talk', ...numbers);
    await eventually(() => expect(right.arrived).toEqual(['before', ...numbers]), 5_000);

    const restartedAt = performance.now();
    const again = await openApp(await startNode({ name: 'dies', amqpListen: `${dies.host}:${dies.port}` }));
    await join(again, 'market', 'talk', tracker, 'prototype');
    await again.channel.bindQueue(again.queue, 'talk', 'after');
    await again.channel.bindQueue(again.queue, 'talk', 'anybody there?');
    publish(left, 'talk', 'before', 'after');
    await expectTraffic(right, again);
    await expectTraffic(again, left);
    expect(performance.now() - restartedAt).toBeLessThan(REJOIN_LIMIT_MS);
    expect(again.arrived.filter((text) => text !== 'anybody there?')).toEqual(['after']);
  });

  it('and one that hangs hold nobody up, are dropped after their lease, and one that goes on is linked again', async () => {
    const [tracker, hangs] = await startNodes('tracker', 'hangs');
    await declareSpace(await openApp(tracker), 'market', 'prototype');
    const [left, right, leftNode] = await joinedPair(tracker, 'market');
    const hanging = await openApp(hangs);
    await join(hanging, 'market', 'talk', tracker, 'prototype');
    await hanging.channel.bindQueue(hanging.queue, 'talk', '#');

    hangs.signal('SIGSTOP');
    const stoppedAt = performance.now();
    const numbers = Array.from({ length: 1_000 }, (_, index) => String(index));
    publish(left, 'talk', ...numbers);
    await eventually(() => expect(right.arrived).toEqual(numbers), 5_000);
    const gone = () => leftNode.logs.some((line) => line.includes('its lease has run out'));
    await eventually(() => expect(gone()).toBe(true), LEASE_LIMIT_MS);
    expect(performance.now() - stoppedAt).toBeGreaterThan(SILENCE_LIMIT_MS);

    hangs.signal('SIGCONT');
    const resumedAt = performance.now();
    await expectTraffic(right, hanging);
    await expectTraffic(left, hanging);
    expect(performance.now() - resumedAt).toBeLessThan(REJOIN_LIMIT_MS);
  });
});

describe('a tracker whose host is silent', () => {
  it('is told to whoever joins, with host and port, within 10 s', async () => {
    const silent = createServer();
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    teardown(() => silent.close());
    const { port } = silent.address() as AddressInfo;
    const app = await openApp(await startNode({ name: 'asks' }));
    const exchangespace = { implementation: 'prototype', space: 'market', host: '127.0.0.1', port };
    const args = { exchangespace, exchangename: 'talk', exchangetype: 'topic' };
    const startedAt = performance.now();
    const refusal = await app.channel
      .assertExchange('talk', 'x-exchange', { durable: false, arguments: args })
      .catch((error) => error);
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    expect(refusal).toMatchObject({ code: 404 });
    expect(refusal.message).toMatch(new RegExp(`market.*127\\.0\\.0\\.1:${port}.*no answer`));
  });
});

describe('a member that has left', () => {
  it('is not let in at the others with the password that it had, and they tell their tracker another key', async () => {
    const [tracker, stays] = await startNodes('tracker', 'stays');
    await declareSpace(await openApp(tracker), 'market', 'prototype');
    const staying = await openApp(stays);
    await join(staying, 'market', 'talk', tracker, 'prototype');
    const [leaver, watcher] = [await SpyMember.connect(tracker), await SpyMember.connect(tracker)];
    const record = await leaver.join('talk');
    const watched = await watcher.join('talk');
    expect(record.member).toBe(watched.member);
    await leaver.logIn(record);

    await leaver.leave();
    // The others hear of it by themselves: who logs in just then is cut off in the middle of it.
    await isRefused(leaver, record);
    await watcher.logIn(watched);
    // With its next renewal.
    await eventually(() => expect(watcher.passwords).toHaveLength(1), SILENCE_LIMIT_MS);
    expect(watcher.passwords[0]).not.toBe(watched.password);
    await watcher.logIn({ ...watched, password: watcher.passwords[0] ?? '' });
    await isRefused(watcher, watched);
    await isRefused(leaver, record);
  });

  async function isRefused(member: SpyMember, record: Parameters<SpyMember['logIn']>[0]): Promise<void> {
    await eventually(() => expect(member.logIn(record)).rejects.toThrow(/ACCESS_REFUSED/));
  }
});

describe('a user whom the tracker does not permit any more', () => {
  it('has no links when the lease is over, and others have', async () => {
    const tracker = await startTracker();
    await declareSpace(await openApp(tracker), 'market', 'prototype');
    const xspace = (...args: string[]) =>
      run(process.execPath, [joinPath(projectRoot, 'dist/cli.js'), ...args, '--data-dir', dataDir]);
    await xspace('user', 'add', 'bob', '--password', '808');
    const permit = (read: string) =>
      xspace(
        'permission',
        'set',
        'bob',
        '--vhost',
        '/',
        '--configure',
        '^$',
        '--write',
        '^market$',
        '--read',
        read,
      );
    await permit('^market$');
    const [left, right] = await joinedPair(tracker, 'market');
    const bob = await openApp(await startNode({ name: 'bob' }));
    const { exchangespace, ...point } = pointArguments('market', tracker, 'talk', 'topic', 'prototype');
    const asBob = { ...(exchangespace as object), username: 'bob', password: '808' };
    const args = { ...point, exchangespace: asBob };
    await bob.channel.assertExchange('talk', 'x-exchange', { durable: false, arguments: args });
    await bob.channel.bindQueue(bob.queue, 'talk', '#');
    await expectTraffic(left, bob);
    await expectTraffic(bob, left);

    await permit('^$');
    let round = 0;
    await eventually(async () => {
      round += 1;
      publish(bob, 'talk', `from bob ${round}`);
      publish(left, 'talk', `to bob ${round}`);
      publish(left, 'talk', `end ${round}`);
      await eventually(() => expect(right.arrived).toContain(`end ${round}`));
      await bob.channel.waitForConfirms();
      expect(left.arrived).not.toContain(`from bob ${round}`);
      expect(bob.arrived).not.toContain(`to bob ${round}`);
    }, LEASE_LIMIT_MS);
    await expectTraffic(left, right);

    await permit('^market$');
    await expectTraffic(left, bob);
    await expectTraffic(bob, left);
  });
});
