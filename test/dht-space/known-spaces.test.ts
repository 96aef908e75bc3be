import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { KnownMember, SpaceInUse } from '../../src/dht-space/known-spaces.js';
import { KnownSpaces } from '../../src/dht-space/known-spaces.js';
import {
  KNOWN_SPACES_INTERVAL_MS,
  MAX_KEPT_POINT_TOMBSTONES,
  MAX_KNOWN_MEMBERS,
  MAX_KNOWN_SPACES,
} from '../../src/dht-space/limits.js';
import { OverlayStore } from '../../src/dht-space/overlay-store.js';
import { spaceIdOf } from '../../src/dht-space/records.js';
import { teardown } from '../support/teardown.js';
import { newFolder } from './data-folder.js';
import type { Identity } from './fixtures.js';
import { identities, manifest, NOW } from './fixtures.js';
import { LogStub } from './log-stub.js';

let owner: Identity;
let folder: string;
let store: OverlayStore;
let log: LogStub;

beforeAll(async () => {
  [owner] = (await identities(1)) as [Identity];
});

beforeEach(async () => {
  folder = join(await newFolder(), 'overlay');
  log = new LogStub();
  await openStore();
});

async function openStore(): Promise<void> {
  const opened = await OverlayStore.open(folder, log);
  teardown(() => opened.close());
  store = opened;
}

async function known(): Promise<KnownSpaces> {
  const spaces = new KnownSpaces(store, log);
  await spaces.load(NOW);
  return spaces;
}

/** What a later start finds. */
async function afterRestart(): Promise<KnownSpaces> {
  await store.close();
  await openStore();
  return known();
}

function member(peer: string, port = 1): KnownMember {
  return { peer, addresses: [`/ip4/127.0.0.1/tcp/${port}/p2p/${peer}`] };
}

/** A space of the name, with others that a test may change. */
function space(name: string, ...peers: string[]) {
  const others = peers.map((peer) => member(peer));
  const definedMs = new Map<string, number>();
  const tombstones: Uint8Array[] = [];
  const inUse: SpaceInUse = {
    name,
    owner: owner.id,
    spaceId: spaceIdOf({ space: name, owner: owner.id, generation: 0 }),
    manifest: manifest(owner, { space: name }),
    members: { others },
    points: { definedMs },
    definitions: { tombstones },
  };
  return { inUse, others, definedMs, tombstones };
}

function peersOf(spaces: KnownSpaces, name: string, by?: string): string[] {
  return spaces.members(name, by).map(({ peer }) => peer);
}

describe('the spaces that a node was in', () => {
  it('are known after a restart, with owner, manifest, members and addresses', async () => {
    const spaces = await known();
    spaces.joined(space('market', 'a', 'b').inUse);
    const again = await afterRestart();
    expect(again.members('market', undefined)).toEqual([member('a'), member('b')]);
    expect(peersOf(again, 'market', owner.id)).toEqual(['a', 'b']);
    expect(peersOf(again, 'market', 'somebody else')).toEqual([]);
    expect(peersOf(again, 'other', undefined)).toEqual([]);
    expect(again.owners('market')).toEqual([owner.id]);
    again.compare({ name: 'market', owner: owner.id });
    expect(log.entries).toEqual([]);
    again.compare({ name: 'market', owner: 'somebody else' });
    expect(log.entries.map(({ fields }) => fields)).toEqual([
      { space: 'market', owner: 'somebody else', before: [owner.id] },
    ]);
    const [found] = await new KnownSpaces(store, log).load(NOW);
    expect(found).toEqual(manifest(owner, { space: 'market' }));
  });

  it('are followed from time to time: who is there comes before who is gone', async () => {
    const spaces = await known();
    const { inUse, others } = space('market', 'a', 'b', 'c');
    spaces.joined(inUse);
    others.splice(0, others.length, member('c', 2), member('d'));
    spaces.tick(NOW);
    expect(spaces.members('market', undefined)).toEqual([
      member('c', 2),
      member('d'),
      member('a'),
      member('b'),
    ]);
    others.splice(0);
    spaces.tick(NOW + KNOWN_SPACES_INTERVAL_MS - 1);
    expect(peersOf(await afterRestart(), 'market')).toEqual(['c', 'd', 'a', 'b']);
  });

  it('are forgotten when they are left, and not when a new join of one has failed', async () => {
    const first = await known();
    first.joined(space('market', 'a').inUse);
    const second = await afterRestart();
    const { inUse } = space('market', 'a');
    second.left(inUse);
    expect(peersOf(second, 'market')).toEqual(['a']);
    second.joined(inUse);
    second.left(inUse);
    expect(peersOf(second, 'market')).toEqual([]);
    expect(peersOf(await afterRestart(), 'market')).toEqual([]);
  });

  it('are known with the points that the node had aliases of, until it joins them again or has them no more', async () => {
    const first = await known();
    const { inUse, definedMs } = space('market');
    definedMs.set('bids', 1).set('asks', 2).set('left', 3);
    first.joined(inUse);
    definedMs.delete('left');
    first.update();
    const second = await afterRestart();
    expect(second.definedMs(inUse.spaceId, 'bids')).toBe(1);
    expect(second.definedMs(inUse.spaceId, 'left')).toBeUndefined();
    // One is joined before the other.
    const again = space('market');
    again.definedMs.set('asks', 4);
    second.joined(again.inUse);
    const third = await afterRestart();
    expect(['bids', 'asks'].map((name) => third.definedMs(inUse.spaceId, name))).toEqual([1, 4]);
  });

  it('are known with the deletions of their points, the latest of them', async () => {
    const spaces = await known();
    const { inUse, tombstones } = space('market');
    for (let number = 0; number <= MAX_KEPT_POINT_TOMBSTONES; number += 1)
      tombstones.push(Buffer.from([number]));
    spaces.joined(inUse);
    const deletions = (await afterRestart()).deletions(inUse.spaceId);
    expect(deletions).toEqual(tombstones.slice(0, MAX_KEPT_POINT_TOMBSTONES));
  });

  it('are bounded, and so are the members of one', async () => {
    const spaces = await known();
    const peers = Array.from({ length: MAX_KNOWN_MEMBERS + 8 }, (_, number) => `peer ${number}`);
    for (let number = 0; number <= MAX_KNOWN_SPACES; number++)
      spaces.joined(space(`market ${number}`, ...peers).inUse);
    expect(peersOf(spaces, 'market 0')).toEqual([]);
    expect(peersOf(spaces, 'market 1')).toEqual(peers.slice(0, MAX_KNOWN_MEMBERS));
  });

  it.each([
    ['no JSON', Buffer.from('{')],
    ['no space', Buffer.from('{"members":[]}')],
    ['no signed manifest', Buffer.from('{"manifest":"AAAA","members":[]}')],
    ['no members', Buffer.from(JSON.stringify({ manifest: '', members: [1] }))],
  ])('are forgotten with a warning where what was kept is %s', async (_, value) => {
    store.put('/spaces/damaged', value);
    (await known()).joined(space('market', 'a').inUse);
    const again = await afterRestart();
    expect(log.about('a space that was known is forgotten')).toHaveLength(1);
    expect(peersOf(again, 'market')).toEqual(['a']);
  });

  it('are forgotten when their manifest has expired', async () => {
    (await known()).joined(space('market', 'a').inUse);
    await store.close();
    await openStore();
    const late = new KnownSpaces(store, log);
    await late.load(NOW + 3_600_000);
    expect(peersOf(late, 'market')).toEqual([]);
  });
});
