import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Testbed } from './testbed.js';

const run = promisify(execFile);

export interface LoadOptions {
  readonly sizeBytes: number;
  readonly messages: number;
  /** 0: as fast as the server takes them. */
  readonly ratePerSecond: number;
}

export interface LoadResult {
  readonly received: number;
  readonly lost: number;
  readonly duplicates: number;
  readonly outOfOrder: number;
  readonly ratePerSecond: number;
  /** From the publisher's write to the consumer's read. */
  readonly p50Us: number;
  readonly p99Us: number;
  /** All server processes together. */
  readonly serverCpuUsPerMessage: number;
  /** What the load itself cost: it shares the processors with the servers. Undefined where it is not known. */
  readonly loadCpuUsPerMessage?: number;
}

/** Something that publishes to one end of a testbed and consumes at the other, outside of this process. */
export interface LoadGenerator {
  readonly name: string;
  run(testbed: Testbed, options: LoadOptions): Promise<LoadResult>;
}

export const ownLoad: LoadGenerator = {
  name: 'bench',
  async run(testbed, options) {
    const program = fileURLToPath(new URL('load-process.js', import.meta.url));
    const { stdout } = await run(process.execPath, [program, JSON.stringify({ ...testbed, ...options })]);
    return JSON.parse(stdout);
  },
};
