import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { DhtSpaces } from '../../src/dht-space/dht-spaces.js';
import { startDht } from '../../src/dht-space/start-dht.js';
import { eventually } from '../support/eventually.js';
import { teardown } from '../support/teardown.js';
import { newFolder } from './data-folder.js';
import { quietLogger, unlimitedMemory } from './environment.js';

const SPACE = 'market';
const HOUR_MS = 3_600_000;
const receiver = { receive: () => {}, deleted: () => {} };

/** A node that keeps all it knows in a folder. */
async function start(folder: string): Promise<DhtSpaces> {
  const node = await startDht({
    listen: ['/ip4/127.0.0.1/tcp/0'],
    name: 'test',
    logger: quietLogger,
    memory: unlimitedMemory,
    identityFile: join(folder, 'key'),
    grantsFile: join(folder, 'grants.json'),
    storeFolder: join(folder, 'overlay'),
  });
  teardown(() => node.close());
  return node;
}

function declare(owner: DhtSpaces, seeds: readonly string[] = []) {
  return owner.declareSpace({
    space: SPACE,
    settings: { access: 'granted', ...(seeds.length > 0 && { seeds }) },
  });
}

function joinThrough(node: DhtSpaces, other: DhtSpaces, grant: string) {
  const point = { name: 'bids', type: 'topic', arguments: {} } as const;
  return node.join({ space: SPACE, point, settings: { seeds: other.addresses, grant } }, receiver);
}

function grantTo(owner: DhtSpaces, to: string): Promise<string> {
  const terms = { points: ['*'], rights: ['publish', 'subscribe'], routingKeys: ['#'] } as const;
  return owner.grants.create({ space: SPACE, to, ...terms, expiresMs: Date.now() + HOUR_MS, delegable: 0 });
}

/** How many grants the node takes for revoked. */
function revokedAt(node: DhtSpaces): number | undefined {
  return node.status().find(({ space }) => space === SPACE)?.revocations;
}

let ownersFolder: string;
let membersFolder: string;
let owner: DhtSpaces;
let member: DhtSpaces;

beforeEach(async () => {
  [ownersFolder, membersFolder] = [await newFolder(), await newFolder()];
  [owner, member] = [await start(ownersFolder), await start(membersFolder)];
  await declare(owner);
});

describe('what an owner has revoked', () => {
  it.each<[string, string | undefined]>([
    ['lasts', undefined],
    ['lasts without what it knew of others', 'overlay'],
    ['lasts without its grants', 'grants.json'],
  ])('%s, when it starts again', async (_, lost) => {
    await owner.grants.revoke(await grantTo(owner, member.peerId));
    expect(revokedAt(owner)).toBe(1);
    await owner.close();
    if (lost !== undefined) await rm(join(ownersFolder, lost), { recursive: true });
    const again = await start(ownersFolder);
    await declare(again);
    expect(revokedAt(again)).toBe(1);
  });

  it('comes back to it from members, when it starts again with nothing but its key', async () => {
    await joinThrough(member, owner, await grantTo(owner, member.peerId));
    await owner.grants.revoke(await grantTo(owner, owner.peerId));
    await eventually(() => expect(revokedAt(member)).toBe(1));
    await owner.close();
    await rm(join(ownersFolder, 'overlay'), { recursive: true });
    await rm(join(ownersFolder, 'grants.json'));
    const again = await start(ownersFolder);
    await declare(again, member.addresses);
    expect(revokedAt(again)).toBe(1);
  });
});

describe('a node whose grant was revoked', () => {
  it('is refused when it starts again', async () => {
    const grant = await grantTo(owner, member.peerId);
    await joinThrough(member, owner, grant);
    await owner.grants.revoke(grant);
    await eventually(() => expect(revokedAt(member)).toBe(1));
    await member.close();
    const again = await start(membersFolder);
    await expect(joinThrough(again, owner, grant)).rejects.toThrow('was revoked');
  });

  it('while it did not run is refused without its owner, by what another member knows', async () => {
    const grant = await grantTo(owner, member.peerId);
    await joinThrough(member, owner, grant);
    await member.close();
    const friend = await start(await newFolder());
    await joinThrough(friend, owner, await grantTo(owner, friend.peerId));
    await owner.grants.revoke(grant);
    await eventually(() => expect(revokedAt(friend)).toBe(1));
    await owner.close();
    const again = await start(membersFolder);
    await expect(joinThrough(again, friend, grant)).rejects.toThrow('was revoked');
  });
});
