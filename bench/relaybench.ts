import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { projectRoot } from '../test/support/node-process.js';
import type { LoadGenerator } from './load.js';

const run = promisify(execFile);

/**
 * The load of a C program (RELAYBENCH=/path/relaybench.c, on librabbitmq) instead of our own: the same client for
 * every system, and no code of ours at either end.
 */
export async function relaybench(source: string): Promise<LoadGenerator> {
  const folder = join(projectRoot, 'bench', 'build');
  const program = join(folder, 'relaybench');
  await mkdir(folder, { recursive: true });
  try {
    await run('cc', ['-O2', '-o', program, source, '-lrabbitmq', '-lpthread']);
  } catch (error) {
    throw new Error(`${source} does not compile; it needs: apt-get install gcc librabbitmq-dev`, {
      cause: error,
    });
  }
  return {
    name: 'relaybench',
    // It neither acknowledges nor changes its routing key, and counts what is consumed.
    takes: ({ queues, routingKeys }, { prefetch }) =>
      routingKeys.length === 1 && queues.length > 0 && !prefetch,
    async run(testbed, { confirmWindow, messages, persistent, ratePerSecond, sizeBytes }) {
      const args = [
        ...['-p', endpoint(testbed.publishUrl), '-x', testbed.exchange, '-k', testbed.routingKeys[0] ?? ''],
        ...testbed.queues.flatMap((queue) => ['-s', endpoint(testbed.consumeUrl), '-q', queue]),
        ...['-P', testbed.pids.join(','), '-n', String(messages), '-z', String(sizeBytes)],
        ...(ratePerSecond === 0 ? [] : ['-r', String(ratePerSecond)]),
        ...(confirmWindow ? ['-c', String(confirmWindow)] : []),
        ...(persistent ? ['-d'] : []),
      ];
      // It ends with 1 when messages were lost, and its result says how many.
      const { stdout } = await run(program, args).catch((error) => {
        if (error.code === 1) return error;
        throw error;
      });
      const result = JSON.parse(stdout);
      return {
        received: result.received,
        lost: result.lost,
        duplicates: result.duplicates,
        outOfOrder: result.out_of_order,
        ratePerSecond: result.rate,
        p50Us: result.p50_us,
        p99Us: result.p99_us,
        serverCpuUsPerMessage: result.server_cpu_us_per_msg,
      };
    },
  };
}

function endpoint(url: string): string {
  const { hostname, port } = new URL(url);
  return `${hostname}:${port}`;
}
