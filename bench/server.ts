import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NodeProcess } from '../test/support/node-process.js';
import { cpuSecondsOf, rssBytesOf } from '../test/support/process-usage.js';

/** One AMQP server in a process of its own. */
export interface Server {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<unknown>;
}

export interface ServerKind {
  readonly name: string;
  /** What is missing on this machine, as the command that installs it; undefined when it can run. */
  readonly missing?: string | undefined;
  /** Keeps what is durable on disk, in a folder of its own that goes with it. */
  start(): Promise<Server>;
}

export const node: ServerKind = {
  name: 'node',
  async start() {
    const folder = await mkdtemp(join(tmpdir(), 'xspace-bench-'));
    const flags = ['--data-dir', folder, '--sync', 'always', '--log-level', 'warn'];
    const running = await NodeProcess.start({ name: 'bench', flags });
    const stop = async () => {
      await running.stop();
      await rm(folder, { recursive: true, force: true });
    };
    return { url: running.amqpUrl, pid: running.pid, stop };
  },
};

/** User and system time of these processes and all that they have started. */
export function cpuSecondsOfAll(pids: readonly number[]): number {
  return pids.flatMap(withDescendants).reduce((sum, pid) => sum + cpuSecondsOf(pid), 0);
}

export function rssBytesOfAll(pids: readonly number[]): number {
  return pids.flatMap(withDescendants).reduce((sum, pid) => sum + rssBytesOf(pid), 0);
}

function withDescendants(pid: number): readonly number[] {
  // proc(5): the children of a process are listed by the thread that started them.
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return [pid, ...(children === '' ? [] : children.split(' ').map(Number).flatMap(withDescendants))];
}
