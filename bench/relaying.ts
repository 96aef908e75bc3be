import type { LoadGenerator } from './load.js';
import type { Measurement } from './report.js';
import type { System } from './testbed.js';

export interface RelayingOptions {
  readonly generator: LoadGenerator;
  readonly sizes: readonly number[];
  readonly messages: number;
  readonly ratePerSecond: number;
}

const MAX_RUN_BYTES = 1_024 * 2 ** 20;
const MAX_PACED_BYTES_PER_SECOND = 32 * 2 ** 20;
const PACED_SECONDS = 5;
/** Compilers warm up: the first messages of a process cost several times as much as later ones. */
const WARM_UP_FRACTION = 0.2;

/** A testbed of its own for each size: no run inherits what an earlier one left behind. */
export async function measureRelaying(system: System, options: RelayingOptions): Promise<Measurement[]> {
  const measurements: Measurement[] = [];
  const { generator } = options;
  for (const sizeBytes of options.sizes) {
    console.error(`${system.name}, ${sizeBytes} bytes …`);
    const messages = Math.ceil(Math.min(options.messages, MAX_RUN_BYTES / sizeBytes));
    const rate = Math.min(options.ratePerSecond, Math.floor(MAX_PACED_BYTES_PER_SECOND / sizeBytes));
    const measurement = await system.with(async (testbed) => {
      const run = (count: number, ratePerSecond: number) =>
        generator.run(testbed, { sizeBytes, messages: Math.ceil(count), ratePerSecond });
      await run(messages * WARM_UP_FRACTION, 0);
      return { full: await run(messages, 0), paced: await run(rate * PACED_SECONDS, rate) };
    });
    const what = { system: system.name, load: generator.name, sizeBytes, pacedRatePerSecond: rate };
    measurements.push({ ...measurement, ...what });
  }
  return measurements;
}
