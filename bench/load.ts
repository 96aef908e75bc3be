import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import type { Testbed } from './testbed.js';

export interface LoadOptions {
  readonly sizeBytes: number;
  readonly messages: number;
  /** 0: as fast as the server takes them. */
  readonly ratePerSecond: number;
  /** Messages of delivery-mode 2. */
  readonly persistent?: boolean;
  /** So many messages may be unconfirmed; 0: the publisher asks for no confirms. */
  readonly confirmWindow?: number;
  /** So many deliveries may be unacknowledged, and each is acknowledged by itself; 0: none is. */
  readonly prefetch?: number;
}

export interface LoadResult {
  /** Confirmed, where nobody consumes. */
  readonly received: number;
  readonly lost: number;
  readonly duplicates: number;
  readonly outOfOrder: number;
  /** Messages received, by all consumers together. */
  readonly ratePerSecond: number;
  /** From the publisher's write to the consumer's read. */
  readonly p50Us: number;
  readonly p99Us: number;
  /** Per message received, all server processes together. */
  readonly serverCpuUsPerMessage: number;
  /** What the load itself cost: it shares the processors with the servers. Undefined where it is not known. */
  readonly loadCpuUsPerMessage?: number;
}

/** Something that publishes to one end of a testbed and consumes at the other, outside of this process. */
export interface LoadGenerator {
  readonly name: string;
  /** Whether it can make this kind of load. */
  takes(testbed: Testbed, options: LoadOptions): boolean;
  run(testbed: Testbed, options: LoadOptions): Promise<LoadResult>;
}

export const ownLoad: LoadGenerator = {
  name: 'bench',
  takes: () => true,
  async run(testbed, options) {
    const program = fileURLToPath(new URL('load-process.js', import.meta.url));
    const child = spawn(process.execPath, [program], { stdio: ['pipe', 'pipe', 'inherit'] });
    child.stdin.end(JSON.stringify({ ...testbed, ...options }));
    const [result, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
    if (code !== 0) throw new Error(`the load ended with ${code}`);
    return JSON.parse(result);
  },
};
