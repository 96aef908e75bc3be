import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { DhtSpaces } from '../../src/dht-space/dht-spaces.js';
import { exportIdentity, importIdentity } from '../../src/dht-space/identity.js';
import { LONELY_DISCOVERY_INTERVAL_MS } from '../../src/dht-space/limits.js';
import { lookUp } from '../../src/dht-space/lookup.js';
import { open } from '../../src/dht-space/records.js';
import { parseSeeds } from '../../src/dht-space/seeds.js';
import { startDht } from '../../src/dht-space/start-dht.js';
import type { PointSession, SpaceError } from '../../src/overlay/index.js';
import { eventually } from '../support/eventually.js';
import { teardown } from '../support/teardown.js';
import { newFolder } from './data-folder.js';
import { unlimitedMemory } from './environment.js';
import { LogStub } from './log-stub.js';
import { startPeer } from './testnet.js';

const SPACE = 'market';
/** SHA-256 of no octets. */
const NOTHING_DIGEST = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const DEAD_SEED = '/ip4/127.0.0.1/tcp/1';
const receiver = { receive: () => {}, deleted: () => {} };
const log = new LogStub();

/** A node; with a folder, its key and what it knows are kept there. */
async function start(
  folder?: string,
  listen = '/ip4/127.0.0.1/tcp/0',
  now: () => number = Date.now,
): Promise<DhtSpaces> {
  const kept = folder && { identityFile: join(folder, 'key'), storeFolder: join(folder, 'overlay') };
  const node = await startDht({
    listen: [listen],
    name: 'test',
    logger: log,
    memory: unlimitedMemory,
    now,
    ...kept,
  });
  teardown(() => node.close());
  return node;
}

function declare(node: DhtSpaces, settings = {}) {
  return node.declareSpace({ space: SPACE, settings });
}

function joinThrough(node: DhtSpaces, seeds: readonly string[], owner?: string): Promise<PointSession> {
  const settings = { seeds, ...(owner !== undefined && { owner }) };
  const point = { name: 'bids', type: 'topic', arguments: {} } as const;
  return node.join({ space: SPACE, point, settings }, receiver);
}

function isLinked(session: PointSession, to: DhtSpaces): boolean {
  return session.status().participants.some(({ id, linked }) => id === to.peerId && linked);
}

/** The manifest that a node hands to whoever asks for the space. */
async function manifestAt(node: DhtSpaces) {
  const asker = await startPeer();
  await asker.seeds.join(parseSeeds(node.addresses, 'seeds'));
  const [peer] = asker.node.libp2p.getPeers();
  if (peer === undefined) throw new Error('not connected');
  const { spaces } = await lookUp(
    asker.node,
    peer,
    { space: SPACE, owner: '', grant: new Uint8Array(0) },
    { signal: AbortSignal.timeout(5_000) },
  );
  return open('space-manifest', spaces[0]?.manifest ?? new Uint8Array(0), Date.now()).record;
}

describe('a node that is started again on its data', () => {
  it('finds its space through a member that it knew when every seed is dead', async () => {
    const folder = await newFolder();
    const [founder, first, other] = [await start(), await start(folder), await start()];
    await declare(founder);
    await joinThrough(other, founder.addresses);
    await joinThrough(first, founder.addresses);
    await Promise.all([first.close(), founder.close()]);

    const again = await start(folder);
    expect(again.peerId).toBe(first.peerId);
    const session = await joinThrough(again, founder.addresses);
    expect(isLinked(session, other)).toBe(true);
  });

  it('needs no seeds for that', async () => {
    const folder = await newFolder();
    const [founder, first] = [await start(), await start(folder)];
    await declare(founder);
    await joinThrough(founder, []);
    await joinThrough(first, founder.addresses);
    await first.close();
    expect(isLinked(await joinThrough(await start(folder), []), founder)).toBe(true);
  });

  it('has lost the aliases of points that were deleted meanwhile, and no others', async () => {
    const folder = await newFolder();
    const [founder, first] = [await start(), await start(folder)];
    await declare(founder);
    const point = (name: string) => ({ name, type: 'topic', arguments: {} }) as const;
    const take = async (node: DhtSpaces, name: string, restored = false) => {
      const reasons: string[] = [];
      const settings = node === founder ? {} : { seeds: founder.addresses };
      const joining = node.join(
        { space: SPACE, point: point(name), settings, restored },
        { ...receiver, deleted: (reason) => reasons.push(reason) },
      );
      const outcome = await joining.then(
        () => 'joined',
        ({ code }: SpaceError) => code,
      );
      return [outcome, ...reasons];
    };
    for (const name of ['kept', 'gone', 'renewed']) {
      for (const node of [founder, first]) await take(node, name);
    }
    await first.close();
    for (const name of ['gone', 'renewed']) await founder.deletePoint({ space: SPACE, point: name });
    await take(founder, 'renewed');

    const again = await start(folder);
    expect(await take(again, 'kept', true)).toEqual(['joined']);
    for (const name of ['gone', 'renewed'])
      expect(await take(again, name, true)).toEqual(['not-found', `exchange point '${name}' was deleted`]);
    expect(founder.status()[0]?.points.map(({ name }) => name)).toEqual(['kept', 'renewed']);
    // Whoever declares it now means a new one.
    expect(await take(again, 'gone')).toEqual(['joined']);
  });

  it('still knows which points were deleted, without anybody who could tell', async () => {
    const folder = await newFolder();
    const [founder, away] = [await start(folder), await start()];
    await declare(founder);
    const session = await joinThrough(away, founder.addresses);
    await founder.deletePoint({ space: SPACE, point: 'bids' });
    await eventually(() => session.status().state === 'left');
    await Promise.all([founder.close(), away.close()]);
    const again = await start(folder);
    await declare(again);
    const [status] = again.status();
    expect(status?.digest.definitions).not.toBe(NOTHING_DIGEST);
    expect(status?.points).toEqual([]);
  });

  it('and reaches nobody is told of the seeds, each with its cause, and how many members were tried', async () => {
    const folder = await newFolder();
    const [founder, first] = [await start(), await start(folder)];
    await declare(founder);
    await joinThrough(first, founder.addresses);
    await Promise.all([first.close(), founder.close()]);

    const again = await start(folder);
    await expect(joinThrough(again, [DEAD_SEED])).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringMatching(/tcp\/1 \(.*REFUSED.*\); members known from before and tried: 1$/),
    });
    await expect(joinThrough(again, [])).rejects.toMatchObject({
      code: 'not-found',
      message: 'nobody could be reached; members known from before and tried: 1',
    });
  });

  it('has forgotten a space that it left', async () => {
    const folder = await newFolder();
    const [founder, first] = [await start(), await start(folder)];
    await declare(founder);
    const session = await joinThrough(first, founder.addresses);
    await session.leave();
    await Promise.all([first.close(), founder.close()]);
    await expect(joinThrough(await start(folder), [DEAD_SEED])).rejects.toThrow(/REFUSED[^;]*$/);
  });

  it('does not take a space for alive that its owner has deleted meanwhile', async () => {
    const folder = await newFolder();
    const [founder, first] = [await start(), await start(folder)];
    const handle = await declare(founder);
    await joinThrough(first, founder.addresses);
    await first.close();
    await handle.delete();
    await expect(joinThrough(await start(folder), founder.addresses)).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringContaining(`no space '${SPACE}'`),
    });
  });

  it('joins the space that there is by the name, which it says, and never another one than is pinned', async () => {
    const folder = await newFolder();
    const [founder, first] = [await start(), await start(folder)];
    await declare(founder);
    await joinThrough(first, founder.addresses);
    await Promise.all([first.close(), founder.close()]);
    const second = await start();
    await declare(second);
    await joinThrough(second, []);

    const again = await start(folder);
    const session = await joinThrough(again, second.addresses);
    expect(isLinked(session, second)).toBe(true);
    expect(log.about('has another owner').at(-1)?.fields).toMatchObject({
      owner: second.peerId,
      before: [founder.peerId],
    });
    const pinned = await joinThrough(again, second.addresses, founder.peerId);
    expect(pinned.status().participants).toEqual([]);
  });

  it('and owns a space is its owner for as long as before', async () => {
    const folder = await newFolder();
    const first = await start(folder);
    await declare(first);
    const before = await manifestAt(first);
    await first.close();
    const again = await start(folder);
    await declare(again);
    const after = await manifestAt(again);
    expect(after.createdMs).toBe(before.createdMs);
    expect(after.sequence).toBeGreaterThan(before.sequence);
  });
});

it('whoever is given the key of an owner owns the space: it may declare it again, and delete it', async () => {
  const [folder, elsewhere] = [await newFolder(), await newFolder()];
  const [owner, member] = [await start(folder), await start()];
  await declare(owner);
  const session = await joinThrough(member, owner.addresses);
  await owner.close();

  const pem = await exportIdentity(join(folder, 'key'));
  const files = { identityFile: join(elsewhere, 'key'), storeFolder: join(elsewhere, 'overlay') };
  await importIdentity(files, pem, { force: false });
  const heir = await start(elsewhere);
  expect(heir.peerId).toBe(owner.peerId);
  const handle = await declare(heir, { seeds: member.addresses });
  await joinThrough(heir, member.addresses);
  await handle.delete();
  await eventually(() => session.status().state === 'left');
});

it('an owner who is alone looks for members that it knew until they are there', async () => {
  const [ownerFolder, memberFolder] = [await newFolder(), await newFolder()];
  const [owner, member] = [await start(ownerFolder), await start(memberFolder)];
  await declare(owner);
  await joinThrough(member, owner.addresses);
  const address = member.addresses[0]?.replace(/\/p2p\/.*/, '');
  await owner.close();
  await member.close();

  let nowMs = Date.now();
  // The member cannot know where that is.
  const elsewhere = await start(ownerFolder, undefined, () => nowMs);
  await declare(elsewhere);
  const back = await start(memberFolder, address);
  await expect(joinThrough(back, [DEAD_SEED])).rejects.toMatchObject({ code: 'not-found' });
  nowMs += LONELY_DISCOVERY_INTERVAL_MS;
  await eventually(() => joinThrough(back, [DEAD_SEED]));
});

it('two nodes that come back to a space which everybody had left find each other', async () => {
  const [oneFolder, otherFolder] = [await newFolder(), await newFolder()];
  const [founder, one, other] = [await start(), await start(oneFolder), await start(otherFolder)];
  await declare(founder);
  await joinThrough(one, founder.addresses);
  await joinThrough(other, founder.addresses);
  const addresses = [one, other].map((node) => node.addresses[0]?.replace(/\/p2p\/.*/, ''));
  await founder.close();
  await one.close();
  await other.close();

  const again = [await start(oneFolder, addresses[0]), await start(otherFolder, addresses[1])] as const;
  const sessions = await Promise.all(again.map((node) => joinThrough(node, founder.addresses)));
  await eventually(() => isLinked(sessions[0] as PointSession, again[1]));
  await eventually(() => isLinked(sessions[1] as PointSession, again[0]));
});
