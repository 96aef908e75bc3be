/**
 * Measures one node beside RabbitMQ, and relaying between two nodes beside RabbitMQ's exchange federation, where
 * RabbitMQ is installed, and what it takes to join a space of many nodes; and says for what there are targets whether
 * they are met.
 *
 *   npm run bench [-- options]
 *
 *   --systems node,rabbitmq,dht,prototype,federation,joins   which of them (all)
 *   --only acks                        of one server: scenarios whose name contains it (all)
 *   --runs 3                           of one server, and of joins: the median of so many counts
 *   --idle 5000                        of one server: so many idle connections
 *   --sizes 100,1024,65536             relaying: bytes of body
 *   --messages 500000                  relaying: per run; fewer where the bodies are large
 *   --rate 5000                        relaying: messages per second of the latency runs
 *   --nodes 10,20,50,100               joins: nodes of the overlay, the newcomer included; up to 50 are members
 *   --quick                            a tenth of the messages
 *   --json                             the result as JSON
 *
 * RELAYBENCH=/path/relaybench.c takes that C program as the load where it can make it, instead of our own.
 * 5,000 idle connections need as many open files: ulimit -n 12000.
 */
import { parseArgs } from 'node:util';
import type { JoinFigures } from './joins.js';
import { measureJoins } from './joins.js';
import { ownLoad } from './load.js';
import type { Figures, IdleFigures } from './one-server.js';
import { measureServers } from './one-server.js';
import { rabbitmq } from './rabbitmq.js';
import { rabbitmqFederation } from './rabbitmq-federation.js';
import { relaybench } from './relaybench.js';
import { measureRelaying } from './relaying.js';
import type { Measurement } from './report.js';
import { idleTable, joinsTable, machine, oneServerTable, relayingTable, targetsTable } from './report.js';
import { node } from './server.js';
import { joinVerdicts, relayingVerdicts, verdicts } from './targets.js';
import { relay } from './testbed.js';

const servers = { node, rabbitmq } as const;
const relays = { dht: relay('dht'), prototype: relay('prototype'), federation: rabbitmqFederation } as const;
const JOINS = 'joins';
const NAMES = [...Object.keys(servers), ...Object.keys(relays), JOINS];
const QUICK_FRACTION = 0.1;

interface Measured {
  readonly figures: readonly Figures[];
  readonly idle: readonly IdleFigures[];
  readonly relaying: readonly Measurement[];
  readonly joins: readonly JoinFigures[];
}

const { values: options } = parseArgs({
  options: {
    systems: { type: 'string', default: NAMES.join(',') },
    only: { type: 'string' },
    runs: { type: 'string', default: '3' },
    idle: { type: 'string', default: '5000' },
    sizes: { type: 'string', default: '100,1024,65536' },
    messages: { type: 'string', default: '500000' },
    rate: { type: 'string', default: '5000' },
    nodes: { type: 'string', default: '10,20,50,100' },
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});

async function bench(): Promise<void> {
  const chosen = options.systems.split(',');
  const unknown = chosen.find((name) => !NAMES.includes(name));
  if (unknown !== undefined) throw new Error(`--systems ${unknown}: there are ${NAMES.join(', ')}`);
  const generator = process.env.RELAYBENCH ? await relaybench(process.env.RELAYBENCH) : ownLoad;
  const fraction = options.quick ? QUICK_FRACTION : 1;

  const runs = positive('runs', options.runs);

  const { figures, idle } = await measureServers(runnable(servers, chosen), {
    generator,
    fraction,
    runs,
    idleConnections: positive('idle', options.idle),
    only: options.only,
  });
  const relaying: Measurement[] = [];
  for (const system of runnable(relays, chosen)) {
    const sizes = options.sizes.split(',').map((text) => positive('sizes', text));
    const messages = positive('messages', options.messages) * fraction;
    const ratePerSecond = positive('rate', options.rate);
    relaying.push(...(await measureRelaying(system, { generator, sizes, messages, ratePerSecond })));
  }
  const sizes = options.nodes.split(',').map((text) => positive('nodes', text));
  const joins = chosen.includes(JOINS) ? await measureJoins(sizes, { runs }) : [];
  print({ figures, idle, relaying, joins });
  const results = [
    ...figures.map(({ result }) => result),
    ...relaying.flatMap(({ full, paced }) => [full, paced]),
  ];
  if (results.some(({ lost, duplicates, outOfOrder }) => lost + duplicates + outOfOrder > 0))
    process.exitCode = 1;
}

function runnable<T extends { readonly name: string; readonly missing?: string | undefined }>(
  systems: Readonly<Record<string, T>>,
  chosen: readonly string[],
): readonly T[] {
  return Object.entries(systems).flatMap(([name, system]) => {
    if (!chosen.includes(name)) return [];
    if (system.missing === undefined) return [system];
    console.error(`${system.name} is left out; it needs: ${system.missing}`);
    return [];
  });
}

function print({ figures, idle, relaying, joins }: Measured): void {
  const reached = [
    ...(figures.length + idle.length > 0 ? verdicts(figures, idle) : []),
    ...relayingVerdicts(relaying),
    ...(joins.length > 0 ? joinVerdicts(joins) : []),
  ];
  if (options.json) {
    console.log(
      JSON.stringify({ machine: machine(), figures, idle, targets: reached, relaying, joins }, undefined, 2),
    );
    return;
  }
  console.log(`${JSON.stringify(machine())}\n`);
  if (figures.length > 0) console.log(oneServerTable(figures));
  if (idle.length > 0) console.log(idleTable(idle));
  if (reached.length > 0) console.log(targetsTable(reached));
  if (relaying.length > 0) console.log(relayingTable(relaying));
  if (joins.length > 0) console.log(joinsTable(joins));
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new Error(`--${name}: expected a positive integer, found '${text}'`);
}

bench().catch((error) => {
  console.error(error.message, error.cause ?? '');
  process.exitCode = 1;
});
