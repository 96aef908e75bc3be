import type { ChildProcess } from 'node:child_process';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Server, ServerKind } from './server.js';
import { onChannel } from './testbed.js';

const run = promisify(execFile);
/** The server itself: Debian's `rabbitmq-server` is a wrapper that insists on the system's data folder and user. */
const SERVER = '/usr/lib/rabbitmq/bin/rabbitmq-server';
const START_LIMIT_MS = 60_000;
const POLL_MS = 100;

/** The command that installs it; undefined where it is installed. */
export const rabbitmqMissing = existsSync(SERVER) ? undefined : 'apt-get install rabbitmq-server';

const GUEST = {
  users: [{ name: 'guest', password: 'guest', tags: 'administrator' }],
  vhosts: [{ name: '/' }],
  permissions: [{ user: 'guest', vhost: '/', configure: '.*', write: '.*', read: '.*' }],
};

/** Servers with a folder and a port mapper of their own: they meet no other RabbitMQ of this machine. */
export class RabbitmqServers {
  readonly #folder: string;
  readonly #env: Readonly<Record<string, string>>;
  readonly #servers: Server[] = [];

  private constructor(folder: string, epmdPort: number) {
    this.#folder = folder;
    this.#env = { HOME: folder, ERL_EPMD_PORT: String(epmdPort), ERL_EPMD_ADDRESS: '127.0.0.1' };
  }

  static async create(): Promise<RabbitmqServers> {
    return new RabbitmqServers(await mkdtemp(join(tmpdir(), 'xspace-rabbitmq-')), await freePort());
  }

  /** `definitions`: what its virtual host starts with, beside the default user. */
  async start(name: string, plugins: readonly string[] = [], definitions: object = {}): Promise<Server> {
    const server = await startServer(join(this.#folder, name), name, this.#env, plugins, {
      ...GUEST,
      ...definitions,
    });
    this.#servers.push(server);
    return server;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.stop()));
    // Erlang leaves its port mapper behind; this one is ours.
    const env = { ...process.env, ...this.#env };
    await run('epmd', ['-port', this.#env.ERL_EPMD_PORT ?? '', '-kill'], { env }).catch(() => undefined);
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** One RabbitMQ as Debian configures it. */
export const rabbitmq: ServerKind = {
  name: 'RabbitMQ',
  missing: rabbitmqMissing,
  async start() {
    const servers = await RabbitmqServers.create();
    try {
      const { pid, url } = await servers.start('only');
      return { pid, url, stop: () => servers.stop() };
    } catch (error) {
      await servers.stop();
      throw error;
    }
  },
};

async function startServer(
  folder: string,
  name: string,
  env: object,
  plugins: readonly string[],
  definitions: object,
): Promise<Server> {
  await mkdir(folder);
  const port = await freePort();
  const path = (file: string) => join(folder, file);
  await writeFile(path('enabled_plugins'), `[${plugins.join(',')}].`);
  await writeFile(path('definitions.json'), JSON.stringify(definitions));
  const settings = [
    `listeners.tcp.default = 127.0.0.1:${port}`,
    `load_definitions = ${path('definitions.json')}`,
    'log.console.level = error',
  ];
  await writeFile(path('rabbitmq.conf'), settings.map((line) => `${line}\n`).join(''));
  const child = spawn(SERVER, [], {
    env: {
      ...process.env,
      ...env,
      RABBITMQ_NODENAME: `xspace-bench-${name}-${process.pid}@localhost`,
      RABBITMQ_DIST_PORT: String(await freePort()),
      RABBITMQ_MNESIA_BASE: folder,
      RABBITMQ_LOG_BASE: folder,
      RABBITMQ_CONFIG_FILE: path('rabbitmq.conf'),
      RABBITMQ_ENABLED_PLUGINS_FILE: path('enabled_plugins'),
      RABBITMQ_PID_FILE: path('pid'),
    },
    stdio: 'ignore',
  });
  const url = `amqp://127.0.0.1:${port}`;
  const stop = () => stopServer(child);
  try {
    await eventually(() => onChannel(url, async () => undefined));
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, pid: Number(await readFile(path('pid'), 'utf8')), stop };
}

async function stopServer(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}

export async function eventually(attempt: () => Promise<unknown>): Promise<void> {
  for (const deadline = Date.now() + START_LIMIT_MS; ; await setTimeout(POLL_MS)) {
    try {
      await attempt();
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
