import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ChannelModel, ConfirmChannel } from 'amqplib';
import { connect } from 'amqplib';
import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { NodeProcess } from '../support/node-process.js';
import { startNode } from '../support/start-node.js';
import { teardown } from '../support/teardown.js';

const MEBIBYTE = 1024 * 1024;
const DISK_BYTES = 160 * MEBIBYTE;
/** Something else that is on the disk, and goes when it is needed. Then there is twice the room: a start writes its files anew. */
const BALLAST_BYTES = 112 * MEBIBYTE;
const BODY_BYTES = 50_000;

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'xspace-disk-'));
  teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A disk of its own, with little room; undefined where this process may not mount one. */
function smallDisk(): string | undefined {
  const folder = temporaryFolder();
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'tmpfs', folder]);
  if (status !== 0) return undefined;
  teardown(() => spawnSync('umount', ['--lazy', folder]));
  writeFileSync(join(folder, 'ballast'), Buffer.alloc(BALLAST_BYTES));
  return folder;
}

const canMount = process.getuid?.() === 0 && smallDisk() !== undefined;

interface App {
  readonly connection: ChannelModel;
  readonly channel: ConfirmChannel;
  /** `blocked low on disk`, `unblocked`, in the order they came. */
  readonly notices: readonly string[];
}

async function openApp(node: NodeProcess): Promise<App> {
  const connection = await connect(node.amqpUrl);
  connection.on('error', () => undefined);
  teardown(() => connection.close().catch(() => undefined));
  const notices: string[] = [];
  connection.on('blocked', (reason) => notices.push(`blocked ${reason}`));
  connection.on('unblocked', () => notices.push('unblocked'));
  const channel = await connection.createConfirmChannel();
  channel.on('error', () => undefined);
  return { connection, channel, notices };
}

/** Publishes numbered messages up to some number of octets; the numbers that are confirmed so far. */
function publish({ channel }: App, bytes: number): { readonly confirmed: number[]; readonly count: number } {
  const confirmed: number[] = [];
  const count = Math.ceil(bytes / BODY_BYTES);
  for (let number = 0; number < count; number++) {
    const body = Buffer.alloc(BODY_BYTES);
    body.writeUInt32BE(number);
    channel.sendToQueue('q', body, { persistent: true }, (error) => {
      if (error === null) confirmed.push(number);
    });
  }
  return { confirmed, count };
}

/** Takes everything that is in the queue. */
async function takeAll({ channel }: App): Promise<number[]> {
  const { messageCount } = await channel.checkQueue('q');
  const numbers: number[] = [];
  await channel.prefetch(50);
  await channel.consume('q', (message) => {
    if (message === null) return;
    numbers.push(message.content.readUInt32BE());
    channel.ack(message);
  });
  await eventually(() => expect(numbers.length).toBe(messageCount), 60_000);
  return numbers;
}

describe.skipIf(!canMount)('a node whose disk is full (needs: root, to mount one)', () => {
  it('holds publishers up, and goes on when there is room, with nothing lost', async () => {
    const disk = smallDisk() ?? '';
    const node = await startNode({ flags: ['--data-dir', join(disk, 'data'), '--disk-limit', '1'] });
    const app = await openApp(node);
    await app.channel.assertQueue('q');
    const { confirmed, count } = publish(app, DISK_BYTES - BALLAST_BYTES + 8 * MEBIBYTE);
    await eventually(() => expect(app.notices).toEqual(['blocked low on disk']), 60_000);
    expect(confirmed.length).toBeLessThan(count);

    rmSync(join(disk, 'ballast'));
    await app.channel.waitForConfirms();
    expect(app.notices.at(-1)).toBe('unblocked');
    expect(confirmed).toEqual(Array.from({ length: count }, (_, number) => number));
    await node.kill();
    const again = await startNode({ flags: ['--data-dir', join(disk, 'data'), '--disk-limit', '1'] });
    expect(await takeAll(await openApp(again))).toEqual(confirmed);
  });

  it('and that is killed then starts again once there is room, with all that was confirmed', async () => {
    const disk = smallDisk() ?? '';
    const flags = ['--data-dir', join(disk, 'data'), '--disk-limit', '1'];
    const node = await startNode({ flags });
    const app = await openApp(node);
    await app.channel.assertQueue('q');
    const { confirmed } = publish(app, 2 * (DISK_BYTES - BALLAST_BYTES));
    await eventually(() => expect(app.notices).toEqual(['blocked low on disk']), 60_000);
    await node.kill();
    const acknowledged = [...confirmed];
    expect(acknowledged.length).toBeGreaterThan(0);

    // There may be room for what a start writes, or not.
    await NodeProcess.start({ flags }).then(
      (early) => early.kill(),
      (error) =>
        expect(error.message).toMatch(/the store in '.*' cannot be opened: .*no space left on device/i),
    );
    rmSync(join(disk, 'ballast'));
    const numbers = await takeAll(await openApp(await startNode({ flags })));
    expect(numbers.slice(0, acknowledged.length)).toEqual(acknowledged);
  });
});

it('a node with less free space than its limit holds publishers up from the start', async () => {
  const flags = ['--data-dir', join(temporaryFolder(), 'data'), '--disk-limit', '1000000GB'];
  const app = await openApp(await startNode({ flags }));
  await app.channel.assertQueue('q');
  publish(app, 10 * BODY_BYTES);
  await eventually(() => expect(app.notices).toEqual(['blocked low on disk']));
});

describe('a data directory', () => {
  async function used(): Promise<string> {
    const dataDir = join(temporaryFolder(), 'data');
    const node = await startNode({ flags: ['--data-dir', dataDir] });
    const app = await openApp(node);
    await app.channel.assertQueue('q');
    publish(app, 10 * BODY_BYTES);
    await app.channel.waitForConfirms();
    await node.stop();
    return dataDir;
  }

  it('is readable by its owner only', async () => {
    const dataDir = await used();
    for (const file of readdirSync(dataDir, { recursive: true, withFileTypes: true })) {
      const { mode } = statSync(join(file.parentPath, file.name));
      expect([file.name, mode & 0o777]).toEqual([file.name, file.isDirectory() ? 0o700 : 0o600]);
    }
    expect(statSync(dataDir).mode & 0o777).toBe(0o700);
  });

  it('that is damaged ends the start with code 1 and a text that says what to do, and is left as it is', async () => {
    const dataDir = await used();
    const log = readdirSync(join(dataDir, 'store')).find((name) => name.endsWith('.log')) ?? '';
    const path = join(dataDir, 'store', log);
    const bytes = readFileSync(path);
    bytes[100] = (bytes[100] ?? 0) ^ 1;
    writeFileSync(path, bytes);
    const starting = NodeProcess.start({ flags: ['--data-dir', dataDir] });
    await expect(starting).rejects.toThrow(
      new RegExp(`xspace: the store in '${dataDir}' is damaged: ${log}: .*Put a copy .* or move it away`),
    );
    await expect(starting).rejects.toHaveProperty(
      'cause.message',
      'it ended with code 1 before it was ready',
    );
    expect(readFileSync(path)).toEqual(bytes);
  });

  it('that a node has is refused to another with code 1, and the first goes on', async () => {
    const dataDir = join(temporaryFolder(), 'data');
    const node = await startNode({ flags: ['--data-dir', dataDir] });
    const starting = NodeProcess.start({ flags: ['--data-dir', dataDir] });
    await expect(starting).rejects.toThrow(/xspace: the store in '.*' is in use: another process has it/);
    const { channel } = await openApp(node);
    await channel.assertQueue('q');
    await node.stop();
    await startNode({ flags: ['--data-dir', dataDir] });
  });

  it('in a folder that is none ends the start with code 1', async () => {
    const file = join(temporaryFolder(), 'file');
    mkdirSync(join(file, '..'), { recursive: true });
    writeFileSync(file, '');
    const starting = NodeProcess.start({ flags: ['--data-dir', join(file, 'data')] });
    await expect(starting).rejects.toThrow(/xspace: the store in '.*' cannot be opened: .*ENOTDIR/);
  });
});
