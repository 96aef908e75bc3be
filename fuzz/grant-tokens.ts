import { sign } from 'node:crypto';
import { privateKeyObject } from '../src/dht-space/ed25519.js';
import type { Identity } from '../test/dht-space/fixtures.js';
import { identities } from '../test/dht-space/fixtures.js';
import type { GrantLink } from './grant-model.js';

const KEYS = (await identities(4)).map((identity) => ({
  ...identity,
  signing: privateKeyObject(identity.key),
}));
const RENDEZVOUS = Buffer.alloc(32, 7).toString('base64url');

/** Names and the JSON text of their values; a name may come twice, as no JSON library would write it. */
export type Entries = readonly (readonly [name: string, json: string])[];

export const HEADER: Entries = [
  ['alg', '"EdDSA"'],
  ['typ', '"xspace-grant+jwt"'],
];

/** Whose number it is; of numbers that nobody has, the text itself. */
export function peer(number: number): string {
  return (KEYS[number] as Identity | undefined)?.id ?? `peer ${number}`;
}

export function numberOf(peerId: string): number {
  return KEYS.findIndex(({ id }) => id === peerId);
}

/** A compact JWS of whatever this is, rightly signed. */
export function signed(header: string, payload: string, by: number): string {
  const [first, second] = [header, payload].map((text) => Buffer.from(text).toString('base64url'));
  const key = (KEYS[by] ?? KEYS[0])?.signing;
  if (key === undefined) throw new Error('there are no keys');
  return `${first}.${second}.${sign(null, Buffer.from(`${first}.${second}`), key).toString('base64url')}`;
}

export function jsonOf(entries: Entries): string {
  return `{${entries.map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(',')}}`;
}

/** The tokens of a chain of grants, each with the one before in it. */
export function tokensOf(chain: readonly GrantLink[]): readonly string[] {
  const tokens: string[] = [];
  for (const [index, link] of chain.entries()) {
    const claims = claimsOf(link, index, tokens.at(-1));
    tokens.push(signed(jsonOf(HEADER), JSON.stringify(claims), link.by));
  }
  return tokens;
}

/** Its id, by its place in the chain. */
export function idOf(index: number): string {
  return `id-of-grant-${index}`.padEnd(16, '-');
}

function claimsOf({ by, to, keys, ...terms }: GrantLink, index: number, parent: string | undefined): object {
  return {
    iss: peer(by),
    sub: peer(to),
    owner: peer(0),
    ...terms,
    routing_keys: keys,
    jti: idOf(index),
    rendezvous: RENDEZVOUS,
    ...(parent !== undefined && { parent }),
  };
}
