import { idleConnectionBytes } from './idle-connections.js';
import type { LoadGenerator, LoadResult } from './load.js';
import { ownLoad } from './load.js';
import type { Scenario } from './scenarios.js';
import { acks, fanout, fewBindings, kept, manyBindings, noAck, persistent } from './scenarios.js';
import type { ServerKind } from './server.js';

export interface Figures {
  readonly server: string;
  readonly scenario: string;
  readonly load: string;
  readonly result: LoadResult;
}

export interface IdleFigures {
  readonly server: string;
  readonly bytesPerConnection: number;
}

export interface OneServerOptions {
  readonly generator: LoadGenerator;
  /** Of the messages that the scenarios ask for. */
  readonly fraction: number;
  /** The median of so many runs counts. */
  readonly runs: number;
  readonly idleConnections: number;
  /** Names of scenarios contain it; undefined: all. */
  readonly only?: string | undefined;
}

/** Compilers warm up: the first messages of a process cost several times as much as later ones. */
const WARM_UP_FRACTION = 0.2;
const SCENARIOS = [noAck, acks, persistent, kept, fewBindings, manyBindings, fanout];
const IDLE = 'idle connections';

/** All scenarios on all servers, one after the other: what is compared is measured at about the same time. */
export async function measureServers(
  kinds: readonly ServerKind[],
  options: OneServerOptions,
): Promise<{ readonly figures: readonly Figures[]; readonly idle: readonly IdleFigures[] }> {
  const figures: Figures[] = [];
  const isWanted = (name: string) => options.only === undefined || name.includes(options.only);
  for (const scenario of SCENARIOS.filter(({ name }) => isWanted(name))) {
    for (const kind of kinds) figures.push(await measure(kind, scenario, options));
  }
  const idle: IdleFigures[] = [];
  if (!isWanted(IDLE)) return { figures, idle };
  for (const kind of kinds) {
    console.error(`${kind.name}, ${IDLE} …`);
    const bytesPerConnection = await withServer(kind, (server) =>
      idleConnectionBytes(server, options.idleConnections),
    );
    idle.push({ server: kind.name, bytesPerConnection });
  }
  return { figures, idle };
}

async function measure(kind: ServerKind, scenario: Scenario, options: OneServerOptions): Promise<Figures> {
  console.error(`${kind.name}, ${scenario.name} …`);
  return withServer(kind, async ({ pid, url }) => {
    await scenario.prepare(url);
    const { exchange, load, queues, routingKeys } = scenario;
    const testbed = { publishUrl: url, consumeUrl: url, exchange, routingKeys, queues, pids: [pid] };
    const messages = Math.ceil(scenario.messages * options.fraction);
    const run = (count: number) => {
      const wanted = { ...load, messages: Math.ceil(count), ratePerSecond: 0 };
      const generator = options.generator.takes(testbed, wanted) ? options.generator : ownLoad;
      return generator.run(testbed, wanted).then((result) => ({ result, load: generator.name }));
    };
    await run(messages * WARM_UP_FRACTION);
    const results = [];
    for (let left = options.runs; left > 0; left--) results.push(await run(messages));
    results.sort((a, b) => a.result.ratePerSecond - b.result.ratePerSecond);
    const median = results[results.length >>> 1];
    if (median === undefined) throw new Error('no run');
    return { server: kind.name, scenario: scenario.name, ...median };
  });
}

async function withServer<T>(
  kind: ServerKind,
  use: (server: Awaited<ReturnType<ServerKind['start']>>) => Promise<T>,
): Promise<T> {
  const server = await kind.start();
  try {
    return await use(server);
  } finally {
    await server.stop();
  }
}
