import { describe, expect, it, vi } from 'vitest';
import { encodeClaims, pointKey, spaceKey } from '../../src/dht-space/claims.js';
import { K_BUCKET_SIZE } from '../../src/dht-space/limits.js';
import type { PointRecord, Sealed, SpaceManifest } from '../../src/dht-space/records.js';
import { seal, spaceIdOf } from '../../src/dht-space/records.js';
import { eventually } from '../support/eventually.js';
import type { Peer } from './testnet.js';
import { idsOf, join, membersFoundBy, startChain, startPeer } from './testnet.js';

const SPACE = 'market';

function manifestBy({ node }: Peer, changes: Partial<SpaceManifest> = {}): Sealed<SpaceManifest> {
  const now = Date.now();
  const times = { createdMs: now, sequence: 1, expiresMs: now + 3_600_000 };
  const record = {
    kind: 'space-manifest',
    space: SPACE,
    owner: node.id,
    generation: 0,
    access: 'open',
    ...times,
    deleted: false,
  } as const;
  return seal({ ...record, ...changes }, node.privateKey);
}

function pointBy({ node }: Peer, changes: Partial<PointRecord> = {}): Sealed<PointRecord> {
  const now = Date.now();
  const definition = {
    spaceId: spaceIdOf({ space: SPACE, owner: 'owner', generation: 0 }),
    name: 'bids',
    type: 'topic',
    arguments: '{}',
  } as const;
  const times = { createdMs: now, sequence: 1, expiresMs: now + 600_000 };
  const record = {
    kind: 'point-record',
    ...definition,
    ...times,
    author: node.id,
    closed: false,
    deleted: false,
  } as const;
  return seal({ ...record, ...changes }, node.privateKey);
}

/** Stores without asking this node's own validator, as a hostile or broken node would. */
async function storeBlindly(
  { node }: Peer,
  key: string,
  value: Uint8Array,
): Promise<{ stored: number; refused: number }> {
  const outcome = { stored: 0, refused: 0 };
  for await (const event of node.dht.put(Buffer.from(key), value)) {
    if (event.name === 'PEER_RESPONSE' && event.messageName === 'PUT_VALUE') outcome.stored += 1;
    if (event.name === 'QUERY_ERROR') outcome.refused += 1;
  }
  return outcome;
}

describe('members of a space', () => {
  it('are found by every node of the overlay, without the node that asks', async () => {
    const peers = await startChain(4);
    const members = peers.slice(0, 3);
    await Promise.all(members.map(({ directory }) => directory.announce(SPACE)));
    for (const peer of peers) {
      const others = idsOf(members).filter((id) => id !== peer.node.id);
      await eventually(async () => expect(await membersFoundBy(peer, SPACE)).toEqual(others));
    }
    expect(await membersFoundBy(peers[3] as Peer, 'another space')).toEqual([]);
  });

  it('are found through any node when the one that everybody had as its seed is dead', async () => {
    const [first, second, third] = (await startChain(3)) as [Peer, Peer, Peer];
    await Promise.all([first, second, third].map(({ directory }) => directory.announce(SPACE)));
    await first.stop();
    const newcomer = await startPeer();
    await join(newcomer, third);
    await eventually(async () => {
      const found = await membersFoundBy(newcomer, SPACE);
      expect(found).toEqual(expect.arrayContaining(idsOf([second, third])));
    });
  });

  it('can be dialled by their ids', async () => {
    const [first, , third] = (await startChain(3)) as [Peer, Peer, Peer];
    await first.directory.announce(SPACE);
    for await (const peer of third.directory.findMembers(SPACE)) {
      await expect(third.node.libp2p.dial(peer)).resolves.toMatchObject({ status: 'open' });
    }
  });

  it('see each other when they announce at the same time: at least one finds the other', async () => {
    const [seed, left, right] = [await startPeer(), await startPeer(), await startPeer()];
    await Promise.all([join(left, seed), join(right, seed)]);
    const [fromLeft, fromRight] = await Promise.all(
      [left, right].map(async (peer) => {
        await peer.directory.announce(SPACE);
        return membersFoundBy(peer, SPACE);
      }),
    );
    expect([...(fromLeft ?? []), ...(fromRight ?? [])].length).toBeGreaterThan(0);
  });

  it('are announced and looked for without an error when nobody is there', async () => {
    const alone = await startPeer();
    await alone.directory.announce(SPACE);
    expect(await membersFoundBy(alone, SPACE)).toEqual([]);
    alone.directory.withdraw(SPACE);
  });

  it('are looked for no longer than the caller wants', async () => {
    const [first, second] = (await startChain(2)) as [Peer, Peer];
    await first.directory.announce(SPACE);
    const found = second.directory.findMembers(SPACE, { signal: AbortSignal.abort() });
    expect((await found.next()).done).toBe(true);
  });

  it('are found in an overlay of twenty, more than enough of them', { timeout: 60_000 }, async () => {
    const seed = await startPeer();
    const peers = await Promise.all(Array.from({ length: 19 }, () => startPeer()));
    await Promise.all(peers.map((peer) => join(peer, seed)));
    await Promise.all(peers.map(({ directory }) => directory.announce(SPACE)));
    const newcomer = await startPeer();
    await join(newcomer, seed);
    await eventually(async () => {
      expect((await membersFoundBy(newcomer, SPACE)).length).toBeGreaterThanOrEqual(K_BUCKET_SIZE);
    });
  });
});

describe('a space in the directory', () => {
  it('is found by its name, and by its name and owner', async () => {
    const [owner, , third] = (await startChain(3)) as [Peer, Peer, Peer];
    const manifest = manifestBy(owner);
    expect(await owner.directory.putManifest(manifest)).toEqual([manifest]);
    const found = await third.directory.findManifests(SPACE);
    expect(found.map(({ record }) => record)).toEqual([manifest.record]);
    expect(await third.directory.findManifests(SPACE, { owner: owner.node.id })).toEqual(found);
    expect(await third.directory.findManifests(SPACE, { owner: third.node.id })).toEqual([]);
    expect(await third.directory.findManifests('bazaar')).toEqual([]);
  });

  it('that two owners claim at the same time is found as both', async () => {
    const [first, second, third] = (await startChain(3)) as [Peer, Peer, Peer];
    const manifests = [manifestBy(first, { createdMs: Date.now() - 5 }), manifestBy(second)] as const;
    await Promise.all([
      first.directory.putManifest(manifests[0]),
      second.directory.putManifest(manifests[1]),
    ]);
    const found = await third.directory.findManifests(SPACE);
    expect(found.map(({ record }) => record.owner)).toEqual([first.node.id, second.node.id]);
  });

  it('never goes back to an older manifest, whoever stores it', async () => {
    const [owner, rogue, third] = (await startChain(3)) as [Peer, Peer, Peer];
    const old = manifestBy(owner);
    await owner.directory.putManifest(old);
    await owner.directory.putManifest(manifestBy(owner, { sequence: 2, deleted: true }));
    const outcome = await storeBlindly(rogue, spaceKey(SPACE), encodeClaims([old]));
    expect(outcome).toEqual({ stored: 0, refused: 2 });
    const [found] = await third.directory.findManifests(SPACE);
    expect(found?.record).toMatchObject({ sequence: 2, deleted: true });
  });

  it('is not forged', async () => {
    const [owner, rogue] = (await startChain(2)) as [Peer, Peer];
    const { bytes } = manifestBy(owner);
    const forged = Buffer.from(bytes);
    forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1;
    const value = encodeClaims([{ record: manifestBy(owner).record, bytes: forged }]);
    expect(await storeBlindly(rogue, spaceKey(SPACE), value)).toEqual({ stored: 0, refused: 1 });
    expect(await owner.directory.findManifests(SPACE)).toEqual([]);
  });
});

describe('a point in the directory', () => {
  const { spaceId, name } = {
    spaceId: spaceIdOf({ space: SPACE, owner: 'owner', generation: 0 }),
    name: 'bids',
  };

  it('is found as it was defined', async () => {
    const [author, , third] = (await startChain(3)) as [Peer, Peer, Peer];
    const record = pointBy(author);
    expect(await author.directory.putPoint(record)).toEqual(record);
    expect((await third.directory.findPoint(spaceId, name))?.record).toEqual(record.record);
    expect(await third.directory.findPoint(spaceId, 'mailbox')).toBeUndefined();
  });

  it('that two define differently at the same time becomes the same for both', async () => {
    const [first, second, third] = (await startChain(3)) as [Peer, Peer, Peer];
    const [a, b] = [pointBy(first), pointBy(second, { type: 'direct', createdMs: Date.now() - 10 })];
    const outcomes = await Promise.all([first.directory.putPoint(a), second.directory.putPoint(b)]);
    for (const outcome of outcomes) expect(outcome.record).toEqual(b.record);
    expect((await third.directory.findPoint(spaceId, name))?.record).toEqual(b.record);
  });

  it('tells whoever keeps it when another definition is preferred', async () => {
    const [first, second] = (await startChain(2)) as [Peer, Peer];
    const older = pointBy(second, { type: 'direct', createdMs: Date.now() - 10_000 });
    const kept = await first.directory.putPoint(pointBy(first));
    const holds = vi.fn();
    first.directory.keepPoint(kept, holds);
    await second.directory.putPoint(older);
    await eventually(() => expect(holds).toHaveBeenCalled());
    expect(holds.mock.calls.map(([{ record }]) => record)).toEqual([older.record]);
  });

  it('is free to be defined otherwise once it is closed', async () => {
    const [first, second] = (await startChain(2)) as [Peer, Peer];
    await first.directory.putPoint(pointBy(first));
    await second.directory.findPoint(spaceId, name);
    await second.directory.closePoint(spaceId, name);
    expect(await first.directory.findPoint(spaceId, name)).toBeUndefined();
    const anew = pointBy(first, { type: 'direct', createdMs: Date.now() + 1 });
    expect(await first.directory.putPoint(anew)).toEqual(anew);
    expect((await second.directory.findPoint(spaceId, name))?.record).toEqual(anew.record);
  });

  it('stays open for whoever keeps it when somebody else closes it', async () => {
    const [first, second, third] = (await startChain(3)) as [Peer, Peer, Peer];
    const record = await first.directory.putPoint(pointBy(first));
    first.directory.keepPoint(record, () => {});
    await second.directory.closePoint(spaceId, name);
    await eventually(async () => {
      const found = await third.directory.findPoint(spaceId, name);
      expect(found?.record).toMatchObject({ type: 'topic', closed: false, author: first.node.id });
    });
  });

  it('is renewed by whoever keeps it when its author does not', async () => {
    const [author, keeper] = (await startChain(2)) as [Peer, Peer];
    const short = pointBy(author, { expiresMs: Date.now() + 60_000 });
    await author.directory.putPoint(short);
    await author.stop();
    const holds = vi.fn();
    keeper.directory.keepPoint(short, holds);
    await join(keeper, await startPeer());
    await eventually(() => expect(holds).toHaveBeenCalled());
    const [renewed] = holds.mock.calls[0] as [Sealed<PointRecord>];
    expect(renewed.record).toMatchObject({
      author: keeper.node.id,
      sequence: 2,
      createdMs: short.record.createdMs,
    });
    expect(renewed.record.expiresMs).toBeGreaterThan(short.record.expiresMs);
  });

  it('is stored nowhere when it is outdated', async () => {
    const [author, rogue] = (await startChain(2)) as [Peer, Peer];
    await author.directory.putPoint(pointBy(author, { sequence: 2 }));
    const outdated = encodeClaims([pointBy(author)]);
    expect((await storeBlindly(rogue, pointKey(spaceId, name), outdated)).stored).toBe(0);
  });
});
