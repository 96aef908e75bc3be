import { isIPv4, isIPv6 } from 'node:net';
import { hostname } from 'node:os';
import type { Multiaddr } from '@multiformats/multiaddr';
import { multiaddr } from '@multiformats/multiaddr';
import { parseSeeds } from './dht-space/index.js';
import { parseMemoryLimit } from './memory-limit.js';

/** The settings of a node, checked. */
export interface NodeConfig {
  /** Shown to peers and people; never trusted. */
  readonly name: string;
  readonly amqpListen: readonly Endpoint[];
  /** Multiaddrs. */
  readonly overlayListen: readonly string[];
  readonly seeds: readonly Multiaddr[];
  readonly memoryLimitBytes: number;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
}

export interface Endpoint {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
}

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export const LOG_FORMATS = ['text', 'json'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

const MAX_PORT = 65_535;

/** Settings as they are given: texts from flags and environment variables. */
export interface RawConfig {
  readonly name?: string;
  readonly amqpListen?: readonly string[];
  readonly overlayListen?: readonly string[];
  readonly seeds?: string;
  readonly memoryLimit?: string;
  readonly logLevel?: string;
  readonly logFormat?: string;
}

export const DEFAULTS = {
  name: hostname(),
  amqpListen: ['127.0.0.1:5672'],
  overlayListen: ['/ip4/127.0.0.1/tcp/4672'],
  memoryLimit: '40%',
  logLevel: 'info',
  logFormat: 'text',
} as const;

/** All that is wrong with a configuration, a line each: key, value and what is expected. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
  }
}

/** @throws ConfigError */
export function parseConfig(raw: RawConfig): NodeConfig {
  const problems: string[] = [];
  const check = <T>(
    key: string,
    value: string,
    expected: string,
    parse: (value: string) => T | undefined,
  ): T => {
    const parsed = parse(value);
    if (parsed === undefined) problems.push(`${key}: expected ${expected}, found '${value}'`);
    // Never used where it is undefined: problems end in an error.
    return parsed as T;
  };
  const config: NodeConfig = {
    name: check('name', raw.name ?? DEFAULTS.name, '1 to 255 bytes', (name) =>
      name.length > 0 && Buffer.byteLength(name) <= 255 ? name : undefined,
    ),
    amqpListen: (raw.amqpListen ?? DEFAULTS.amqpListen).map((text) =>
      check('amqp-listen', text, 'host:port such as 127.0.0.1:5672 or [::1]:5672', parseEndpoint),
    ),
    overlayListen: (raw.overlayListen ?? DEFAULTS.overlayListen).map((text) =>
      check('overlay-listen', text, 'a multiaddr such as /ip4/127.0.0.1/tcp/4672', parseOverlayAddress),
    ),
    seeds: seedsOf(raw.seeds, problems),
    memoryLimitBytes: check(
      'memory-limit',
      raw.memoryLimit ?? DEFAULTS.memoryLimit,
      'a percentage such as 40%, or bytes such as 512MiB',
      parseMemoryLimit,
    ),
    logLevel: check(
      'log-level',
      raw.logLevel ?? DEFAULTS.logLevel,
      `one of ${LOG_LEVELS.join(', ')}`,
      (text) => LOG_LEVELS.find((level) => level === text),
    ),
    logFormat: check(
      'log-format',
      raw.logFormat ?? DEFAULTS.logFormat,
      `one of ${LOG_FORMATS.join(', ')}`,
      (text) => LOG_FORMATS.find((format) => format === text),
    ),
  };
  if (problems.length > 0) throw new ConfigError(problems);
  return config;
}

function seedsOf(text: string | undefined, problems: string[]): readonly Multiaddr[] {
  try {
    return parseSeeds(text, 'seeds');
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error));
    return [];
  }
}

function parseEndpoint(text: string): Endpoint | undefined {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain ?? '';
  const isHost = bracketed === undefined ? isIPv4(host) || isHostName(host) : isIPv6(host);
  const port = Number(digits);
  return isHost && port <= MAX_PORT ? { host, port } : undefined;
}

/** Whether it may be one; what looks like an IPv4 address is none. */
function isHostName(text: string): boolean {
  return /^[\w-]+(\.[\w-]+)*$/.test(text) && !/^[\d.]+$/.test(text);
}

/** A host and a TCP port; the text comes back as it is. */
function parseOverlayAddress(text: string): string | undefined {
  try {
    const protocols = multiaddr(text)
      .getComponents()
      .map(({ name }) => name);
    return /^(ip4|ip6|dns|dns4|dns6),tcp$/.test(protocols.join()) ? text : undefined;
  } catch {
    return undefined;
  }
}
