import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import type { Ed25519PrivateKey } from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import type { MemberRecord, PointRecord, Sealed, SpaceManifest } from '../../src/dht-space/records.js';
import { seal, spaceIdOf } from '../../src/dht-space/records.js';

/** A fixed moment; records made here are good for a minute after it. */
export const NOW = 1_800_000_000_000;

/** A key pair and its peer id, the same for the same number. */
export interface Identity {
  readonly key: Ed25519PrivateKey;
  readonly id: string;
}

async function identity(number: number): Promise<Identity> {
  const key = await generateKeyPairFromSeed('Ed25519', Uint8Array.from(Buffer.alloc(32, number)));
  return { key, id: peerIdFromPrivateKey(key).toString() };
}

/** Identities in the order of their peer ids. */
export async function identities(count: number): Promise<readonly Identity[]> {
  const all = await Promise.all(Array.from({ length: count }, (_, number) => identity(number + 1)));
  return all.sort((a, b) => (a.id < b.id ? -1 : 1));
}

export function manifest({ key, id }: Identity, changes: Partial<SpaceManifest> = {}): Sealed<SpaceManifest> {
  const times = { createdMs: NOW, sequence: 1, expiresMs: NOW + 60_000 };
  const record = {
    kind: 'space-manifest',
    space: 'market',
    owner: id,
    generation: 0,
    access: 'open',
    ...times,
    deleted: false,
  } as const;
  return seal({ ...record, ...changes }, key);
}

export const SPACE_ID = spaceIdOf({ space: 'market', owner: 'owner', generation: 0 });

export function point({ key, id }: Identity, changes: Partial<PointRecord> = {}): Sealed<PointRecord> {
  const definition = { spaceId: SPACE_ID, name: 'bids', type: 'topic', arguments: '{}' } as const;
  const times = { createdMs: NOW, sequence: 1, expiresMs: NOW + 60_000 };
  return seal(
    { kind: 'point-record', ...definition, ...times, author: id, closed: false, deleted: false, ...changes },
    key,
  );
}

export function member({ key, id }: Identity, changes: Partial<MemberRecord> = {}): Sealed<MemberRecord> {
  const version = { epoch: 1n, sequence: 1, expiresMs: NOW + 60_000 };
  const content = { addresses: ['/ip4/127.0.0.1/tcp/4672'], points: ['bids'], left: false };
  return seal(
    { kind: 'member-record', spaceId: SPACE_ID, peer: id, ...version, ...content, ...changes },
    key,
  );
}
