import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { Random, seed } from '../support/random.js';
import { EmbeddedNode } from './embedded-node.js';

const SPACE = 'town';
const MEMBERS = 24;
const CHURN_MS = 180_000;
const MAX_PAUSE_MS = 1_500;
/** Dead members vanish within 60 s, and 15 s where they were linked. */
const CALM_LIMIT_MS = 60_000;
/** What a node may have more at the end than half-way: what came and went must not stay. */
const MAX_GROWTH_BYTES = 12 * 1_048_576;

/** Comings and goings, and who is there. */
class Town {
  readonly residents: EmbeddedNode[] = [];
  readonly #random: Random;
  #arrivals = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** The first declares the space; later ones know two of those who are there. */
  async arrive(): Promise<void> {
    this.#arrivals += 1;
    const node = await EmbeddedNode.start(`resident-${this.#arrivals}`);
    const through = this.residents.length === 0 ? [] : [this.#anybody(), this.#anybody()];
    await node.join(SPACE, through, through.length === 0);
    this.residents.push(node);
  }

  /** Not one of those who stay to be looked at. */
  async depart(how: 'leave' | 'kill'): Promise<void> {
    const index = STAYING + this.#random.int(this.residents.length - STAYING);
    const [node] = this.residents.splice(index, 1);
    await node?.[how]();
  }

  #anybody(): EmbeddedNode {
    return this.#random.pick(this.residents);
  }
}

/** The first residents stay to the end. */
const STAYING = 2;

async function heapOf(residents: readonly EmbeddedNode[]): Promise<number[]> {
  const statuses = await Promise.all(residents.slice(0, STAYING).map((node) => node.status()));
  return statuses.map(({ heapBytes }) => heapBytes);
}

it(`members that come, leave and die for three minutes leave a space in which all see all, and nothing behind (SEED=${seed})`, async () => {
  const random = new Random(seed);
  const town = new Town(random);
  for (let count = 0; count < 6; count++) await town.arrive();

  const startedAt = performance.now();
  let events = { arrivals: 0, departures: 0, deaths: 0 };
  let halfWay: number[] | undefined;
  while (performance.now() - startedAt < CHURN_MS) {
    const { length } = town.residents;
    const leaves = length >= MEMBERS || (length > STAYING + 2 && random.int(100) < 45);
    if (!leaves) {
      await town.arrive();
      events = { ...events, arrivals: events.arrivals + 1 };
    } else if (random.int(2) === 0) {
      await town.depart('leave');
      events = { ...events, departures: events.departures + 1 };
    } else {
      await town.depart('kill');
      events = { ...events, deaths: events.deaths + 1 };
    }
    await sleep(random.int(MAX_PAUSE_MS)); // comings and goings have their own time
    if (halfWay === undefined && performance.now() - startedAt > CHURN_MS / 2) {
      halfWay = await heapOf(town.residents);
    }
  }
  while (town.residents.length < MEMBERS) await town.arrive();
  console.log(JSON.stringify(events));

  const { residents } = town;
  for (const node of residents) {
    const others = residents.filter((other) => other !== node).map(({ peerId }) => peerId);
    await eventually(async () => {
      const [alias] = (await node.status()).aliases;
      const participants = alias?.point.participants ?? [];
      expect(participants.map(({ id }) => id).sort()).toEqual(others.sort());
      expect(participants.filter(({ linked }) => !linked)).toEqual([]);
    }, CALM_LIMIT_MS);
  }

  const texts = residents.map(({ name }) => `calm words of ${name}`);
  for (const [index, node] of residents.entries()) await node.publish(texts[index] ?? '');
  for (const node of residents) {
    await eventually(async () => {
      const { arrived } = await node.status();
      const calm = arrived.filter(([text]) => text.startsWith('calm'));
      expect(Object.fromEntries(calm)).toEqual(Object.fromEntries(texts.map((text) => [text, 1])));
    });
  }
  const grown = (await heapOf(residents)).map((bytes, index) => bytes - (halfWay?.[index] ?? 0));
  console.log(`grown by ${grown.map((bytes) => (bytes / 1_048_576).toFixed(1)).join(' and ')} MiB`);
  for (const bytes of grown) expect(bytes).toBeLessThan(MAX_GROWTH_BYTES);
}, 480_000);
