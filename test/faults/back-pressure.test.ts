import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join as joinPath } from 'node:path';
import type { ConfirmChannel } from 'amqplib';
import { connect } from 'amqplib';
import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import type { NodeProcess } from '../support/node-process.js';
import { projectRoot } from '../support/node-process.js';
import { startNode } from '../support/start-node.js';
import { teardown } from '../support/teardown.js';
import { declareSpace, join, openApp } from './space.js';

const MIB = 1024 * 1024;
const BODY = Buffer.alloc(100_000, 'x');
/** 1 GB in all. */
const MESSAGES = 10_000;
const MEMORY_LIMIT_MIB = 200;
/** The limit, an outbox of 64 MiB, and the process itself with what its collector has not got to yet. */
const MAX_RSS_BYTES = (MEMORY_LIMIT_MIB + 64 + 400) * MIB;
const PATIENCE_MS = 90_000;

/** Publishes 1 GB as fast as the node takes it. Resolves with how long that took, in ms. */
async function offer(channel: ConfirmChannel, exchange: string): Promise<number> {
  const startMs = performance.now();
  for (let sequence = 0; sequence < MESSAGES; sequence++) {
    BODY.writeUInt32BE(sequence, 0);
    const goesOn = channel.publish(exchange, 'all', Buffer.from(BODY));
    if (!goesOn) await once(channel, 'drain');
  }
  await channel.waitForConfirms();
  return performance.now() - startMs;
}

async function startConsumer(
  node: NodeProcess,
  queue: string,
  mode: 'ack' | 'no-ack',
): Promise<ChildProcess> {
  const script = joinPath(projectRoot, 'test', 'faults', 'slow-consumer.mjs');
  const child = spawn(process.execPath, [script, node.amqpUrl, queue, mode], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  teardown(() => child.kill('SIGKILL'));
  await once(child.stdout as NodeJS.ReadableStream, 'data');
  return child;
}

/** Three nodes with one point: one publishes, one consumes well, one has little memory and a consumer that does not. */
async function setUp(mode: 'ack' | 'no-ack') {
  const [source, quick, slow] = await Promise.all([
    startNode({ name: 'source' }),
    startNode({ name: 'quick' }),
    startNode({ name: 'slow', flags: ['--memory-limit', `${MEMORY_LIMIT_MIB}MiB`] }),
  ]);
  const [sourceApp, quickApp, slowApp] = [await openApp(source), await openApp(quick), await openApp(slow)];
  await declareSpace(sourceApp, 'plenty');
  for (const app of [sourceApp, quickApp, slowApp]) await join(app, 'plenty', 'news', source);

  const sequences: number[] = [];
  const { queue } = await quickApp.channel.assertQueue('', { exclusive: true });
  await quickApp.channel.bindQueue(queue, 'news', '#');
  await quickApp.channel.consume(
    queue,
    (message) => message && sequences.push(message.content.readUInt32BE(0)),
    {
      noAck: true,
    },
  );
  await slowApp.channel.assertQueue('slow', { durable: false });
  await slowApp.channel.bindQueue('slow', 'news', '#');
  const consumer = await startConsumer(slow, 'slow', mode);
  return { source, quick, slow, sourceApp, slowApp, sequences, consumer };
}

const everything = Array.from({ length: MESSAGES }, (_, sequence) => sequence);

describe.each([
  ['is stopped by SIGSTOP', 'no-ack'],
  ['never acknowledges', 'ack'],
] as const)('1 GB offered while a consumer on another node %s', (_, mode) => {
  it('is slowed down, then flows on without that participant; nobody else loses anything', async () => {
    const { source, quick, slow, sourceApp, slowApp, sequences, consumer } = await setUp(mode);
    if (mode === 'no-ack') consumer.kill('SIGSTOP');
    const publisher = await connect(source.amqpUrl);
    teardown(() => publisher.close());

    const tookMs = await offer(await publisher.createConfirmChannel(), 'news');

    // It waited for the participant that stalled, and then did not wait any more.
    expect(tookMs).toBeGreaterThan(5_000);
    await eventually(() => expect(sequences).toHaveLength(MESSAGES), PATIENCE_MS);
    expect(sequences).toEqual(everything);
    const stall = source.logs.find((line) => line.includes('has stalled'));
    expect(JSON.parse(stall ?? '{}')).toMatchObject({
      peer: slow.peerId,
      droppedMessages: expect.any(Number),
    });
    for (const node of [source, quick, slow]) expect(node.rssBytes()).toBeLessThan(MAX_RSS_BYTES);

    // When it takes messages again, it gets what is published from then on.
    consumer.kill('SIGKILL');
    await eventually(async () => {
      await slowApp.channel.purgeQueue('slow');
      sourceApp.channel.publish('news', 'again', Buffer.from('again'));
      await sourceApp.channel.waitForConfirms();
      const message = await slowApp.channel.get('slow', { noAck: true });
      expect(message).toMatchObject({ content: Buffer.from('again') });
    }, PATIENCE_MS);
  });
});

describe('a node whose memory is full', () => {
  it('tells publishers that asked for it, reads nothing more from them, and goes on when there is room', async () => {
    const node = await startNode({ flags: ['--memory-limit', '20MiB'] });
    const { channel: consuming } = await openApp(node);
    await consuming.assertQueue('full', { durable: false });
    const connection = await connect(node.amqpUrl);
    teardown(() => connection.close());
    const states: string[] = [];
    connection.on('blocked', () => states.push('blocked'));
    connection.on('unblocked', () => states.push('unblocked'));
    const channel = await connection.createConfirmChannel();
    let confirmed = 0;
    for (let count = 0; count < 400; count++) channel.sendToQueue('full', BODY, {}, () => confirmed++);

    await eventually(() => expect(states).toEqual(['blocked']));
    await eventually(async () =>
      expect((await consuming.checkQueue('full')).messageCount).toBeGreaterThan(200),
    );
    expect(confirmed).toBeLessThan(400);
    expect(node.rssBytes()).toBeLessThan(MAX_RSS_BYTES);

    await consuming.purgeQueue('full');
    await eventually(() => expect(states).toEqual(['blocked', 'unblocked']));
    await eventually(async () => {
      await consuming.purgeQueue('full');
      expect(confirmed).toBe(400);
    });
  });
});
