import { peerIdFromString } from '@libp2p/peer-id';
import type { Multiaddr } from '@multiformats/multiaddr';
import type { FieldTable } from '../overlay/index.js';
import { SpaceError } from '../overlay/index.js';
import { parseSeeds } from './seeds.js';

/** The declare arguments of a `dht` space, checked. */
export interface SpaceSettings {
  readonly seeds: readonly Multiaddr[];
  /** Who may join: anybody, or who has a grant of the owner. */
  readonly access: 'open' | 'granted';
}

/** The fields of `exchangespace` in a join, checked. */
export interface JoinSettings {
  readonly seeds: readonly Multiaddr[];
  /** Peer id that the space's owner must have. */
  readonly owner: string | undefined;
  /** What lets this node into a granted space, as a compact JWS. */
  readonly grant: string | undefined;
}

/** @throws SpaceError `invalid-argument`, naming the field */
export function parseSpaceSettings(settings: FieldTable): SpaceSettings {
  refuseOthers(settings, ['seeds', 'access'], '');
  const access = settings.access ?? 'open';
  if (access !== 'open' && access !== 'granted') {
    throw new SpaceError(
      'invalid-argument',
      `access: expected 'open' or 'granted', found ${describe(access)}`,
    );
  }
  return { seeds: parseSeeds(settings.seeds, 'seeds'), access };
}

/** @throws SpaceError `invalid-argument`, naming the field */
export function parseJoinSettings(settings: FieldTable): JoinSettings {
  refuseOthers(settings, ['seeds', 'owner', 'grant'], 'exchangespace.');
  return {
    seeds: parseSeeds(settings.seeds, 'exchangespace.seeds'),
    owner: parseOwner(settings.owner),
    grant: parseGrant(settings.grant),
  };
}

function parseGrant(grant: unknown): string | undefined {
  if (grant === undefined || typeof grant === 'string') return grant;
  const text = `exchangespace.grant: expected a grant as text, found ${describe(grant)}`;
  throw new SpaceError('invalid-argument', text);
}

function parseOwner(owner: unknown): string | undefined {
  if (owner === undefined) return undefined;
  try {
    if (typeof owner !== 'string') throw new TypeError('not a string');
    return peerIdFromString(owner).toString();
  } catch (cause) {
    throw new SpaceError(
      'invalid-argument',
      `exchangespace.owner: expected a peer id, found ${describe(owner)}`,
      { cause },
    );
  }
}

function refuseOthers(settings: FieldTable, known: readonly string[], prefix: string): void {
  for (const name of Object.keys(settings)) {
    if (known.includes(name)) continue;
    const expected = known.map((field) => `'${prefix}${field}'`).join(', ');
    throw new SpaceError(
      'invalid-argument',
      `argument '${prefix}${name}' is not understood; expected ${expected}`,
    );
  }
}

function describe(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : typeof value;
}
