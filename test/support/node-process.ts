import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { cpuSecondsOf, rssBytesOf } from './process-usage.js';

const READY_TIMEOUT_MS = 20_000;
/** A node drains and stops within 10 s of SIGTERM; whatever needs longer hangs. */
const STOP_TIMEOUT_MS = 12_000;
const KEPT_LOG_LINES = 2_000;

export interface NodeOptions {
  readonly name?: string;
  /** `host:port`; a port of a node that was there before lets a restarted one take its place. */
  readonly amqpListen?: string;
  /** A multiaddr. */
  readonly overlayListen?: string;
  /** `host:port` of its management listener; without it there is none. */
  readonly managementListen?: string;
  /** Without `--data-dir` it keeps nothing. */
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** A command to run the node with, as `['ip', 'netns', 'exec', 'left']`. It must exec: the pid stays the node's. */
  readonly prefix?: readonly string[];
}

/** The JSON object that a node prints to standard output when it is ready. */
interface ReadyLine {
  readonly event: 'ready';
  readonly amqp: readonly string[];
  readonly amqps?: readonly string[];
  readonly overlay: readonly string[];
  readonly management: string | null;
  readonly peerId: string;
}

export interface ExitStatus {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** The folder of package.json: this file runs from its source and from the build. */
export const projectRoot = folderAbove(dirname(fileURLToPath(import.meta.url)), 'package.json');

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** One `xspace start` in a process of its own, on ports that the system picks, as an operator would run it. */
export class NodeProcess {
  readonly name: string;
  readonly pid: number;
  /** With the default user: some clients take none from a URL without. */
  readonly amqpUrl: string;
  /** Its listeners with TLS, as `amqps://host:port`. */
  readonly amqps: readonly string[];
  readonly host: string;
  readonly port: number;
  /** Multiaddrs that end in `/p2p/<peerId>`: what other nodes take as seeds. */
  readonly overlay: readonly string[];
  /** `http://host:port`, or `null`. */
  readonly management: string | null;
  readonly peerId: string;
  /** Settles when the process has ended, whatever ended it. */
  readonly exited: Promise<ExitStatus>;
  readonly #child: ChildProcess;
  readonly #logs: readonly string[];

  private constructor(name: string, child: ChildProcess, ready: ReadyLine, logs: readonly string[]) {
    const { hostname, port } = new URL(ready.amqp[0] ?? '');
    this.name = name;
    this.pid = child.pid ?? 0;
    this.amqpUrl = `amqp://guest:guest@${hostname}:${port}`;
    this.amqps = ready.amqps ?? [];
    this.host = hostname;
    this.port = Number(port);
    this.overlay = ready.overlay;
    this.management = ready.management;
    this.peerId = ready.peerId;
    this.exited = exitOf(child);
    this.#child = child;
    this.#logs = logs;
  }

  /** Resolves at the node's ready line. Rejects, with what the node logged, when it ends or is silent instead. */
  static async start(options: NodeOptions = {}): Promise<NodeProcess> {
    const name = options.name ?? 'node';
    const [command = process.execPath, ...args] = [...(options.prefix ?? []), ...commandLine(name, options)];
    const child = spawn(command, args, {
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(child);
    child.once('exit', () => running.delete(child));
    const logs: string[] = [];
    createInterface({ input: child.stderr }).on('line', (line) => {
      logs.push(line);
      if (logs.length > KEPT_LOG_LINES) logs.shift();
    });
    try {
      return new NodeProcess(name, child, await readyLineOf(child), logs);
    } catch (error) {
      child.kill('SIGKILL');
      throw new Error(`node ${name} did not start: ${logs.slice(-20).join('\n')}`, { cause: error });
    }
  }

  /** The log lines so far: JSON objects, the newest {@link KEPT_LOG_LINES}. */
  get logs(): readonly string[] {
    return this.#logs;
  }

  cpuSeconds(): number {
    return cpuSecondsOf(this.pid);
  }

  rssBytes(): number {
    return rssBytesOf(this.pid);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** SIGTERM, as an init system stops a service. Rejects when the node does not end in time, and then kills it. */
  async stop(): Promise<ExitStatus> {
    this.signal('SIGCONT'); // a stopped process would not see the SIGTERM
    this.signal('SIGTERM');
    const timer = setTimeout(() => this.signal('SIGKILL'), STOP_TIMEOUT_MS);
    const status = await this.exited;
    clearTimeout(timer);
    if (status.signal === 'SIGKILL') {
      throw new Error(`node ${this.name} was still there ${STOP_TIMEOUT_MS} ms after SIGTERM`);
    }
    return status;
  }

  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.exited;
  }
}

function commandLine(name: string, options: NodeOptions): string[] {
  return [
    process.execPath,
    join(projectRoot, 'dist', 'cli.js'),
    'start',
    ...['--name', name, '--log-format', 'json'],
    ...['--amqp-listen', options.amqpListen ?? '127.0.0.1:0'],
    ...['--overlay-listen', options.overlayListen ?? '/ip4/127.0.0.1/tcp/0'],
    ...['--management-listen', options.managementListen ?? 'off'],
    ...(options.flags?.includes('--data-dir') ? [] : ['--in-memory']),
    ...(options.flags ?? []),
  ];
}

async function readyLineOf(child: ChildProcess): Promise<ReadyLine> {
  if (child.stdout === null) throw new Error('no standard output');
  const lines = createInterface({ input: child.stdout });
  const signal = AbortSignal.timeout(READY_TIMEOUT_MS);
  const ended = once(child, 'exit', { signal }).then(([code, signalName]) => {
    throw new Error(`it ended with ${signalName ?? `code ${code}`} before it was ready`);
  });
  const [line] = await Promise.race([once(lines, 'line', { signal }), ended]);
  ended.catch(() => undefined); // it ends one day, and that is news for `exited` only
  return JSON.parse(line);
}

async function exitOf(child: ChildProcess): Promise<ExitStatus> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return { code: child.exitCode, signal: child.signalCode };
}

function folderAbove(folder: string, file: string): string {
  return existsSync(join(folder, file)) ? folder : folderAbove(dirname(folder), file);
}
