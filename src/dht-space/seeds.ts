import { isIPv4, isIPv6 } from 'node:net';
import { peerIdFromString } from '@libp2p/peer-id';
import type { Multiaddr } from '@multiformats/multiaddr';
import { multiaddr } from '@multiformats/multiaddr';
import { SpaceError } from '../overlay/index.js';
import { MAX_SEEDS } from './limits.js';

const EXPECTED = 'expected a multiaddr such as /ip4/192.0.2.1/tcp/4672, with or without /p2p/…, or host:port';
const MAX_PORT = 65_535;
/** RFC 1123 §2.1, with the underscore that some networks use. */
const HOST_NAME =
  /^(?=.{1,253}$)[a-z\d_]([a-z\d_-]{0,61}[a-z\d_])?(\.[a-z\d_]([a-z\d_-]{0,61}[a-z\d_])?)*\.?$/i;

/**
 * Reads overlay addresses from declare arguments: an array of strings, or one comma-separated string. Absent means none.
 *
 * @throws SpaceError `invalid-argument`, naming the field, the entry and what is wrong with it
 */
export function parseSeeds(value: unknown, field: string): readonly Multiaddr[] {
  const entries = entriesOf(value, field);
  if (entries.length > MAX_SEEDS) {
    throw new SpaceError(
      'invalid-argument',
      `${field} has ${entries.length} entries, the limit is ${MAX_SEEDS}`,
    );
  }
  const seeds = new Map<string, Multiaddr>();
  for (const [index, entry] of entries.entries()) {
    const name = `${field}[${index}]`;
    if (typeof entry !== 'string') {
      throw new SpaceError('invalid-argument', `${name} is not a string but ${typeof entry}`);
    }
    const seed = parseSeed(entry.trim(), name);
    seeds.set(seed.toString(), seed);
  }
  return [...seeds.values()];
}

function entriesOf(value: unknown, field: string): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value;
  if (typeof value !== 'string') {
    throw new SpaceError(
      'invalid-argument',
      `${field} is neither an array of strings nor one comma-separated string but ${typeof value}`,
    );
  }
  return value.trim() === '' ? [] : value.split(',');
}

function parseSeed(entry: string, name: string): Multiaddr {
  try {
    return entry.startsWith('/') ? parseMultiaddr(entry) : parseHostAndPort(entry);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SpaceError('invalid-argument', `${name} ${JSON.stringify(entry)}: ${reason}; ${EXPECTED}`, {
      cause,
    });
  }
}

function parseMultiaddr(entry: string): Multiaddr {
  const address = multiaddr(entry);
  const [host, port, peer, ...rest] = address.getComponents();
  const isPeer = peer === undefined || peer.name === 'p2p';
  if (host?.name === 'dnsaddr') return address;
  if (!['ip4', 'ip6', 'dns', 'dns4', 'dns6'].includes(host?.name ?? '')) throw new Error('it names no host');
  if (port?.name !== 'tcp' || !isPeer || rest.length > 0) throw new Error('only TCP is spoken here');
  checkPort(port.value ?? '');
  if (peer !== undefined) peerIdFromString(peer.value ?? '');
  return address;
}

function parseHostAndPort(entry: string): Multiaddr {
  const [, bracketed, plain, port] = /^(?:\[([^\]]*)\]|([^:]*))(?::([^:]*))?$/.exec(entry) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined) {
    throw new Error(
      isIPv6(entry) ? 'an IPv6 address stands in brackets, with a port behind' : 'it has several colons',
    );
  }
  if (host === '') throw new Error(entry === '' ? 'it is empty' : 'the host is missing');
  if (port === undefined) throw new Error('the port is missing');
  checkPort(port);
  return multiaddr(`/${hostProtocol(host, bracketed !== undefined)}/${host}/tcp/${Number(port)}`);
}

function hostProtocol(host: string, bracketed: boolean): string {
  if (bracketed) {
    if (isIPv6(host)) return 'ip6';
    throw new Error('what stands in brackets is not an IPv6 address');
  }
  if (isIPv4(host)) return 'ip4';
  if (/^[\d.]+$/.test(host) || !HOST_NAME.test(host))
    throw new Error('the host is neither an address nor a name');
  return 'dns';
}

function checkPort(port: string): void {
  if (!/^\d{1,5}$/.test(port) || Number(port) === 0 || Number(port) > MAX_PORT) {
    throw new Error(`the port is not a number from 1 to ${MAX_PORT}`);
  }
}
