import { isIPv4, isIPv6 } from 'node:net';
import { resolve } from 'node:path';
import type { Multiaddr } from '@multiformats/multiaddr';
import { multiaddr } from '@multiformats/multiaddr';
import { defaultDataDir } from './data-dir.js';
import type { ReachabilityOptions } from './dht-space/index.js';
import { parseSeeds } from './dht-space/index.js';
import { parseBytes, parseMemoryLimit } from './memory-limit.js';
import type { LogFormat, LogLevel, RawConfig } from './settings.js';
import { ConfigError, DEFAULTS, LOG_FORMATS, LOG_LEVELS } from './settings.js';
import type { TlsFiles } from './tls-files.js';

/** The settings of a node, checked. */
export interface NodeConfig {
  /** Shown to peers and people; never trusted. */
  readonly name: string;
  readonly amqpListen: readonly Endpoint[];
  readonly amqpsListen: readonly Endpoint[];
  /** How other nodes reach this one over AMQP, where that is not where it listens. */
  readonly amqpAdvertise: AdvertisedEndpoint | undefined;
  /** There where there is anything in `amqpsListen`. */
  readonly tls: TlsFiles | undefined;
  /** Undefined: off. */
  readonly management: ManagementListen | undefined;
  /** Multiaddrs. */
  readonly overlayListen: readonly string[];
  readonly reachability: ReachabilityOptions;
  readonly seeds: readonly Multiaddr[];
  readonly memoryLimitBytes: number;
  /** Of the body of a message that apps publish. */
  readonly maxMessageBytes: number;
  /** Undefined: nothing is kept. */
  readonly storage: StorageConfig | undefined;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
}

/** Where durable state is kept, and how. */
export interface StorageConfig {
  readonly dataDir: string;
  /** How long is gathered what is synced together; 0: no longer than it takes to sync what came before. */
  readonly syncIntervalMs: number;
  /** Below this the disk is short of space. */
  readonly diskLimitBytes: number;
}

export interface Endpoint {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
}

interface ManagementListen {
  readonly endpoint: Endpoint;
  /** Nobody asked for it: where it is taken, another port will do. */
  readonly isDefault: boolean;
}

interface AdvertisedEndpoint {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
}

const MAX_PORT = 65_535;
const MAX_SYNC_INTERVAL_MS = 60_000;
const MIN_MESSAGE_BYTES = 1_024;
/** RabbitMQ's limit. */
const MAX_MESSAGE_BYTES = 134_217_728;

type Check = <T>(key: string, value: string, expected: string, parse: (value: string) => T | undefined) => T;

/** @throws ConfigError */
export function parseConfig(raw: RawConfig): NodeConfig {
  const problems: string[] = [];
  const check: Check = (key, value, expected, parse) => {
    const parsed = parse(value);
    if (parsed === undefined) problems.push(`${key}: expected ${expected}, found '${value}'`);
    // Never used where it is undefined: problems end in an error.
    return parsed as Exclude<typeof parsed, undefined>;
  };
  const config: NodeConfig = {
    name: check('name', raw.name ?? DEFAULTS.name, '1 to 255 bytes', (name) =>
      name.length > 0 && Buffer.byteLength(name) <= 255 ? name : undefined,
    ),
    amqpListen: (raw.amqpListen ?? DEFAULTS.amqpListen).map((text) =>
      check('amqp-listen', text, 'host:port such as 127.0.0.1:5672 or [::1]:5672', parseEndpoint),
    ),
    amqpsListen: (raw.amqpsListen ?? []).map((text) =>
      check('amqps-listen', text, 'host:port such as 127.0.0.1:5671 or [::1]:5671', parseEndpoint),
    ),
    amqpAdvertise:
      raw.amqpAdvertise === undefined
        ? undefined
        : check(
            'amqp-advertise',
            raw.amqpAdvertise,
            'host:port, amqp://host:port or amqps://host:port that others can reach',
            parseAdvertised,
          ),
    tls: tlsFilesOf(raw, problems),
    management: managementOf(raw, check),
    overlayListen: (raw.overlayListen ?? DEFAULTS.overlayListen).map((text) =>
      check('overlay-listen', text, 'a multiaddr such as /ip4/127.0.0.1/tcp/4672', parseOverlayAddress),
    ),
    reachability: {
      advertise: (raw.overlayAdvertise ?? []).map((text) =>
        check(
          'overlay-advertise',
          text,
          'a multiaddr that others can reach, such as /dns4/node.example/tcp/4672',
          parseOverlayAdvertised,
        ),
      ),
      mdns: switchOf('mdns', raw.mdns, check),
      upnp: switchOf('upnp', raw.upnp, check),
      relay: switchOf('relay', raw.relay, check),
    },
    seeds: seedsOf(raw.seeds, problems),
    memoryLimitBytes: check(
      'memory-limit',
      raw.memoryLimit ?? DEFAULTS.memoryLimit,
      'a percentage such as 40%, or bytes such as 512MiB',
      parseMemoryLimit,
    ),
    maxMessageBytes: check(
      'max-message-size',
      raw.maxMessageSize ?? DEFAULTS.maxMessageSize,
      '1KiB to 128MiB',
      parseMessageSize,
    ),
    storage: storageOf(raw, check),
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

/** Both files and a listener, or none of them. */
function tlsFilesOf(raw: RawConfig, problems: string[]): TlsFiles | undefined {
  const { tlsCert: cert, tlsKey: key, tlsCa: ca } = raw;
  const given = { 'amqps-listen': raw.amqpsListen?.join(), 'tls-cert': cert, 'tls-key': key };
  const [user] = Object.entries({ ...given, 'tls-ca': ca }).filter(([, value]) => value !== undefined);
  if (user === undefined) return undefined;
  for (const [setting, value] of Object.entries(given)) {
    if (value === undefined)
      problems.push(`${setting}: expected with ${user[0]} '${user[1]}', found nothing`);
  }
  return cert !== undefined && key !== undefined ? { cert, key, ca } : undefined;
}

function managementOf({ managementListen: given }: RawConfig, check: Check): ManagementListen | undefined {
  if (given === 'off') return undefined;
  const text = given ?? DEFAULTS.managementListen;
  const endpoint = check(
    'management-listen',
    text,
    "host:port such as 127.0.0.1:15673, or 'off'",
    parseEndpoint,
  );
  return { endpoint, isDefault: given === undefined };
}

function storageOf(raw: RawConfig, check: Check): StorageConfig | undefined {
  const inMemory = switchOf('in-memory', raw.inMemory, check);
  const dataDir = check(
    'data-dir',
    raw.dataDir ?? defaultDataDir(raw.name ?? DEFAULTS.name),
    'a path',
    (path) => (path !== '' && !path.includes('\0') ? path : undefined),
  );
  const sync = check(
    'sync',
    raw.sync ?? DEFAULTS.sync,
    'always, or interval:MS such as interval:50',
    parseSync,
  );
  const diskLimit = check(
    'disk-limit',
    raw.diskLimit ?? DEFAULTS.diskLimit,
    'bytes such as 50MB',
    parseBytes,
  );
  if (inMemory && raw.dataDir !== undefined) {
    check('in-memory', 'true', `no data-dir beside it, which is '${raw.dataDir}'`, () => undefined);
  }
  return inMemory
    ? undefined
    : { dataDir: resolve(dataDir ?? ''), syncIntervalMs: sync, diskLimitBytes: diskLimit };
}

/** On with the flag alone, or as it says. */
function switchOf(key: string, value: string | true | undefined, check: Check): boolean {
  const parse = (text: string) =>
    text === 'true' || text === 'false' ? { isOn: text === 'true' } : undefined;
  return check(key, `${value ?? false}`, 'true or false', parse)?.isOn;
}

/** Milliseconds; 0: always. */
function parseSync(text: string): number | undefined {
  if (text === 'always') return 0;
  const [, digits] = /^interval:(\d{1,5})$/.exec(text) ?? [];
  const intervalMs = Number(digits);
  return intervalMs >= 1 && intervalMs <= MAX_SYNC_INTERVAL_MS ? intervalMs : undefined;
}

function parseMessageSize(text: string): number | undefined {
  const bytes = parseBytes(text) ?? 0;
  return bytes >= MIN_MESSAGE_BYTES && bytes <= MAX_MESSAGE_BYTES ? bytes : undefined;
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

/** The host is one that somebody else can connect to, which addresses that stand for all of a machine are not. */
function parseAdvertised(text: string): AdvertisedEndpoint | undefined {
  const [, scheme = 'amqp', rest = ''] = /^(?:(amqps?):\/\/)?(.*)$/s.exec(text) ?? [];
  const endpoint = parseEndpoint(rest);
  if (endpoint === undefined || endpoint.port === 0) return undefined;
  return /^[0.:]+$/.test(endpoint.host) ? undefined : { ...endpoint, tls: scheme === 'amqps' };
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

/** One that somebody else can connect to. A peer id is added where the address is told. */
function parseOverlayAdvertised(text: string): string | undefined {
  const address = parseOverlayAddress(text);
  if (address === undefined) return undefined;
  const [host, port] = multiaddr(address).getComponents();
  return /^[0.:]+$/.test(host?.value ?? '') || Number(port?.value) === 0 ? undefined : address;
}
