import { peerIdFromString } from '@libp2p/peer-id';
import type { Multiaddr } from '@multiformats/multiaddr';
import type { FieldTable } from '../overlay/index.js';
import { SpaceError } from '../overlay/index.js';
import { parseSeeds } from './seeds.js';

/** The declare arguments of a `dht` space, checked. */
export interface SpaceSettings {
  readonly seeds: readonly Multiaddr[];
}

/** The fields of `exchangespace` in a join, checked. */
export interface JoinSettings {
  readonly seeds: readonly Multiaddr[];
  /** Peer id that the space's owner must have. */
  readonly owner: string | undefined;
}

/** @throws SpaceError `invalid-argument`, naming the field */
export function parseSpaceSettings(settings: FieldTable): SpaceSettings {
  refuseOthers(settings, ['seeds', 'access'], '');
  const access = settings.access ?? 'open';
  if (access === 'granted') {
    throw new SpaceError(
      'invalid-argument',
      "access 'granted' is not supported by this version: expected 'open'",
    );
  }
  if (access !== 'open') {
    throw new SpaceError('invalid-argument', `access: expected 'open', found ${describe(access)}`);
  }
  return { seeds: parseSeeds(settings.seeds, 'seeds') };
}

/** @throws SpaceError `invalid-argument`, naming the field */
export function parseJoinSettings(settings: FieldTable): JoinSettings {
  refuseOthers(settings, ['seeds', 'owner'], 'exchangespace.');
  return {
    seeds: parseSeeds(settings.seeds, 'exchangespace.seeds'),
    owner: parseOwner(settings.owner),
  };
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
