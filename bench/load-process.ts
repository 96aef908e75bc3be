/** The process that makes the load: publishes at one end, consumes at the other, prints the result as JSON. */
import { setImmediate, setTimeout } from 'node:timers/promises';
import { cpuSecondsOf } from '../test/support/process-usage.js';
import type { LoadOptions, LoadResult } from './load.js';
import { RawClient } from './raw-client.js';
import type { Testbed } from './testbed.js';

const CHUNK_BYTES = 65_536;
const PACE_MS = 1;
/** Nothing came for so long: what is missing is lost. */
const IDLE_LIMIT_MS = 15_000;
const SEQUENCE_OFFSET = 8;
const MIN_BODY_BYTES = 12;

/** Books every message that arrives: when it was sent, and whether it was due. */
class Arrivals {
  readonly latenciesMs: Float64Array;
  readonly #seen: Uint8Array;
  readonly #expected: number;
  received = 0;
  duplicates = 0;
  outOfOrder = 0;
  lastMs = performance.now();
  #newest = -1;

  constructor(expected: number) {
    this.#expected = expected;
    this.#seen = new Uint8Array(expected);
    this.latenciesMs = new Float64Array(expected);
  }

  take(bytes: Buffer, start: number): void {
    const sequence = bytes.readUInt32LE(start + SEQUENCE_OFFSET);
    this.lastMs = performance.now();
    if (this.#seen[sequence] !== 0) {
      this.duplicates += 1;
      return;
    }
    this.#seen[sequence] = 1;
    this.latenciesMs[this.received] = this.lastMs - bytes.readDoubleLE(start);
    this.received += 1;
    if (sequence < this.#newest) this.outOfOrder += 1;
    else this.#newest = sequence;
  }

  async complete(): Promise<void> {
    while (this.received < this.#expected && performance.now() - this.lastMs < IDLE_LIMIT_MS)
      await setTimeout(5);
  }

  percentileUs(fraction: number): number {
    const sorted = this.latenciesMs.subarray(0, this.received).sort();
    return Math.round((sorted[Math.floor((this.received - 1) * fraction)] ?? 0) * 1_000);
  }
}

async function load(options: LoadOptions & Testbed): Promise<LoadResult> {
  const arrivals = new Arrivals(options.messages);
  const consumer = await RawClient.connect(options.consumeUrl);
  await consumer.consume(options.queue, (bytes, start) => arrivals.take(bytes, start));
  const publisher = await RawClient.connect(options.publishUrl);

  const [serverBefore, ownBefore] = [serverCpuSeconds(options), process.cpuUsage()];
  const startMs = performance.now();
  arrivals.lastMs = startMs;
  await publish(publisher, options, startMs);
  await arrivals.complete();
  const [serverCpu, own] = [serverCpuSeconds(options) - serverBefore, process.cpuUsage(ownBefore)];
  publisher.close();
  consumer.close();

  const { received, duplicates, outOfOrder } = arrivals;
  return {
    received,
    lost: options.messages - received,
    duplicates,
    outOfOrder,
    ratePerSecond: Math.round((received / (arrivals.lastMs - startMs)) * 1_000),
    p50Us: arrivals.percentileUs(0.5),
    p99Us: arrivals.percentileUs(0.99),
    serverCpuUsPerMessage: (serverCpu * 1_000_000) / received,
    loadCpuUsPerMessage: (own.user + own.system) / received,
  };
}

function serverCpuSeconds({ pids }: Testbed): number {
  return pids.reduce((sum, pid) => sum + cpuSecondsOf(pid), 0);
}

async function publish(client: RawClient, options: LoadOptions & Testbed, startMs: number): Promise<void> {
  const body = Buffer.alloc(Math.max(MIN_BODY_BYTES, options.sizeBytes), 'x');
  const { frames, bodyStart } = client.template(options.exchange, options.routingKey, body);
  const perChunk = Math.max(1, Math.floor(CHUNK_BYTES / frames.length));
  for (let sent = 0; sent < options.messages; ) {
    const due = options.ratePerSecond === 0 ? perChunk : dueBy(options, startMs) - sent;
    const count = Math.min(due, perChunk, options.messages - sent);
    if (count > 0) {
      const room = client.write(chunkOf(frames, bodyStart, sent, count));
      sent += count;
      if (room !== undefined) await room;
    }
    // Lets this process read between two writes; when paced, until more is due.
    await (options.ratePerSecond === 0 ? setImmediate() : setTimeout(PACE_MS));
  }
}

function dueBy({ ratePerSecond }: LoadOptions, startMs: number): number {
  return Math.floor(((performance.now() - startMs) * ratePerSecond) / 1_000);
}

/** `count` messages in one buffer, each with its time and number at the start of its body. */
function chunkOf(frames: Buffer, bodyStart: number, first: number, count: number): Buffer {
  const chunk = Buffer.allocUnsafe(frames.length * count);
  const nowMs = performance.now();
  for (let index = 0; index < count; index += 1) {
    const start = index * frames.length;
    frames.copy(chunk, start);
    chunk.writeDoubleLE(nowMs, start + bodyStart);
    chunk.writeUInt32LE(first + index, start + bodyStart + SEQUENCE_OFFSET);
  }
  return chunk;
}

console.log(JSON.stringify(await load(JSON.parse(process.argv[2] ?? ''))));
