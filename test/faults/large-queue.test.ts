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
/** Program, libraries and garbage, the database's buffers and the tables it has open: all but what a queue would need. */
const RSS_LIMIT_BYTES = 450 * MEBIBYTE;
/** With these sizes: more than 580 MiB. */
const MESSAGES = 60_000;
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
  expect(node.rssBytes()).toBeLessThan(RSS_LIMIT_BYTES);
  await node.kill();

  const again = await startNode({ flags });
  const consuming = await openChannel(again, notices);
  expect(await takeAll(consuming)).toEqual(all.filter((number) => number % TRANSIENT_EVERY !== 0));
  await consuming.close();

  const publishing = await openChannel(again, notices);
  await publishAll(publishing);
  expect(await takeAll(publishing)).toEqual(all);
  expect(again.rssBytes()).toBeLessThan(RSS_LIMIT_BYTES);
  // Nobody was held up for it.
  expect(notices).toEqual([]);
}, 240_000);
