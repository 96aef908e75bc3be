import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ConfirmChannel } from 'amqplib';
import { connect } from 'amqplib';
import { beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import type { NodeProcess } from '../support/node-process.js';
import { projectRoot } from '../support/node-process.js';
import { startNode } from '../support/start-node.js';
import { teardown } from '../support/teardown.js';
import { openChannel, refusalOf } from './amqplib-support.js';

const run = promisify(execFile);
let ownersDir: string;
let guestsDir: string;
let owner: NodeProcess;
let guest: NodeProcess;

async function newDataDir(): Promise<string> {
  const dataDir = await mkdtemp(join(tmpdir(), 'xspace-grants-'));
  teardown(() => rm(dataDir, { recursive: true, force: true }));
  return dataDir;
}

/** A command of a node's administrator; what it prints. */
async function xspace(dataDir: string, ...args: string[]): Promise<string> {
  const { stdout } = await run(process.execPath, [
    join(projectRoot, 'dist/cli.js'),
    ...args,
    '--data-dir',
    dataDir,
  ]);
  return stdout.trim();
}

function createGrant(dataDir: string, to: string, ...more: string[]): Promise<string> {
  const terms = ['--points', 'bids,mail*', '--rights', 'publish,subscribe', '--routing-keys', 'eu.#'];
  return xspace(
    dataDir,
    'grant',
    'create',
    '--space',
    'market',
    '--to',
    to,
    ...terms,
    '--expires',
    '30d',
    ...more,
  );
}

function joins(point: string, grant?: string): (channel: ConfirmChannel) => Promise<unknown> {
  const exchangespace = {
    implementation: 'dht',
    space: 'market',
    seeds: [...owner.overlay],
    ...(grant && { grant }),
  };
  const options = { arguments: { exchangespace, exchangename: point, exchangetype: 'topic' } };
  return (channel) => channel.assertExchange(`my-${point}`, 'x-exchange', options);
}

beforeEach(async () => {
  [ownersDir, guestsDir] = [await newDataDir(), await newDataDir()];
  [owner, guest] = await Promise.all([
    startNode({ name: 'owner', flags: ['--data-dir', ownersDir] }),
    startNode({ name: 'guest', flags: ['--data-dir', guestsDir] }),
  ]);
  const connection = await connect(owner.amqpUrl);
  const channel = await connection.createChannel();
  const space = { implementation: 'dht', access: 'granted' };
  await channel.assertExchange('market', 'x-exchangespace', { durable: true, arguments: space });
  await connection.close();
});

describe('an app of a node that needs a grant', () => {
  it('is told by 403 what is wrong: none, another holder, too narrow, expired, revoked', async () => {
    const refused = async (point: string, grant?: string) => {
      const { scope, code, text } = await refusalOf(guest.amqpUrl, joins(point, grant));
      expect([scope, code]).toEqual(['channel', 403]);
      return text;
    };
    await eventually(async () => expect(await refused('bids')).toContain('no grant for it was given'));
    expect(await refused('bids', await createGrant(ownersDir, owner.peerId))).toContain('this node is');
    const grant = await createGrant(ownersDir, guest.peerId);
    expect(await refused('asks', grant)).toContain("too narrow to take part at point 'asks'");
    await xspace(ownersDir, 'grant', 'revoke', grant);
    expect(await refused('bids', grant)).toContain('was revoked');
    const nonsense = await refusalOf(guest.amqpUrl, joins('bids', 'nonsense'));
    expect(nonsense).toMatchObject({ code: 406 });
    expect(nonsense.text).toContain('exchangespace.grant: no grant');
  });

  it('publishes and binds within it, and is refused beyond it, until it is revoked', async () => {
    const grant = await createGrant(ownersDir, guest.peerId);
    expect(grant).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/);
    const [channel, home] = [await openChannel(guest), await openChannel(owner)];
    await joins('bids', grant)(channel);
    await joins('bids')(home);
    const { queue } = await home.assertQueue('', { exclusive: true });
    await home.bindQueue(queue, 'my-bids', '#');
    const got: string[] = [];
    await home.consume(queue, (message) => void got.push(message?.content.toString() ?? ''), { noAck: true });
    channel.publish('my-bids', 'eu.de', Buffer.from('hello'));
    await channel.waitForConfirms();
    await eventually(() => expect(got).toEqual(['hello']));
    const beyond = await refusalOf(guest.amqpUrl, (other) =>
      other.publish('my-bids', 'us.ny', Buffer.from('x')),
    );
    expect(beyond).toMatchObject({ scope: 'channel', code: 403 });
    expect(beyond.text).toContain("publish with routing key 'us.ny'");
    const bound = await refusalOf(guest.amqpUrl, async (other) => {
      const { queue: mine } = await other.assertQueue('', { exclusive: true });
      await other.bindQueue(mine, 'my-bids', '#');
    });
    expect(bound).toMatchObject({ scope: 'channel', code: 403 });
    const list = JSON.parse(await xspace(ownersDir, 'grant', 'list', '--format', 'json'));
    expect(list).toMatchObject([{ origin: 'issued', state: 'valid', to: guest.peerId, space: 'market' }]);
    await xspace(ownersDir, 'grant', 'revoke', list[0].id);
    await eventually(async () => {
      const after = await refusalOf(guest.amqpUrl, (other) =>
        other.publish('my-bids', 'eu.de', Buffer.from('y')),
      );
      expect(after.text).toContain('was revoked');
    });
    expect(got).toEqual(['hello']);
  });

  it('is shut out when the node of the owner starts again, where that was stopped when it was revoked', async () => {
    const channel = await openChannel(guest);
    const grant = await createGrant(ownersDir, guest.peerId);
    await joins('bids', grant)(channel);
    channel.publish('my-bids', 'eu.de', Buffer.from('hello'));
    await channel.waitForConfirms();
    await owner.stop();
    const another = await createGrant(ownersDir, guest.peerId);
    await xspace(ownersDir, 'grant', 'revoke', grant);
    const list = JSON.parse(await xspace(ownersDir, 'grant', 'list', '--format', 'json'));
    expect(list).toMatchObject([{ state: 'revoked' }, { state: 'valid' }]);
    owner = await startNode({ name: 'owner', flags: ['--data-dir', ownersDir] });
    await eventually(() => expect(guest.logs.join()).toContain('shut out of a granted space'));
    const publishes = (other: ConfirmChannel) => other.publish('my-bids', 'eu.de', Buffer.from('x'));
    expect((await refusalOf(guest.amqpUrl, publishes)).text).toContain('was revoked');
    expect((await refusalOf(guest.amqpUrl, joins('mail', grant))).text).toContain('was revoked');
    await joins('mail', another)(await openChannel(guest));
  });

  it('needs to give none where the node holds one, which it can import while it is stopped', async () => {
    const grant = await createGrant(ownersDir, 'bearer');
    await guest.stop();
    await xspace(guestsDir, 'grant', 'import', grant);
    expect(await xspace(guestsDir, 'grant', 'list')).toContain('held');
    guest = await startNode({ name: 'guest', flags: ['--data-dir', guestsDir] });
    await joins('mail')(await openChannel(guest));
  });
});
