import type { FieldTable } from '../overlay/index.js';
import { SpaceError } from '../overlay/index.js';

/** The broker that holds a space, and who this node is there: the fields of `exchangespace` in a join, checked. */
export interface TrackerAddress {
  readonly host: string;
  readonly port: number;
  readonly virtualHost: string;
  readonly username: string;
  readonly password: string;
  readonly tls: boolean;
}

const FIELDS = ['host', 'port', 'virtualhost', 'username', 'password', 'tls'];
const AMQP_PORT = 5672;
const AMQPS_PORT = 5671;
const MAX_PORT = 65_535;

/**
 * Defaults as in the paper, 4.1: port 5672, and 5671 with TLS; virtual host `/`; user and password `guest`.
 *
 * @throws SpaceError `invalid-argument`, naming the field
 */
export function parseTrackerAddress(settings: FieldTable, prefix = 'exchangespace.'): TrackerAddress {
  for (const name of Object.keys(settings)) {
    if (FIELDS.includes(name)) continue;
    const known = FIELDS.map((field) => `'${field}'`).join(', ');
    throw invalid(`argument '${prefix}${name}' is not understood: expected ${known}`);
  }
  const text = (name: string, value: unknown): string => {
    if (typeof value === 'string' && value !== '' && Buffer.byteLength(value) <= 255) return value;
    throw invalid(
      `argument '${prefix}${name}': expected a string of 1 to 255 bytes, found ${describe(value)}`,
    );
  };
  const { host, virtualhost = '/', username = 'guest', password = 'guest', tls = false } = settings;
  if (typeof tls !== 'boolean') {
    throw invalid(`argument '${prefix}tls': expected true or false, found ${describe(tls)}`);
  }
  // Not described: what was meant to be a password stays out of texts and logs.
  if (typeof password !== 'string') throw invalid(`argument '${prefix}password': expected a string`);
  return {
    host: text('host', host),
    port: parsePort(`${prefix}port`, settings.port ?? (tls ? AMQPS_PORT : AMQP_PORT)),
    virtualHost: text('virtualhost', virtualhost),
    username: text('username', username),
    password,
    tls,
  };
}

function parsePort(field: string, value: unknown): number {
  const port = typeof value === 'bigint' ? Number(value) : value;
  if (typeof port === 'number' && Number.isInteger(port) && port >= 1 && port <= MAX_PORT) return port;
  throw invalid(`argument '${field}': expected an integer from 1 to ${MAX_PORT}, found ${describe(value)}`);
}

function describe(value: unknown): string {
  if (value === undefined) return 'none';
  if (typeof value === 'string') return `'${value.slice(0, 40)}'`;
  return typeof value === 'object' ? 'a table or an array' : String(value);
}

function invalid(text: string): SpaceError {
  return new SpaceError('invalid-argument', text);
}
