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
import type { System } from './testbed.js';
import { bindQueue, ends, onChannel, QUEUE, ROUTING_KEY } from './testbed.js';

const run = promisify(execFile);
/** The server itself: Debian's `rabbitmq-server` is a wrapper that insists on the system's data folder and user. */
const SERVER = '/usr/lib/rabbitmq/bin/rabbitmq-server';
const EXCHANGE = 'federated';
const START_LIMIT_MS = 60_000;
const POLL_MS = 100;

/** Two RabbitMQ servers, an exchange on the second federated with the one of the same name on the first. */
export const rabbitmqFederation: System = {
  name: 'RabbitMQ exchange federation',
  missing: existsSync(SERVER) ? undefined : 'apt-get install rabbitmq-server',
  async with(use) {
    const folder = await mkdtemp(join(tmpdir(), 'xspace-rabbitmq-'));
    const epmdPort = await freePort();
    const env = { HOME: folder, ERL_EPMD_PORT: String(epmdPort), ERL_EPMD_ADDRESS: '127.0.0.1' };
    const servers: Server[] = [];
    try {
      const near = await startServer(folder, 'near', env, {});
      servers.push(near);
      const far = await startServer(folder, 'far', env, federationWith(near.url));
      servers.push(far);
      await onChannel(far.url, async (channel) => {
        await channel.assertExchange(EXCHANGE, 'topic', { durable: false });
        await bindQueue(channel, EXCHANGE);
      });
      await linked(near.url, far.url);
      const pids = servers.map((server) => server.pid);
      return await use({ ...ends(near.url, far.url), exchange: EXCHANGE, pids });
    } finally {
      await Promise.all(servers.map((server) => server.stop()));
      // Erlang leaves its port mapper behind; this one is ours.
      await run('epmd', ['-port', String(epmdPort), '-kill'], { env: { ...process.env, ...env } }).catch(
        () => {},
      );
      await rm(folder, { recursive: true, force: true });
    }
  },
};

interface Server {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

async function startServer(parent: string, name: string, env: object, definitions: object): Promise<Server> {
  const folder = join(parent, name);
  await mkdir(folder);
  const port = await freePort();
  const files = {
    conf: 'rabbitmq.conf',
    definitions: 'definitions.json',
    plugins: 'enabled_plugins',
    pid: 'pid',
  };
  const path = (file: keyof typeof files) => join(folder, files[file]);
  await writeFile(path('plugins'), '[rabbitmq_federation].');
  await writeFile(path('definitions'), JSON.stringify({ ...GUEST, ...definitions }));
  await writeFile(
    path('conf'),
    `listeners.tcp.default = 127.0.0.1:${port}\nload_definitions = ${path('definitions')}\nlog.console.level = error\n`,
  );
  const child = spawn(SERVER, [], {
    env: {
      ...process.env,
      ...env,
      RABBITMQ_NODENAME: `xspace-bench-${name}-${process.pid}@localhost`,
      RABBITMQ_DIST_PORT: String(await freePort()),
      RABBITMQ_MNESIA_BASE: folder,
      RABBITMQ_LOG_BASE: folder,
      RABBITMQ_CONFIG_FILE: path('conf'),
      RABBITMQ_ENABLED_PLUGINS_FILE: path('plugins'),
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

const GUEST = {
  users: [{ name: 'guest', password: 'guest', tags: 'administrator' }],
  vhosts: [{ name: '/' }],
  permissions: [{ user: 'guest', vhost: '/', configure: '.*', write: '.*', read: '.*' }],
};

/** As one would configure it for speed: no acknowledgements between the servers. */
function federationWith(url: string): object {
  return {
    parameters: [
      {
        vhost: '/',
        component: 'federation-upstream',
        name: 'near',
        value: { uri: url, 'ack-mode': 'no-ack' },
      },
    ],
    policies: [
      {
        vhost: '/',
        name: 'federate',
        pattern: `^${EXCHANGE}$`,
        'apply-to': 'exchanges',
        definition: { 'federation-upstream': 'near' },
      },
    ],
  };
}

/** Waits until what is published at one end is in the queue at the other, and leaves the queue empty. */
async function linked(nearUrl: string, farUrl: string): Promise<void> {
  await onChannel(nearUrl, async (near) => {
    await near.assertExchange(EXCHANGE, 'topic', { durable: false });
    const probe = (text: string) => near.publish(EXCHANGE, ROUTING_KEY, Buffer.from(text));
    await onChannel(farUrl, async (far) => {
      const next = async () => {
        const message = await far.get(QUEUE, { noAck: true });
        if (message === false) throw new Error('the federation link is not up');
        return message.content.toString();
      };
      await eventually(() => {
        probe('first');
        return next();
      });
      probe('last'); // arrives after every probe before it
      await eventually(async () => {
        while ((await next()) !== 'last');
      });
    });
  });
}

async function stopServer(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}

async function eventually(attempt: () => Promise<unknown>): Promise<void> {
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
