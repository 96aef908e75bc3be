import '../../src/dht-space/promise-polyfill.js';
import type { Connection } from '@libp2p/interface';
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Grant } from '../../src/dht-space/grant.js';
import { readGrant } from '../../src/dht-space/grant.js';
import { decodeInterest, interestDigest } from '../../src/dht-space/interest-wire.js';
import type { Revocation, Sealed, SpaceManifest } from '../../src/dht-space/records.js';
import { spaceIdOf } from '../../src/dht-space/records.js';
import { sealGrant } from '../../src/dht-space/sealed-grant.js';
import { parseSeeds } from '../../src/dht-space/seeds.js';
import { eventually } from '../support/eventually.js';
import { Random, seed } from '../support/random.js';
import { teardown } from '../support/teardown.js';
import { FakeMember } from './fake-member.js';
import { FakeOverlay } from './fake-overlay.js';
import type { Identity } from './fixtures.js';
import { identities, manifest, member, NOW } from './fixtures.js';
import { DAY_MS, issued } from './grant-fixtures.js';
import { HostileNode } from './hostile-node.js';
import { SPACE, SpaceNode } from './space-node.js';
import { startChain, startPeer } from './testnet.js';
import { messageRecord, namingRecord } from './wire-records.js';

let people: readonly Identity[];
let overlay: FakeOverlay;
let clock: { nowMs: number };
/** What the hostile one was granted. */
let grant: Grant;

beforeAll(async () => {
  people = await identities(4);
  grant = await issued(people[0] as Identity, people[1]?.id ?? '', { routingKeys: ['#'] });
});

beforeEach(() => {
  overlay = new FakeOverlay(new Random(seed));
  clock = { nowMs: NOW };
});

/** The owner's word. */
function told(sequence: number, revocations: readonly Revocation[] = []): Sealed<SpaceManifest> {
  const changes = { sequence, expiresMs: NOW + 30 * DAY_MS, revocations };
  return manifest(people[0] as Identity, { access: 'granted', ...changes });
}

/** That the hostile one's grant counts no more. */
function revoked(): Sealed<SpaceManifest> {
  return told(2, [{ grant: grant.claims.id, expiresMs: grant.claims.expiresMs }]);
}

async function enter(number: number, shown?: Grant): Promise<FakeMember> {
  const [owner, identity] = [people[0], people[number]] as [Identity, Identity];
  const own = shown ?? (await issued(number === 0 ? identity : owner, identity.id, { routingKeys: ['#'] }));
  return FakeMember.start(overlay, identity, told(1), { clock, grant: own });
}

/** Members that take part in one point, and are linked. */
async function mesh(...members: readonly FakeMember[]): Promise<void> {
  const [first, ...others] = members as [FakeMember, ...FakeMember[]];
  for (const one of others) first.meet(one);
  for (const one of members) await one.join();
  for (const one of members) await eventually(() => linkedTo(one).length === others.length);
}

/** Who wants something of it, and is linked. */
function linkedTo({ session }: FakeMember): readonly string[] {
  const participants = session?.status().participants ?? [];
  return participants.filter(({ linked, interest }) => linked && interest === 1).map(({ id }) => id);
}

describe(`a member of a granted space that was cut off (SEED=${seed})`, () => {
  it('takes nothing from who was revoked meanwhile, and gives it nothing, though it links to nobody else', async () => {
    const [member, hostile] = [await enter(2), await enter(1, grant)];
    await mesh(member, hostile);
    member.node.reachable = false;
    member.node.breakConnections();
    member.publish('secret');
    hostile.publish('poison');
    member.directory.manifest = revoked();
    member.node.reachable = true;
    const ofHostile = hostile.links.get(member.node.id) ?? expect.fail();
    await eventually(() => expect(ofHostile.session).toBeDefined());
    // All that was held for the member has reached it.
    await eventually(() => expect(ofHostile.outgoing.heldBytes).toBe(0));
    await eventually(() => expect(linkedTo(member)).toEqual([]));
    expect([member.received, hostile.received]).toEqual([[], []]);
    expect(member.log.about('shut out')).toHaveLength(1);
  });

  it('links to nobody while the DHT is asked, once for all of them, and to all when it has answered', async () => {
    const members = [await enter(0), await enter(2), await enter(3)] as const;
    await mesh(...members);
    const member = members[1];
    const asked = member.directory.manifestReads;
    const { promise: answered, resolve: answer } = Promise.withResolvers<void>();
    member.directory.delay = answered;
    member.node.breakConnections();
    await eventually(() => expect(member.directory.manifestReads).toBe(asked + 1));
    await eventually(() => expect(overlay.connections.size).toBe(3));
    expect([...member.links].map(({ session }) => session)).toEqual([undefined, undefined]);
    answer();
    await eventually(() => expect(linkedTo(member)).toHaveLength(2));
    expect(member.directory.manifestReads).toBe(asked + 1);
  });

  it('asks nobody while it is linked to some other member', async () => {
    const members = [await enter(0), await enter(2), await enter(3)] as const;
    await mesh(...members);
    const [, member, other] = members;
    const asked = member.directory.manifestReads;
    for (const connection of overlay.connections) {
      if (connection.ends.includes(member.node) && connection.ends.includes(other.node))
        connection.abort(new Error('the network broke'));
    }
    await eventually(() => expect(linkedTo(member)).toHaveLength(1));
    await eventually(() => expect(linkedTo(member)).toHaveLength(2));
    expect(member.directory.manifestReads).toBe(asked);
  });
});

it('the owner of a granted space asks nobody what it has said', async () => {
  const owner = await enter(0);
  await mesh(owner, await enter(2));
  owner.node.breakConnections();
  await eventually(() => expect(linkedTo(owner)).toHaveLength(0));
  await eventually(() => expect(linkedTo(owner)).toHaveLength(1));
  expect(owner.directory.manifestReads).toBe(0);
});

it('an owner that has forgotten a revocation learns it from a member, and says it again', async () => {
  const [owner, member] = [await enter(0), await enter(2)];
  member.space.learn({ manifest: revoked().bytes, members: [], points: [] });
  // The owner has started again since, and its manifest is the later one.
  owner.space.learn({ manifest: told(5).bytes, members: [], points: [] });
  await mesh(owner, member);
  await eventually(() => expect(member.space.manifest.record.sequence).toBe(6));
  expect(member.space.manifest.record.revocations?.map((one) => one.grant)).toEqual([grant.claims.id]);
});

it('what was found in the DHT a moment ago is not looked for again', async () => {
  const [asker, holder] = await startChain(2);
  if (asker === undefined || holder === undefined) throw new Error('no chain');
  const [owner] = people as [Identity];
  const times = { createdMs: Date.now(), expiresMs: Date.now() + DAY_MS };
  await holder.directory.putManifest(manifest(owner, { access: 'granted', ...times }));
  const { dht } = asker.node;
  const asked = vi.spyOn(dht, 'get');
  const signal = AbortSignal.timeout(5000);
  expect(await asker.directory.findManifests('market')).toHaveLength(1);
  const found = await asker.directory.freshManifest('market', { owner: owner.id, maxAgeMs: 60_000, signal });
  expect([found?.record.owner, asked.mock.calls.length]).toEqual([owner.id, 1]);
  await asker.directory.freshManifest('market', { owner: owner.id, maxAgeMs: 0, signal });
  expect(asked).toHaveBeenCalledTimes(2);
});

it('whoever is linked looks in the DHT for what was revoked once a minute, and seldom in an open space', async () => {
  const [{ directory }, owner] = [await startPeer(), people[0] as Identity];
  const timers = vi.spyOn(globalThis, 'setTimeout');
  teardown(() => timers.mockRestore());
  const [perMinute, seldom] = (['granted', 'open'] as const).map((access) => {
    timers.mockClear();
    directory.keepManifest(manifest(owner, { access }), () => {});
    return timers.mock.calls[0]?.[1] ?? 0;
  });
  expect(perMinute).toBeLessThanOrEqual(60_000);
  expect(seldom).toBeGreaterThan(10 * 60_000);
});

describe('over a real network, a member that was cut off', () => {
  const WANTED = { routingKey: '#', arguments: '', token: new Uint8Array(0), everything: false };

  /** Until the answer is called, every connection breaks as soon as it is there. */
  async function cutOff(node: SpaceNode): Promise<() => void> {
    const { libp2p } = node.overlay;
    const refuse = ({ detail }: CustomEvent<Connection>) => detail.abort(new Error('there is no network'));
    libp2p.addEventListener('connection:open', refuse);
    await node.breakConnections();
    return () => libp2p.removeEventListener('connection:open', refuse);
  }

  /** Becomes a participant that wants everything, as far as the node lets it, and publishes. */
  async function attack(
    hostile: HostileNode,
    node: SpaceNode,
    owner: SpaceNode,
    token: string,
    text: string,
  ) {
    const spaceId = spaceIdOf({ space: SPACE, owner: owner.id, generation: 0 });
    const bytes = Buffer.from(spaceId, 'hex');
    const times = { sequence: Date.now(), expiresMs: Date.now() + 60_000 };
    const record = member(hostile, { spaceId, points: ['bids'], grants: [token], ...times });
    const link = await hostile.link(node);
    link.say({ members: { spaceId: bytes, records: [record.bytes], digest: [], wanted: [] } });
    link.attach(bytes, 'bids');
    link.want([WANTED], { digest: interestDigest(decodeInterest('topic', WANTED)) });
    const message = { routingKey: 'eu.de', header: Buffer.alloc(14), body: Buffer.from(text) };
    await link.write(namingRecord(1, bytes, 'bids'), messageRecord(1, Date.now() * 1000, message));
    await link.handled();
  }

  it('learns from the DHT who was revoked before it links to that one, and the owner is gone', async () => {
    const [owner, node, bystander] = await Promise.all([
      SpaceNode.start(),
      SpaceNode.start(),
      SpaceNode.start(),
    ]);
    const hostile = await HostileNode.start();
    const terms = {
      space: SPACE,
      points: ['bids'],
      rights: ['publish', 'subscribe'],
      routingKeys: ['#'],
    } as const;
    const grantTo = (to: string) =>
      owner.spaces.grants.create({ ...terms, to, expiresMs: Date.now() + DAY_MS, delegable: 0 });
    await owner.declare({ access: 'granted' });
    await owner.join();
    await node.join(owner, '#', { grant: await grantTo(node.id) });
    await bystander.spaces.bootstrap(parseSeeds([owner.address, node.address], 'seeds'));
    const token = await grantTo(hostile.id);
    await attack(hostile, node, owner, token, 'while it may');
    node.publish('what it may know', 'eu.de');
    await eventually(() => expect(hostile.everything.toString()).toContain('what it may know'));
    await eventually(() => expect(node.received).toEqual(['while it may']));

    const heal = await cutOff(node);
    await owner.spaces.grants.revoke(token);
    await owner.stop();
    node.publish('secret', 'eu.de');
    heal();
    const sealed = sealGrant(token, readGrant(token).claims.rendezvous, hostile.id, node.id);
    const [reply] = await Promise.all([
      hostile.lookUp(node, { grant: sealed }),
      attack(hostile, node, owner, token, 'poison'),
    ]);
    expect(reply.spaces.map(({ members }) => members)).toEqual([[]]);
    node.publish('another secret', 'eu.de');
    await eventually(() => expect(node.spaces.refusals.member).toBeGreaterThan(0));
    expect(node.log.about('shut out')).toHaveLength(1);
    expect(node.received).toEqual(['while it may']);
    expect(hostile.everything.toString()).not.toContain('secret');
  });
});
