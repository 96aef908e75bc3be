/**
 * Measures relaying between two nodes, one node alone, and RabbitMQ's exchange federation where it is installed.
 *
 *   npm run bench [-- options]
 *
 *   --systems relay,local,federation   which of them (all)
 *   --sizes 100,1024,65536             bytes of body
 *   --messages 500000                  per run; fewer where the bodies are large
 *   --rate 5000                        messages per second of the latency runs; fewer where the bodies are large
 *   --quick                            a tenth of the messages
 *   --json                             the result as JSON
 *
 * RELAYBENCH=/path/relaybench.c takes that C program as the load instead of our own.
 */
import { parseArgs } from 'node:util';
import type { LoadGenerator } from './load.js';
import { ownLoad } from './load.js';
import { rabbitmqFederation } from './rabbitmq-federation.js';
import { relaybench } from './relaybench.js';
import type { Measurement } from './report.js';
import { machine, table } from './report.js';
import type { System } from './testbed.js';
import { local, relay } from './testbed.js';

const MAX_RUN_BYTES = 1_024 * 2 ** 20;
const MAX_PACED_BYTES_PER_SECOND = 32 * 2 ** 20;
const PACED_SECONDS = 5;
/** Compilers warm up: the first messages of a process cost several times as much as later ones. */
const WARM_UP_FRACTION = 0.2;

const systems: Readonly<Record<string, System>> = { relay, local, federation: rabbitmqFederation };

const { values: options } = parseArgs({
  options: {
    systems: { type: 'string', default: Object.keys(systems).join(',') },
    sizes: { type: 'string', default: '100,1024,65536' },
    messages: { type: 'string', default: '500000' },
    rate: { type: 'string', default: '5000' },
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});

async function bench(): Promise<void> {
  const generator = process.env.RELAYBENCH ? await relaybench(process.env.RELAYBENCH) : ownLoad;
  const sizes = options.sizes.split(',').map((text) => positive('sizes', text));
  const measurements: Measurement[] = [];
  for (const name of options.systems.split(',')) {
    const system = systems[name];
    if (system === undefined)
      throw new Error(`--systems ${name}: there are ${Object.keys(systems).join(', ')}`);
    if (system.missing !== undefined)
      console.error(`${system.name} is left out; it needs: ${system.missing}`);
    else measurements.push(...(await measure(system, generator, sizes)));
  }
  if (options.json) console.log(JSON.stringify({ machine: machine(), measurements }, undefined, 2));
  else console.log(`${JSON.stringify(machine())}\n\n${table(measurements)}`);
  if (measurements.some(isFaulty)) process.exitCode = 1;
}

/** A testbed of its own for each size: no run inherits what an earlier one left behind. */
async function measure(
  system: System,
  generator: LoadGenerator,
  sizes: readonly number[],
): Promise<Measurement[]> {
  const measurements: Measurement[] = [];
  const mostMessages = positive('messages', options.messages) / (options.quick ? 10 : 1);
  for (const sizeBytes of sizes) {
    console.error(`${system.name}, ${sizeBytes} bytes …`);
    const messages = Math.ceil(Math.min(mostMessages, MAX_RUN_BYTES / sizeBytes));
    const rate = Math.min(positive('rate', options.rate), Math.floor(MAX_PACED_BYTES_PER_SECOND / sizeBytes));
    const measurement = await system.with(async (testbed) => {
      const run = (count: number, ratePerSecond: number) =>
        generator.run(testbed, { sizeBytes, messages: Math.ceil(count), ratePerSecond });
      await run(messages * WARM_UP_FRACTION, 0);
      return { full: await run(messages, 0), paced: await run(rate * PACED_SECONDS, rate) };
    });
    measurements.push({
      ...measurement,
      system: system.name,
      load: generator.name,
      sizeBytes,
      pacedRatePerSecond: rate,
    });
  }
  return measurements;
}

function isFaulty({ full, paced }: Measurement): boolean {
  return [full, paced].some(({ lost, duplicates, outOfOrder }) => lost + duplicates + outOfOrder > 0);
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
