import { hostname } from 'node:os';

/*
 * The settings of a node before they are looked at. What checks them loads what a node is made of, so it is apart: commands that
 * start no node do without.
 */

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export const LOG_FORMATS = ['text', 'json'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

/** Settings as they are given: texts from flags, environment variables and the configuration file. */
export interface RawConfig {
  readonly name?: string;
  readonly amqpListen?: readonly string[];
  readonly amqpsListen?: readonly string[];
  readonly amqpAdvertise?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsCa?: string;
  readonly managementListen?: string;
  readonly overlayListen?: readonly string[];
  readonly overlayAdvertise?: readonly string[];
  /** `true`: the flag without a value; so of those below. */
  readonly mdns?: string | true;
  readonly upnp?: string | true;
  readonly relay?: string | true;
  readonly seeds?: string;
  readonly memoryLimit?: string;
  readonly maxMessageSize?: string;
  readonly dataDir?: string;
  /** `true`: the flag without a value. */
  readonly inMemory?: string | true;
  readonly sync?: string;
  readonly diskLimit?: string;
  readonly logLevel?: string;
  readonly logFormat?: string;
}

/** How each of them is given: as a text, as a list of them, or as texts that are put together with commas. */
export const SETTINGS: { readonly [K in keyof Required<RawConfig>]: 'text' | 'list' | 'joined' } = {
  name: 'text',
  amqpListen: 'list',
  amqpsListen: 'list',
  amqpAdvertise: 'text',
  tlsCert: 'text',
  tlsKey: 'text',
  tlsCa: 'text',
  managementListen: 'text',
  overlayListen: 'list',
  overlayAdvertise: 'list',
  mdns: 'text',
  upnp: 'text',
  relay: 'text',
  seeds: 'joined',
  memoryLimit: 'text',
  maxMessageSize: 'text',
  dataDir: 'text',
  inMemory: 'text',
  sync: 'text',
  diskLimit: 'text',
  logLevel: 'text',
  logFormat: 'text',
};

export const DEFAULTS = {
  name: hostname(),
  amqpListen: ['127.0.0.1:5672'],
  managementListen: '127.0.0.1:15673',
  overlayListen: ['/ip4/127.0.0.1/tcp/4672'],
  memoryLimit: '40%',
  maxMessageSize: '16MiB',
  sync: 'always',
  // As RabbitMQ.
  diskLimit: '50MB',
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
