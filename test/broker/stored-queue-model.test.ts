import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { FieldTable, MemoryAccount, Queue, QueueEntry, Subscription } from '../../src/broker/index.js';
import { FakeStorage, settled } from './fake-storage.js';
import type { Delivery, TestClient } from './support.js';
import { createBroker, createRandom, drain, SEED, TestConsumer, textOf } from './support.js';

const STEPS = 600;
const PAGING = {
  memoryMessages: 6,
  memoryBytes: 60,
  tightMemoryMessages: 2,
  pageMessages: 4,
  pageBytes: 350,
};

interface Features {
  readonly stored: boolean;
  readonly maxPriority: number | undefined;
  readonly maxLength: number | undefined;
  readonly expires: boolean;
}

/** A message as the model has it. */
interface Expected {
  readonly number: number;
  readonly priority: number;
  readonly persistent: boolean;
  readonly expiresMs: number;
  handedOut: boolean;
}

interface Subscribed {
  readonly consumer: TestConsumer;
  readonly subscription: Subscription;
}

/** Does to a durable queue what clients and a node that stops and dies do, at random, and checks it against lists. */
class Simulation {
  readonly #random: (below: number) => number;
  readonly #features: Features;
  #storage: FakeStorage | undefined;
  #client: TestClient;
  #memory: MemoryAccount;
  #queue: Queue;
  #dead: Queue;
  /** What is ready, the next one first. */
  #ready: Expected[] = [];
  #out: Expected[] = [];
  /** What is on the disk since the last sync. */
  #disk: Expected[] = [];
  readonly #buried: string[] = [];
  #held: QueueEntry[] = [];
  #consumers: Subscribed[] = [];
  #sent = 0;
  #killed = false;
  /** What a consumer waits for. */
  #direct: number | undefined;

  constructor(seed: number, features: Features) {
    this.#random = createRandom(seed);
    this.#features = features;
    this.#storage = features.stored ? FakeStorage.empty() : undefined;
    [this.#client, this.#memory, this.#queue, this.#dead] = this.#start();
  }

  async step(): Promise<void> {
    const actions: (() => void)[] = [
      () => this.#send(),
      () => this.#send(),
      () => this.#send(),
      () => this.#settle('settle'),
      () => this.#settle('reject'),
      () => this.#requeue(this.#held.filter(() => this.#random(2) === 0)),
      () => this.#subscribe(),
      () => this.#wake(),
      () => this.#get(),
      () => this.#cancel(),
      () => this.#sync(),
      () => void vi.advanceTimersByTime(this.#random(20)),
      () => this.#rarely(20, () => this.#purge()),
      () => this.#rarely(20, () => this.#restart()),
    ];
    this.#pick(actions)?.();
    await this.#calmDown();
    this.#check();
  }

  async finish(): Promise<void> {
    for (const { subscription } of this.#consumers) subscription.cancel();
    this.#consumers = [];
    this.#requeue(this.#held);
    await this.#calmDown();
    while (this.#ready.length > 0) {
      this.#get();
      this.#sync();
      await this.#calmDown();
    }
    for (const entry of this.#held) this.#queue.settle(entry);
    expect(this.#queue.messageCount).toBe(0);
    expect(drain(this.#dead)).toEqual(this.#buried);
    expect([this.#memory.bytes, this.#memory.entries]).toEqual([0, 0]);
    if (this.#storage !== undefined) expect(this.#storage.entries(1)).toEqual([]);
  }

  #start(): [TestClient, MemoryAccount, Queue, Queue] {
    const storage = this.#storage;
    const { client, memory } = createBroker(undefined, { paging: PAGING, ...(storage && { storage }) });
    const { maxPriority, maxLength } = this.#features;
    const args: FieldTable = {
      'x-dead-letter-exchange': '',
      'x-dead-letter-routing-key': 'dead',
      ...(maxPriority !== undefined && { 'x-max-priority': maxPriority }),
      ...(maxLength !== undefined && { 'x-max-length': maxLength }),
    };
    const queue = client.queue('q', { durable: true, arguments: args });
    return [client, memory, queue, client.queue('dead')];
  }

  /** Until all reading is done, page after page. */
  async #calmDown(): Promise<void> {
    const { reads } = this.#storage ?? {};
    await settled();
    if (this.#storage?.reads !== reads) await this.#calmDown();
  }

  #send(): void {
    const { maxPriority, maxLength, expires } = this.#features;
    const priority = this.#random(5);
    const persistent = this.#random(3) > 0;
    const expirationMs = expires && this.#random(3) === 0 ? this.#random(60) : undefined;
    const number = this.#sent++;
    const level = maxPriority === undefined ? 0 : Math.min(priority, maxPriority);
    const expiresMs = expirationMs === undefined ? Number.POSITIVE_INFINITY : Date.now() + expirationMs;
    this.#ready.push({ number, priority: level, persistent, expiresMs, handedOut: false });
    this.#sort();
    // What a consumer gets at once has neither the time to expire nor room to take.
    const idle = this.#ready.length === 1 && this.#consumers.some(({ consumer }) => consumer.canTake());
    this.#direct = idle ? number : undefined;
    if (!idle) this.#dropHeads(maxLength);
    const text = `${number}`;
    this.#client.publish('', 'q', text, {
      priority,
      persistent,
      ...(expirationMs !== undefined && { expirationMs }),
    });
    // It has its time from here on, also if it comes back.
    this.#direct = undefined;
  }

  #dropHeads(maxLength = Number.POSITIVE_INFINITY): void {
    while (this.#ready.length > maxLength) this.#bury(this.#ready.shift());
    while ((this.#ready[0]?.expiresMs ?? Number.POSITIVE_INFINITY) <= Date.now())
      this.#bury(this.#ready.shift());
  }

  #bury(dead: Expected | undefined): void {
    if (dead !== undefined) this.#buried.push(`${dead.number}`);
  }

  #sort(): void {
    this.#ready.sort((a, b) => b.priority - a.priority || a.number - b.number);
  }

  #subscribe(): void {
    if (this.#consumers.length >= 3) return;
    const consumer: TestConsumer = new TestConsumer({
      noAck: this.#random(3) === 0,
      room: this.#random(5),
      onDeliver: (delivery) => this.#delivered(consumer.noAck, delivery),
    });
    const subscription = this.#queue.consume(consumer);
    this.#consumers.push({ consumer, subscription });
    subscription.wake();
  }

  #delivered(noAck: boolean, { text, redelivered, entry }: Delivery): void {
    this.#taken(Number(text), redelivered, noAck);
    if (entry !== undefined) this.#held.push(entry);
  }

  #get(): void {
    const noAck = this.#random(2) === 0;
    const entry = this.#queue.get(noAck);
    if (entry instanceof Promise) return;
    if (entry === undefined) {
      this.#dropHeads();
      expect(this.#ready).toEqual([]);
      return;
    }
    this.#taken(Number(textOf(entry.message)), entry.redelivered, noAck);
    if (!noAck) this.#held.push(entry);
  }

  /** It was the next one, and a repeat says so; what says so is a repeat, but for what was near one when the node died. */
  #taken(number: number, redelivered: boolean, noAck: boolean): void {
    if (number !== this.#direct) this.#dropHeads();
    const expected = this.#ready.shift();
    expect(number).toBe(expected?.number);
    if (expected === undefined) return;
    if (expected.handedOut) expect(redelivered).toBe(true);
    else if (!this.#killed && this.#features.maxPriority === undefined) expect(redelivered).toBe(false);
    expected.handedOut = true;
    if (!noAck) this.#out.push(expected);
  }

  #settle(how: 'settle' | 'reject'): void {
    const [entry] = this.#held.splice(this.#random(this.#held.length), 1);
    if (entry === undefined) return;
    const [expected] = this.#takeOut([entry]);
    if (how === 'reject') this.#bury(expected);
    if (how === 'reject') this.#queue.reject([entry]);
    else this.#queue.settle(entry);
  }

  #requeue(entries: readonly QueueEntry[]): void {
    this.#held = this.#held.filter((entry) => !entries.includes(entry));
    this.#ready.push(...this.#takeOut(entries));
    this.#sort();
    this.#dropHeads(this.#features.maxLength);
    this.#queue.requeue(entries.toSorted(() => this.#random(3) - 1));
  }

  #takeOut(entries: readonly QueueEntry[]): Expected[] {
    const numbers = new Set(entries.map(({ message }) => Number(textOf(message))));
    const taken = this.#out.filter(({ number }) => numbers.has(number));
    this.#out = this.#out.filter(({ number }) => !numbers.has(number));
    return taken;
  }

  #wake(): void {
    const subscribed = this.#pick(this.#consumers);
    if (subscribed === undefined) return;
    subscribed.consumer.room = this.#random(5);
    subscribed.subscription.wake();
  }

  #cancel(): void {
    this.#consumers.splice(this.#random(this.#consumers.length), 1)[0]?.subscription.cancel();
  }

  #sync(): void {
    this.#disk = [...this.#ready, ...this.#out].filter(({ persistent }) => persistent);
    this.#storage?.sync();
  }

  #purge(): void {
    this.#dropHeads();
    const { length } = this.#ready;
    this.#ready = [];
    expect(this.#client.host.purgeQueue('q', this.#client)).toBe(length);
  }

  #restart(): void {
    if (this.#storage === undefined) return;
    expect(drain(this.#dead)).toEqual(this.#buried.splice(0));
    const killed = this.#random(2) === 0;
    if (killed) {
      this.#killed = true;
      this.#storage = this.#storage.killed();
      this.#ready = this.#disk;
    } else {
      this.#client.host.stop();
      this.#storage = this.#storage.stopped();
      this.#ready = [...this.#ready, ...this.#out].filter(({ persistent }) => persistent);
    }
    [this.#out, this.#held, this.#consumers] = [[], [], []];
    this.#sort();
    [this.#client, this.#memory, this.#queue, this.#dead] = this.#start();
    this.#sync();
  }

  #check(): void {
    this.#dropHeads(this.#features.maxLength);
    expect(this.#queue.messageCount).toBe(this.#ready.length);
    expect(this.#queue.unacknowledgedCount).toBe(this.#out.length);
    expect(this.#dead.messageCount).toBe(this.#buried.length);
  }

  #rarely(oneIn: number, action: () => void): void {
    if (this.#random(oneIn) === 0) action();
  }

  #pick<T>(from: readonly T[]): T | undefined {
    return from[this.#random(from.length)];
  }
}

describe('a durable queue under random operations', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] }));
  afterEach(() => void vi.useRealTimers());

  const variants: readonly Features[] = [false, true].flatMap((stored) =>
    [undefined, 3].flatMap((maxPriority) =>
      [undefined, 9].flatMap((maxLength) =>
        [false, true].map((expires) => ({ stored, maxPriority, maxLength, expires })),
      ),
    ),
  );

  it.each(variants)(
    `does what a list does, in order, and forgets nothing: %o (SEED=${SEED})`,
    async (features) => {
      const simulation = new Simulation(SEED, features);
      for (let step = 0; step < STEPS; step++) await simulation.step();
      await simulation.finish();
    },
  );
});
