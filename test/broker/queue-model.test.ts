import { describe, expect, it } from 'vitest';
import type { MemoryAccount, Queue, QueueEntry, Subscription } from '../../src/broker/index.js';
import type { Delivery, TestClient } from './support.js';
import { createBroker, createRandom, SEED, TestConsumer, take, textOf } from './support.js';

const STEPS = 4_000;
const QUEUES = ['one', 'two'];

/** What a queue has to hold: the numbers of its messages, ready ones in order. */
interface Expected {
  readonly ready: number[];
  readonly out: Set<number>;
  readonly redelivered: Set<number>;
}

interface Subscribed {
  readonly consumer: TestConsumer;
  readonly subscription: Subscription;
}

/** Does to two queues behind one exchange what clients do, at random, and checks them against lists and sets. */
class Simulation {
  readonly #random: (below: number) => number;
  readonly #client: TestClient;
  readonly #memory: MemoryAccount;
  readonly #expected = new Map<string, Expected>();
  readonly #queues = new Map<string, Queue>();
  readonly #consumers = new Map<string, Subscribed[]>();
  /** Everything that is out for acknowledgement, of deleted queues as well. */
  readonly #held: QueueEntry[] = [];
  #published = 0;

  constructor(seed: number) {
    const { client, memory } = createBroker();
    this.#random = createRandom(seed);
    this.#client = client;
    this.#memory = memory;
    for (const name of QUEUES) this.#declare(name);
  }

  step(): void {
    const name = this.#pick(QUEUES);
    const actions: (() => void)[] = [
      () => this.#publish(),
      () => this.#publish(),
      () => this.#settleOne(),
      () => this.#settleOne(),
      () => this.#requeueSome(name),
      () => this.#subscribe(name),
      () => this.#wakeOne(name),
      () => this.#wakeOne(name),
      () => this.#get(name),
      () => this.#cancelOne(name),
      () => this.#rarely(10, () => this.#purge(name)),
      () => this.#rarely(30, () => this.#recreate(name)),
    ];
    this.#pick(actions)();
    for (const each of QUEUES) this.#check(each);
  }

  finish(): void {
    for (const name of QUEUES)
      for (const { subscription } of this.#consumers.get(name) ?? []) subscription.cancel();
    for (const name of QUEUES) {
      this.#requeue(name, this.#heldOf(name));
      const { ready } = this.#of(name);
      const left: number[] = [];
      for (
        let entry = take(this.#queue(name), true);
        entry !== undefined;
        entry = take(this.#queue(name), true)
      ) {
        left.push(Number(textOf(entry.message)));
      }
      expect(left).toEqual(ready);
    }
    for (const entry of this.#held) entry.queue.settle(entry);
    expect([this.#memory.bytes, this.#memory.entries]).toEqual([0, 0]);
  }

  #publish(): void {
    const number = this.#published++;
    for (const name of QUEUES) this.#of(name).ready.push(number);
    expect(this.#client.publish('amq.fanout', '', `${number}`)).toBe(QUEUES.length);
  }

  #send(name: string): void {
    const number = this.#published++;
    this.#of(name).ready.push(number);
    this.#client.send(name, `${number}`);
  }

  #subscribe(name: string): void {
    if (this.#queue(name).consumerCount >= 4) return;
    const consumer: TestConsumer = new TestConsumer({
      noAck: this.#random(3) === 0,
      priority: this.#random(3),
      room: this.#random(4),
      onDeliver: (delivery) => this.#delivered(name, consumer, delivery),
    });
    const subscription = this.#queue(name).consume(consumer);
    this.#consumers.get(name)?.push({ consumer, subscription });
    subscription.wake();
  }

  /** In order, as often as it is due, with the right flag; then now and then something from inside the call. */
  #delivered(name: string, consumer: TestConsumer, { text, redelivered, entry }: Delivery): void {
    this.#taken(name, Number(text), redelivered);
    if (entry === undefined) this.#of(name).out.delete(Number(text));
    else this.#held.push(entry);
    const actions = [
      () => this.#settleOne(),
      () => this.#send(name),
      () => this.#requeueSome(name),
      () => this.#cancel(name, consumer),
      () => this.#wakeOne(name),
    ];
    this.#rarely(4, this.#pick(actions));
  }

  #get(name: string): void {
    const noAck = this.#random(2) === 0;
    const entry = take(this.#queue(name), noAck);
    if (entry === undefined) {
      expect(this.#of(name).ready).toEqual([]);
      return;
    }
    const number = Number(textOf(entry.message));
    this.#taken(name, number, entry.redelivered);
    if (noAck) this.#of(name).out.delete(number);
    else this.#held.push(entry);
  }

  #taken(name: string, number: number, redelivered: boolean): void {
    const expected = this.#of(name);
    expect(number).toBe(expected.ready.shift());
    expect(redelivered).toBe(expected.redelivered.has(number));
    expected.out.add(number);
  }

  #settleOne(): void {
    const index = this.#random(this.#held.length);
    const [entry] = this.#held.splice(index, 1);
    if (entry === undefined) return;
    if (this.#queues.get(entry.queue.name) === entry.queue) {
      this.#of(entry.queue.name).out.delete(Number(textOf(entry.message)));
    }
    entry.queue.settle(entry);
  }

  #requeueSome(name: string): void {
    this.#requeue(
      name,
      this.#heldOf(name).filter(() => this.#random(2) === 0),
    );
  }

  #requeue(name: string, entries: readonly QueueEntry[]): void {
    const expected = this.#of(name);
    for (const entry of entries) {
      const number = Number(textOf(entry.message));
      this.#held.splice(this.#held.indexOf(entry), 1);
      expected.out.delete(number);
      expected.redelivered.add(number);
      expected.ready.push(number);
    }
    expected.ready.sort((one, other) => one - other);
    const shuffled = entries.toSorted(() => this.#random(3) - 1);
    this.#queue(name).requeue(shuffled);
  }

  #wakeOne(name: string): void {
    const subscribed = this.#pick(this.#consumers.get(name) ?? []);
    if (subscribed === undefined) return;
    subscribed.consumer.room = this.#random(4);
    subscribed.subscription.wake();
  }

  #cancelOne(name: string): void {
    const subscribed = this.#pick(this.#consumers.get(name) ?? []);
    if (subscribed !== undefined) this.#cancel(name, subscribed.consumer);
  }

  #cancel(name: string, consumer: TestConsumer): void {
    const consumers = this.#consumers.get(name) ?? [];
    const index = consumers.findIndex((subscribed) => subscribed.consumer === consumer);
    if (index < 0) return;
    consumers.splice(index, 1)[0]?.subscription.cancel();
  }

  #purge(name: string): void {
    const { ready } = this.#of(name);
    expect(this.#client.host.purgeQueue(name, this.#client)).toBe(ready.length);
    ready.length = 0;
  }

  #recreate(name: string): void {
    const { ready } = this.#of(name);
    expect(this.#client.deleteQueue(name)).toBe(ready.length);
    this.#declare(name);
  }

  #declare(name: string): void {
    this.#queues.set(name, this.#client.queue(name));
    this.#consumers.set(name, []);
    this.#expected.set(name, { ready: [], out: new Set(), redelivered: new Set() });
    this.#client.bind(name, 'amq.fanout');
  }

  #check(name: string): void {
    const [queue, expected] = [this.#queue(name), this.#of(name)];
    expect(queue.messageCount).toBe(expected.ready.length);
    expect(queue.unacknowledgedCount).toBe(expected.out.size);
    const idle = this.#consumers.get(name)?.some(({ consumer }) => consumer.canTake()) ?? false;
    expect(idle && queue.messageCount > 0).toBe(false);
    const readyEntries = QUEUES.reduce((sum, each) => sum + this.#queue(each).messageCount, 0);
    expect(this.#memory.entries).toBe(readyEntries + this.#held.length);
  }

  #heldOf(name: string): QueueEntry[] {
    return this.#held.filter((entry) => entry.queue === this.#queues.get(name));
  }

  #rarely(oneIn: number, action: () => void): void {
    if (this.#random(oneIn) === 0) action();
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#random(from.length)] as T;
  }

  #queue(name: string): Queue {
    const queue = this.#queues.get(name);
    if (queue === undefined) throw new Error(`no queue ${name} in this simulation`);
    return queue;
  }

  #of(name: string): Expected {
    const expected = this.#expected.get(name);
    if (expected === undefined) throw new Error(`no queue ${name} in this simulation`);
    return expected;
  }
}

describe('two queues under random operations', () => {
  it(`lose, double and reorder nothing, leave no consumer idle, and end with an empty account (SEED=${SEED})`, () => {
    for (let round = 0; round < 3; round++) {
      const simulation = new Simulation(SEED + round);
      for (let step = 0; step < STEPS; step++) simulation.step();
      simulation.finish();
    }
  });
});
