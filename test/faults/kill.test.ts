import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Channel, ConfirmChannel } from 'amqplib';
import { connect } from 'amqplib';
import { expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { NodeProcess } from '../support/node-process.js';
import { Random, seed } from '../support/random.js';
import { teardown } from '../support/teardown.js';

const KILLS = 200;
/** So many nodes are killed side by side: most of the time goes by while they start. */
const NODES = 2;
/** One in so many kills comes while the node is starting. */
const EARLY_KILLS = 10;
/** Before one in so many kills the node is stopped in order, and started again. */
const STOPS = 20;
const MAX_LIFE_MS = 250;
const MAX_START_MS = 500;
const WINDOW = 200;
const PREFETCH = 100;
const EXCHANGE = 'orders';
const QUEUES = ['billing', 'shipping'] as const;
/** Content that lies in the entry of each queue, and content that lies in the store once. */
const SIZES = [20, 100, 6_000];

/** Publishes numbers, each once, and knows which of them were confirmed. */
class Publisher {
  readonly confirmed: number[] = [];
  readonly #random: Random;
  #next = 0;
  #waiting = 0;
  #channel: ConfirmChannel | undefined;

  constructor(random: Random) {
    this.#random = random;
  }

  get published(): number {
    return this.#next;
  }

  use(channel: ConfirmChannel): void {
    this.#channel = channel;
    this.#waiting = 0;
    this.#publish(channel);
  }

  stop(): void {
    this.#channel = undefined;
  }

  #publish(channel: ConfirmChannel): void {
    while (channel === this.#channel && this.#waiting < WINDOW) {
      const number = this.#next++;
      const body = Buffer.alloc(this.#random.pick(SIZES), ' ');
      body.write(String(number));
      this.#waiting++;
      try {
        channel.publish(EXCHANGE, '', body, { persistent: true }, (error) => {
          if (error === null) this.confirmed.push(number);
          this.#waiting--;
          this.#publish(channel);
        });
      } catch {
        return; // the connection has gone
      }
    }
  }
}

/** Takes a queue's messages and acknowledges them now and then, and checks what it gets. */
class Consumer {
  readonly seen = new Set<number>();
  readonly problems: string[] = [];
  readonly queue: string;
  readonly #random: Random;
  #last = -1;
  #unacknowledged = 0;

  constructor(queue: string, random: Random) {
    this.queue = queue;
    this.#random = random;
  }

  async use(channel: Channel): Promise<void> {
    this.#last = -1;
    this.#unacknowledged = 0;
    await channel.prefetch(PREFETCH);
    await channel.consume(this.queue, (message) => {
      if (message === null) return;
      this.#check(Number(message.content.toString().trim()), message.fields.redelivered);
      this.#unacknowledged++;
      // In groups, so that there are always some that were handed out and not acknowledged, but never all it may have.
      if (this.#random.int(10) !== 0 && this.#unacknowledged < PREFETCH) return;
      this.#unacknowledged = 0;
      ignoreClosed(() => channel.ack(message, true));
    });
  }

  #check(number: number, redelivered: boolean): void {
    const what = `${this.queue}: ${number}`;
    if (number <= this.#last) this.problems.push(`${what} came after ${this.#last}`);
    if (this.seen.has(number) && !redelivered) this.problems.push(`${what} came again and was not marked`);
    this.#last = number;
    this.seen.add(number);
  }
}

function ignoreClosed(call: () => void): void {
  try {
    call();
  } catch {
    // The node was killed.
  }
}

async function open(node: NodeProcess): Promise<ConfirmChannel> {
  const connection = await connect(node.amqpUrl);
  connection.on('error', () => undefined);
  teardown(() => connection.close().catch(() => undefined));
  const channel = await connection.createConfirmChannel();
  channel.on('error', () => undefined);
  return channel;
}

/** Starts a node that is killed before it is ready, or hardly after. */
async function killEarly(flags: readonly string[], random: Random): Promise<void> {
  const life = `${random.int(MAX_START_MS) / 1_000 + 0.05}`;
  const starting = NodeProcess.start({ flags, prefix: ['timeout', '--signal=KILL', life] });
  await starting.then((node) => node.exited).catch(() => undefined);
}

async function killAgainAndAgain(kills: number, random: Random): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'xspace-kill-'));
  teardown(() => rmSync(folder, { recursive: true, force: true }));
  const flags = ['--data-dir', join(folder, 'data'), '--log-level', 'warn'];
  const publisher = new Publisher(random);
  const consumers = QUEUES.map((queue) => new Consumer(queue, random));

  const run = async (): Promise<NodeProcess> => {
    // Whoever removes it from outside makes the next node begin with nothing, which would look like a loss.
    if (publisher.published > 0)
      expect(existsSync(join(folder, 'data', 'store.json')), 'the store is there').toBe(true);
    const node = await NodeProcess.start({ flags });
    teardown(() => node.kill());
    const channel = await open(node);
    for (const [index, consumer] of consumers.entries()) {
      if (publisher.published === 0) {
        await channel.assertExchange(EXCHANGE, 'fanout', { durable: true });
        await channel.assertQueue(QUEUES[index] ?? '', { durable: true });
        await channel.bindQueue(QUEUES[index] ?? '', EXCHANGE, '');
      }
      await consumer.use(await open(node));
    }
    publisher.use(channel);
    return node;
  };

  const live = async (): Promise<NodeProcess> => {
    const node = await run();
    await sleep(random.int(MAX_LIFE_MS));
    publisher.stop();
    return node;
  };

  for (let kill = 0; kill < kills; kill++) {
    if (random.int(EARLY_KILLS) === 0) await killEarly(flags, random);
    else {
      if (random.int(STOPS) === 0) await (await live()).stop();
      const node = await live();
      await node.kill();
      expect(node.logs, 'what the node logged').toEqual([]);
    }
  }

  const node = await run();
  publisher.stop();
  const channel = await open(node);
  for (const consumer of consumers) {
    await eventually(async () => {
      const missing = publisher.confirmed.filter((number) => !consumer.seen.has(number));
      // What the node has ready was not lost, but not handed out.
      const ready = missing.length > 0 ? (await channel.checkQueue(consumer.queue)).messageCount : 0;
      expect({ missing, ready }).toEqual({ missing: [], ready: 0 });
    });
    expect(consumer.problems).toEqual([]);
  }
  expect(publisher.confirmed.length).toBeGreaterThan(10 * kills);
  expect(await node.stop()).toEqual({ code: 0, signal: null });
}

it(`a node that is killed again and again loses no confirmed message, keeps the order and marks repeats (SEED=${seed})`, async () => {
  const nodes = Array.from({ length: NODES }, (_, index) => new Random(seed + index));
  await Promise.all(nodes.map((random) => killAgainAndAgain(KILLS / NODES, random)));
}, 600_000);
