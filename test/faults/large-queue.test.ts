import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ConfirmChannel } from 'amqplib';
import { connect } from 'amqplib';
import { expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import type { NodeProcess } from '../support/node-process.js';
import { startNode } from '../support/start-node.js';
import { teardown } from '../support/teardown.js';

const MEBIBYTE = 1024 * 1024;
const MEMORY_LIMIT_MIB = 32;
/** Beside messages: the program, its libraries, the buffers of database and sockets, garbage. */
const BASE_BYTES = 260 * MEBIBYTE;
const MESSAGES = 40_000;
/** Every fourth is transient: it has to leave memory all the same. */
const TRANSIENT_EVERY = 4;
const SIZES = [500, 20_000];
const WINDOW = 500;

async function openChannel(node: NodeProcess, notices: string[]): Promise<ConfirmChannel> {
  const connection = await connect(node.amqpUrl);
  connection.on('error', () => undefined);
  connection.on('blocked', (reason) => notices.push(reason));
  teardown(() => connection.close().catch(() => undefined));
  return connection.createConfirmChannel();
}

async function publishAll(channel: ConfirmChannel): Promise<void> {
  for (let number = 0; number < MESSAGES; number++) {
    const body = Buffer.alloc(SIZES[number % SIZES.length] ?? 0);
    body.writeUInt32BE(number);
    channel.sendToQueue('q', body, { persistent: number % TRANSIENT_EVERY !== 0 });
    if (number % WINDOW === WINDOW - 1) await channel.waitForConfirms();
  }
  await channel.waitForConfirms();
}

/** Takes as many messages as there are; their numbers. */
async function takeAll(channel: ConfirmChannel): Promise<number[]> {
  const { messageCount } = await channel.checkQueue('q');
  const numbers: number[] = [];
  await channel.prefetch(300);
  await channel.consume('q', (message) => {
    if (message === null) return;
    numbers.push(message.content.readUInt32BE());
    channel.ack(message);
  });
  await eventually(() => expect(numbers.length).toBe(messageCount), 60_000);
  return numbers;
}

it('a durable queue may be many times larger than the memory limit, before a restart and after', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'xspace-large-'));
  teardown(() => rmSync(folder, { recursive: true, force: true }));
  const flags = ['--data-dir', join(folder, 'data'), '--memory-limit', `${MEMORY_LIMIT_MIB}MiB`];
  const all = Array.from({ length: MESSAGES }, (_, number) => number);
  const notices: string[] = [];

  const node = await startNode({ flags });
  const channel = await openChannel(node, notices);
  await channel.assertQueue('q');
  await publishAll(channel);
  console.log('rss', node.rssBytes() / MEBIBYTE);
  expect(node.rssBytes()).toBeLessThan(BASE_BYTES + MEMORY_LIMIT_MIB * MEBIBYTE);
  await node.kill();

  const again = await startNode({ flags });
  const consuming = await openChannel(again, notices);
  console.log('rss', again.rssBytes() / MEBIBYTE);
  expect(await takeAll(consuming)).toEqual(all.filter((number) => number % TRANSIENT_EVERY !== 0));
  console.log('rss', again.rssBytes() / MEBIBYTE);
  await (consuming as never as { connection: { close(): Promise<void> } }).connection.close();

  const publishing = await openChannel(again, notices);
  await publishAll(publishing);
  expect(await takeAll(publishing)).toEqual(all);
  console.log('rss', again.rssBytes() / MEBIBYTE);
  expect(again.rssBytes()).toBeLessThan(BASE_BYTES + MEMORY_LIMIT_MIB * MEBIBYTE);
  // Nobody was held up for it.
  expect(notices).toEqual([]);
}, 240_000);
