/** The process that makes the load: publishes at one end, consumes at the other, prints the result as JSON. */
import { text } from 'node:stream/consumers';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { Arrivals, MIN_BODY_BYTES, percentileUs, SEQUENCE_OFFSET } from './arrivals.js';
import type { LoadOptions, LoadResult } from './load.js';
import type { Template } from './raw-client.js';
import { RawClient } from './raw-client.js';
import { cpuSecondsOfAll } from './server.js';
import type { Testbed } from './testbed.js';

const CHUNK_BYTES = 65_536;
const PACE_MS = 1;
/** Nothing came for so long: what is missing is lost. */
const IDLE_LIMIT_MS = 15_000;

async function load(options: LoadOptions & Testbed): Promise<LoadResult> {
  const arrivals = options.queues.map(() => new Arrivals(options.messages));
  const consumers = await Promise.all(
    options.queues.map(async (queue, index) => {
      const consumer = await RawClient.connect(options.consumeUrl);
      const onBody = (bytes: Buffer, start: number) => arrivals[index]?.take(bytes, start);
      await consumer.consume(queue, options.prefetch ?? 0, onBody);
      return consumer;
    }),
  );
  const publisher = await RawClient.connect(options.publishUrl);
  if (options.confirmWindow) await publisher.selectConfirms();

  const [serverBefore, ownBefore] = [cpuSecondsOfAll(options.pids), process.cpuUsage()];
  const startMs = performance.now();
  for (const one of arrivals) one.lastMs = startMs;
  await publish(publisher, options, startMs);
  while (options.confirmWindow && publisher.confirmed < options.messages) await publisher.moreConfirmed();
  const confirmedMs = performance.now();
  await complete(arrivals);
  const [serverCpu, own] = [cpuSecondsOfAll(options.pids) - serverBefore, process.cpuUsage(ownBefore)];
  for (const client of [publisher, ...consumers]) client.close();

  const isConsumed = arrivals.length > 0;
  const received = isConsumed ? sum(arrivals.map((one) => one.received)) : publisher.confirmed;
  const lastMs = isConsumed ? Math.max(...arrivals.map((one) => one.lastMs)) : confirmedMs;
  return {
    received,
    lost: options.messages * Math.max(1, options.queues.length) - received,
    duplicates: sum(arrivals.map(({ duplicates }) => duplicates)),
    outOfOrder: sum(arrivals.map(({ outOfOrder }) => outOfOrder)),
    ratePerSecond: Math.round((received / (lastMs - startMs)) * 1_000),
    p50Us: percentileUs(arrivals, 0.5),
    p99Us: percentileUs(arrivals, 0.99),
    serverCpuUsPerMessage: (serverCpu * 1_000_000) / received,
    loadCpuUsPerMessage: (own.user + own.system) / received,
  };
}

async function complete(arrivals: readonly Arrivals[]): Promise<void> {
  const newestMs = () => Math.max(...arrivals.map(({ lastMs }) => lastMs));
  while (arrivals.some((one) => !one.isComplete) && performance.now() - newestMs() < IDLE_LIMIT_MS) {
    await setTimeout(1);
  }
}

async function publish(client: RawClient, options: LoadOptions & Testbed, startMs: number): Promise<void> {
  const { exchange, messages, ratePerSecond, routingKeys, sizeBytes } = options;
  const body = Buffer.alloc(Math.max(MIN_BODY_BYTES, sizeBytes), 'x');
  const properties = options.persistent ? { deliveryMode: 2 } : {};
  const templates = routingKeys.map((key) => client.template(exchange, key, body, properties));
  const perChunk = Math.max(1, Math.floor(CHUNK_BYTES / (templates[0]?.frames.length ?? 1)));
  const window = options.confirmWindow || Number.POSITIVE_INFINITY;
  for (let sent = 0; sent < messages; ) {
    const due = ratePerSecond === 0 ? perChunk : dueBy(ratePerSecond, startMs) - sent;
    const count = Math.min(due, perChunk, messages - sent, window - (sent - client.confirmed));
    if (count > 0) {
      const room = client.write(chunkOf(templates, sent, count));
      sent += count;
      if (room !== undefined) await room;
    }
    if (sent - client.confirmed >= window) await client.moreConfirmed();
    // Lets this process read between two writes; when paced, until more is due.
    else await (ratePerSecond === 0 ? setImmediate() : setTimeout(PACE_MS));
  }
}

function dueBy(ratePerSecond: number, startMs: number): number {
  return Math.floor(((performance.now() - startMs) * ratePerSecond) / 1_000);
}

/** `count` messages in one buffer, each with its time and number at the start of its body. */
function chunkOf(templates: readonly Template[], first: number, count: number): Buffer {
  const chosen = Array.from(
    { length: count },
    (_, index) => templates[(first + index) % templates.length] as Template,
  );
  const chunk = Buffer.allocUnsafe(sum(chosen.map(({ frames }) => frames.length)));
  const nowMs = performance.now();
  let start = 0;
  for (const [index, { frames, bodyStart }] of chosen.entries()) {
    frames.copy(chunk, start);
    chunk.writeDoubleLE(nowMs, start + bodyStart);
    chunk.writeUInt32LE(first + index, start + bodyStart + SEQUENCE_OFFSET);
    start += frames.length;
  }
  return chunk;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

console.log(JSON.stringify(await load(JSON.parse(await text(process.stdin)))));
