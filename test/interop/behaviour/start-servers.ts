import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { TestProject } from 'vitest/node';
import { NodeProcess, projectRoot } from '../../support/node-process.js';
import { RabbitmqProcess } from '../../support/rabbitmq-process.js';
import type { Account } from './accounts.js';
import { guest, accounts as namedAccounts, virtualHosts } from './accounts.js';
import { patternAccounts } from './name-patterns.js';

/** Which of the servers; a test that is being written is right when RabbitMQ alone says so. */
const wanted = (process.env.SERVERS ?? 'rabbitmq,node').split(',');

const accounts = [...namedAccounts, ...patternAccounts];

declare module 'vitest' {
  interface ProvidedContext {
    /** Port of each server that runs; 0 where it does not. */
    rabbitmqPort: number;
    nodePort: number;
  }
}

/** One server of each kind for the whole run: the tests keep apart by the names of what they declare. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'xspace-behaviour-'));
  const starts = await Promise.allSettled([
    wanted.includes('rabbitmq') && RabbitmqProcess.isInstalled() ? startRabbitmq() : undefined,
    wanted.includes('node') ? startNode(folder) : undefined,
  ]);
  const [rabbitmq, node] = starts.map((start) => (start.status === 'fulfilled' ? start.value : undefined));
  const teardown = async () => {
    await Promise.all([rabbitmq?.stop(), node?.stop()]);
    await rm(folder, { recursive: true, force: true });
  };
  for (const start of starts) {
    if (start.status === 'fulfilled') continue;
    await teardown();
    throw start.reason;
  }
  project.provide('rabbitmqPort', rabbitmq?.port ?? 0);
  project.provide('nodePort', node?.port ?? 0);
  return teardown;
}

function startRabbitmq(): Promise<RabbitmqProcess> {
  return RabbitmqProcess.start({
    definitions: {
      users: accounts.map(({ name, password, tags }) => ({ name, password, tags: tags.join(',') })),
      vhosts: virtualHosts.map((name) => ({ name })),
      permissions: accounts.flatMap(({ name, permissions }) =>
        permissions.map((permission) => ({ user: name, ...permission })),
      ),
    },
  });
}

async function startNode(folder: string): Promise<NodeProcess> {
  for (const vhost of virtualHosts) if (vhost !== '/') await xspace(folder, 'vhost', 'add', vhost);
  for (const account of accounts) await addTo(folder, account);
  return NodeProcess.start({ flags: ['--data-dir', folder] });
}

async function addTo(folder: string, { name, password, tags, permissions }: Account): Promise<void> {
  const tagged = tags.length === 0 ? [] : ['--tags', tags.join(',')];
  if (name !== guest.name) await xspace(folder, 'user', 'add', name, '--password', password, ...tagged);
  for (const { vhost, configure, write, read } of permissions) {
    const expressions = ['--configure', configure, '--write', write, '--read', read];
    await xspace(folder, 'permission', 'set', name, '--vhost', vhost, ...expressions);
  }
}

async function xspace(folder: string, ...args: string[]): Promise<void> {
  const cli = join(projectRoot, 'dist', 'cli.js');
  await promisify(execFile)(process.execPath, [cli, ...args, '--data-dir', folder]);
}
