import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { eventually } from './eventually.js';

/** The server itself: Debian's `rabbitmq-server` is a wrapper that insists on the system's data folder and user. */
const SERVER = '/usr/lib/rabbitmq/bin/rabbitmq-server';
/** How to get it, and the command that succeeds where it is there. */
export const rabbitmqTool = {
  install: 'apt-get install rabbitmq-server',
  check: ['test', '-x', SERVER],
} as const;
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 20_000;
const KEPT_LOG_LINES = 50;

export interface RabbitmqOptions {
  /** As `load_definitions` takes them; users, virtual hosts and permissions are those of a new server unless given. */
  readonly definitions?: object;
  readonly plugins?: readonly string[];
  /** Further lines of rabbitmq.conf. */
  readonly settings?: readonly string[];
  /** Keeps the server's data for a later start; by default it is gone when the server is. */
  readonly dataFolder?: string;
}

const newServer = {
  users: [{ name: 'guest', password: 'guest', tags: 'administrator' }],
  vhosts: [{ name: '/' }],
  permissions: [{ user: 'guest', vhost: '/', configure: '.*', write: '.*', read: '.*' }],
};

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/**
 * RabbitMQ in a process of its own, as whatever user runs this: on ports that the system picks, with data, cookie and
 * Erlang port mapper of its own, so that any number run beside each other and beside the machine's service.
 */
export class RabbitmqProcess {
  readonly host = '127.0.0.1';
  readonly port: number;
  /** With the default user: some clients take none from a URL without. */
  readonly amqpUrl: string;
  readonly pid: number;
  readonly #server: ChildProcess;
  readonly #portMapper: ChildProcess;
  readonly #scratch: string;

  private constructor(server: ChildProcess, portMapper: ChildProcess, port: number, scratch: string) {
    this.port = port;
    this.amqpUrl = `amqp://guest:guest@${this.host}:${port}`;
    this.pid = server.pid ?? 0;
    this.#server = server;
    this.#portMapper = portMapper;
    this.#scratch = scratch;
  }

  static isInstalled(): boolean {
    return existsSync(SERVER);
  }

  /** Resolves when clients can connect. Rejects, with what the server logged, when that takes too long. */
  static async start(options: RabbitmqOptions = {}): Promise<RabbitmqProcess> {
    const scratch = await mkdtemp(join(tmpdir(), 'xspace-rabbitmq-'));
    const [port, distPort, mapperPort] = await freePorts();
    const mapper = { ERL_EPMD_PORT: String(mapperPort), ERL_EPMD_ADDRESS: '127.0.0.1' };
    const portMapper = child('epmd', mapper);
    const server = child(SERVER, {
      ...mapper,
      ...(await files(scratch, port, options)),
      HOME: scratch, // where the cookie is
      RABBITMQ_NODENAME: 'rabbit@localhost',
      RABBITMQ_DIST_PORT: String(distPort),
      // The script becomes the server, and does not stay as a parent of its own that a signal would reach instead.
      RABBITMQ_ALLOW_INPUT: '1',
      RABBITMQ_SERVER_START_ARGS: '-noinput',
    });
    const logs = lastLinesOf(server);
    const rabbitmq = new RabbitmqProcess(server, portMapper, port, scratch);
    try {
      await eventually(() => {
        if (hasEnded(server)) throw new Error('it has ended');
        return reachable(port);
      }, START_TIMEOUT_MS);
    } catch (error) {
      await rabbitmq.kill();
      throw new Error(`RabbitMQ did not start: ${logs.join('\n')}`, { cause: error });
    }
    return rabbitmq;
  }

  /** As an init system stops a service: what is durable is in the data folder afterwards. */
  async stop(): Promise<void> {
    this.#server.kill('SIGTERM');
    const timer = setTimeout(() => this.#server.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await this.#ended();
    clearTimeout(timer);
  }

  async kill(): Promise<void> {
    this.#server.kill('SIGKILL');
    await this.#ended();
  }

  async #ended(): Promise<void> {
    await ended(this.#server);
    this.#portMapper.kill('SIGKILL');
    await ended(this.#portMapper);
    await rm(this.#scratch, { recursive: true, force: true });
  }
}

/** Writes the server's configuration and returns the environment variables that name its files. */
async function files(scratch: string, port: number, options: RabbitmqOptions): Promise<object> {
  const { definitions, plugins = [], settings = [], dataFolder = join(scratch, 'data') } = options;
  const path = { conf: 'rabbitmq.conf', definitions: 'definitions.json', plugins: 'enabled_plugins' };
  const at = (file: keyof typeof path) => join(scratch, path[file]);
  const conf = [
    `listeners.tcp.default = 127.0.0.1:${port}`,
    `load_definitions = ${at('definitions')}`,
    'log.console.level = error',
    ...settings,
  ];
  await mkdir(dataFolder, { recursive: true });
  await writeFile(at('conf'), `${conf.join('\n')}\n`);
  await writeFile(at('definitions'), JSON.stringify({ ...newServer, ...definitions }));
  await writeFile(at('plugins'), `[${plugins.join(',')}].`);
  return {
    RABBITMQ_MNESIA_BASE: dataFolder,
    RABBITMQ_LOG_BASE: scratch,
    RABBITMQ_CONFIG_FILE: at('conf'),
    RABBITMQ_CONF_ENV_FILE: join(scratch, 'none'), // the machine's would set another node name
    RABBITMQ_ENABLED_PLUGINS_FILE: at('plugins'),
    RABBITMQ_PID_FILE: join(scratch, 'pid'),
  };
}

function child(command: string, env: object): ChildProcess {
  const started = spawn(command, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'ignore'] });
  running.add(started);
  started.once('exit', () => running.delete(started));
  started.once('error', () => running.delete(started)); // it is not there: what needs it says so
  return started;
}

function lastLinesOf({ stdout }: ChildProcess): readonly string[] {
  const lines: string[] = [];
  if (stdout === null) return lines;
  createInterface({ input: stdout }).on('line', (line) => {
    lines.push(line);
    if (lines.length > KEPT_LOG_LINES) lines.shift();
  });
  return lines;
}

function hasEnded({ pid, exitCode, signalCode }: ChildProcess): boolean {
  return pid === undefined || exitCode !== null || signalCode !== null;
}

async function ended(process: ChildProcess): Promise<void> {
  if (!hasEnded(process)) await once(process, 'exit');
}

async function reachable(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
  } finally {
    socket.destroy();
  }
}

/** Three ports that nobody listens on. */
async function freePorts(): Promise<readonly [number, number, number]> {
  const servers = [createServer(), createServer(), createServer()] as const;
  const ports = servers.map(async (server) => {
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  });
  const [a = 0, b = 0, c = 0] = await Promise.all(ports);
  for (const server of servers) server.close();
  return [a, b, c];
}
