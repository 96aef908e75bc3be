import { mkdtemp, rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ChannelModel } from 'amqplib';
import { connect } from 'amqplib';
import { beforeAll, expect, it } from 'vitest';
import { eventually } from '../../support/eventually.js';
import { NodeProcess } from '../../support/node-process.js';
import { RabbitmqProcess } from '../../support/rabbitmq-process.js';
import { teardown } from '../../support/teardown.js';
import { channelOf, consume, drain, hold } from './app.js';
import type { ServerName } from './server.js';
import { onEachServer } from './server.js';

/** So little that some messages use it up. */
const SHORT_OF_MEMORY_BYTES = 2 ** 20;
const LARGE_BYTES = 300_000;
const STARTS_MS = 60_000;

interface OwnServer {
  readonly amqpUrl: string;
  stop(): Promise<unknown>;
}

/** A server of its own, with data that stays in the folder. */
const start: Readonly<Record<ServerName, (folder: string, shortOfMemory: boolean) => Promise<OwnServer>>> = {
  RabbitMQ: (dataFolder, shortOfMemory) => {
    const watermark = `vm_memory_high_watermark.absolute = ${SHORT_OF_MEMORY_BYTES}`;
    return RabbitmqProcess.start({ dataFolder, settings: shortOfMemory ? [watermark] : [] });
  },
  'the node': (folder, shortOfMemory) => {
    const limit = ['--memory-limit', String(SHORT_OF_MEMORY_BYTES)];
    return NodeProcess.start({ flags: ['--data-dir', folder, ...(shortOfMemory ? limit : [])] });
  },
};

onEachServer('after a restart', ({ name }) => {
  let connection: ChannelModel;

  beforeAll(async () => {
    const folder = await temporaryFolder();
    const first = await start[name](folder, false);
    await fill(first.amqpUrl);
    await first.stop();
    const second = await start[name](folder, false);
    teardown(() => second.stop());
    connection = await connect(second.amqpUrl);
    teardown(() => connection.close());
  }, STARTS_MS);

  it('what is durable is there as it was declared', async () => {
    const channel = await connection.createChannel();
    await channel.assertExchange('durable', 'topic', { durable: true, alternateExchange: 'amq.fanout' });
    await channel.assertQueue('durable', { durable: true, maxPriority: 3 });
  });

  it('an argument is of the type that it was declared with', async () => {
    const channel = await channelOf(connection);
    // amqplib sends a number as the shortest integer that holds it.
    await expect(channel.assertQueue('durable', { durable: true })).rejects.toThrow(
      "received none but current is the value '3' of type 'byte'",
    );
  });

  it.each(['transient', 'exclusive'])('the %s queue is gone', async (queue) => {
    const channel = await channelOf(connection);
    await expect(channel.checkQueue(queue)).rejects.toThrow('NOT_FOUND');
  });

  it('the transient exchange is gone', async () => {
    const channel = await channelOf(connection);
    await expect(channel.checkExchange('transient')).rejects.toThrow('NOT_FOUND');
  });

  it('persistent messages are in their order, with all that they had', async () => {
    const channel = await connection.createChannel();
    const inbox = await consume(channel, 'durable', { noAck: true });
    await inbox.holds('urgent', 'delivered', 'waiting', 'x'.repeat(LARGE_BYTES));
    expect(inbox.redelivered).toEqual([false, true, false, false]);
    expect(inbox.message(0).properties).toMatchObject({
      deliveryMode: 2,
      priority: 3,
      messageId: 'id',
      headers: { text: 'ü', list: [1, { two: true }] },
    });
  });

  it('bindings route: from a queue to an exchange, and from there to another', async () => {
    const channel = await connection.createChannel();
    channel.publish('durable', 'by.way.of', Buffer.from('x'));
    expect(await drain(channel, 'bound')).toEqual(['x']);
  });
});

onEachServer('a server short of memory', ({ name }) => {
  it(
    'blocks who publishes and tells them so, and serves the others',
    async () => {
      const server = await start[name](await temporaryFolder(), true);
      teardown(() => server.stop());
      const [publisher, reader] = [await connect(server.amqpUrl), await connect(server.amqpUrl)];
      teardown(() => Promise.all([abandon(publisher), reader.close()]));
      const channel = await reader.createChannel();
      await channel.assertQueue('queue', { durable: false });
      const told: string[] = [];
      publisher.on('blocked', (reason) => told.push(`publisher: ${reason}`));
      reader.on('blocked', (reason) => told.push(`reader: ${reason}`));

      const publishing = await publisher.createChannel();
      const body = Buffer.alloc(SHORT_OF_MEMORY_BYTES);
      for (let times = 0; times < 4; times++) publishing.sendToQueue('queue', body);

      await eventually(() => expect(told).toEqual(['publisher: low on memory']));
      await channel.checkQueue('queue');
    },
    STARTS_MS,
  );
});

async function fill(url: string): Promise<void> {
  const connection = await connect(url);
  const channel = await connection.createConfirmChannel();
  await channel.assertExchange('durable', 'topic', { durable: true, alternateExchange: 'amq.fanout' });
  await channel.assertExchange('middle', 'fanout', { durable: true });
  await channel.assertExchange('transient', 'topic', { durable: false });
  await channel.assertQueue('durable', { durable: true, maxPriority: 3 });
  await channel.assertQueue('bound', { durable: true });
  await channel.assertQueue('transient', { durable: false });
  await channel.assertQueue('exclusive', { durable: true, exclusive: true });
  await channel.bindExchange('middle', 'durable', 'by.#');
  await channel.bindQueue('bound', 'middle', '');

  const persistent = { deliveryMode: 2 };
  channel.sendToQueue('durable', Buffer.from('acknowledged'), persistent);
  channel.sendToQueue('durable', Buffer.from('delivered'), persistent);
  const acknowledged = await hold(channel, 'durable');
  await hold(channel, 'durable');
  channel.ack(acknowledged);
  channel.sendToQueue('durable', Buffer.from('waiting'), persistent);
  channel.sendToQueue('durable', Buffer.from('not persistent'));
  channel.sendToQueue('durable', Buffer.from('x'.repeat(LARGE_BYTES)), persistent);
  const properties = { messageId: 'id', headers: { text: 'ü', list: [1, { two: true }] } };
  channel.sendToQueue('durable', Buffer.from('urgent'), { ...persistent, ...properties, priority: 3 });
  await channel.waitForConfirms();
  await connection.close();
}

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'xspace-restart-'));
  teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Ends a connection that the server does not read: it would not hear of a close. */
function abandon(connection: ChannelModel): void {
  connection.on('error', () => undefined);
  (connection.connection as unknown as { readonly stream: Socket }).stream.destroy();
}
