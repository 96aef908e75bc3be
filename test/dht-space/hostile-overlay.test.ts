import { connect } from 'node:net';
import { generateKeyPair } from '@libp2p/crypto/keys';
import { beforeAll, describe, expect, it } from 'vitest';
import { encodeClaims, spaceKey } from '../../src/dht-space/claims.js';
import {
  K_BUCKET_SIZE,
  LOOKUP_GRACE_MS,
  MAX_CLAIMS,
  MAX_CONNECTIONS_PER_SECOND_PER_HOST,
  MAX_PEERS_ASKED,
  MAX_STORES_PER_PEER,
} from '../../src/dht-space/limits.js';
import { eventually } from '../support/eventually.js';
import { membersKey } from './dht-wire.js';
import { identities } from './fixtures.js';
import { HostileNode, nearest } from './hostile-node.js';
import { claimOf, providersBy, refused, Scene } from './hostile-scene.js';
import { SPACE, SpaceNode } from './space-node.js';

/** More than a newcomer asks of those that are connected to it. */
const SYBILS = MAX_PEERS_ASKED / 2 + 2;
const STALL = 'stall';

let scene: Scene;
/** Whom it attacks, another member, and the owner of both spaces. */
let victim: SpaceNode;
let friend: SpaceNode;
let owner: SpaceNode;
let hostile: HostileNode;

beforeAll(async () => {
  scene = await Scene.open();
  [owner, victim, friend] = scene.nodes;
});

describe('a hostile node in the overlay', () => {
  it('that connects as another peer, without its key, is not let in', async () => {
    const impostor = await HostileNode.start({ claiming: friend.overlay.privateKey.publicKey });
    const connections = () => victim.overlay.libp2p.getConnections(friend.overlay.peerId);
    const [before, count] = [connections(), victim.spaces.refusals.handshake ?? 0];
    await impostor.dial(victim).catch(() => {});
    await eventually(() => expect(victim.spaces.refusals.handshake).toBe(count + 1));
    expect(victim.log.about('refused').map(({ fields }) => fields.refused)).toContain('handshake');
    expect(connections()).toEqual(before);
  });

  it('that announces another peer as a member in the DHT is refused', async () => {
    hostile = await HostileNode.start();
    await refused(victim, hostile, 'forged', () =>
      hostile.provide(victim, [membersKey(SPACE)], friend.overlay.peerId),
    );
  });

  it('that has the DHT keep more and more things is refused, and what others have stored stays', async () => {
    hostile = await HostileNode.start();
    // So many that it is too much also where they are handled slowly.
    const keys = Array.from({ length: 4 * MAX_STORES_PER_PEER }, (_, index) =>
      membersKey(`nothing ${index}`),
    );
    await refused(victim, hostile, 'flood', () => hostile.provide(victim, keys));
    expect(await providersBy(friend, membersKey(SPACE))).toContain(owner.id);
  });

  it('that claims the name with older claims than all others, by many keys, does not hide the space', async () => {
    hostile = await HostileNode.start();
    const squatters = [hostile, ...(await identities(MAX_CLAIMS))];
    const claims = squatters.map((squatter) => claimOf(squatter, { space: SPACE, createdMs: 1 }));
    const put = (at: SpaceNode, some: typeof claims) =>
      hostile.store(at, spaceKey(SPACE), encodeClaims(some));
    await refused(victim, hostile, 'claim', () => put(victim, claims.slice(0, 1)));
    for (const node of scene.nodes) await put(node, claims.slice(1));
    const newcomer = await SpaceNode.start();
    await newcomer.join(friend);
    expect(scene.statusAt(newcomer).owner).toBe(owner.id);
    // As if somebody was in it.
    hostile.spaces = [{ manifest: (claims[0] ?? expect.fail()).bytes, members: [], points: [] }];
    const other = await SpaceNode.start();
    await hostile.dial(other);
    await expect(other.join(friend)).rejects.toThrow(
      `claimed by ${[owner.id, hostile.id].sort().join(' and ')}`,
    );
    await other.join(friend, '#', { owner: owner.id });
    expect(scene.statusAt(other).owner).toBe(owner.id);
  });

  it('that claims the name, and says so faster than the seed of a newcomer, does not have it to itself', async () => {
    const squatters = [await HostileNode.start(), await HostileNode.start()];
    const seed = await HostileNode.start();
    const { manifest } = await scene.toldBy(victim);
    seed.spaces = [{ manifest: manifest.bytes, members: [], points: [] }];
    seed.answerMs = 2 * LOOKUP_GRACE_MS;
    const newcomer = await SpaceNode.start();
    for (const squatter of squatters) {
      squatter.spaces = [{ manifest: claimOf(squatter, { space: SPACE }).bytes, members: [], points: [] }];
      await squatter.dial(newcomer);
    }
    const [first, second] = [owner, ...squatters].map(({ id }) => id).sort();
    await expect(newcomer.join(seed)).rejects.toThrow(`claimed by ${first} and ${second} and 1 more`);
  });

  it('that claims the name of a space does not keep its owner from coming back to it', async () => {
    const privateKey = await generateKeyPair('Ed25519');
    const founder = await SpaceNode.start({ privateKey });
    await founder.declare({}, STALL);
    await friend.join(founder, '#', { space: STALL });
    await founder.stop();
    hostile = await HostileNode.start();
    hostile.spaces = [
      { manifest: claimOf(hostile, { space: STALL, createdMs: 1 }).bytes, members: [], points: [] },
    ];
    const returned = await SpaceNode.start({ privateKey });
    await hostile.dial(returned);
    await returned.declare({ seeds: friend.address }, STALL);
    expect(scene.statusAt(friend, STALL).owner).toBe(returned.id);
    await eventually(() => expect(scene.statusAt(friend, STALL).linked).toBe(1));
  });

  it('with many peer ids near a space in the DHT does not keep newcomers from it', async () => {
    const sybils = await nearest(membersKey(SPACE), SYBILS);
    const provide = (sybil: HostileNode) => scene.nodes.map((at) => sybil.provide(at, [membersKey(SPACE)]));
    await Promise.all(sybils.slice(0, K_BUCKET_SIZE).flatMap(provide));
    const newcomer = await SpaceNode.start();
    await Promise.all(sybils.map((sybil) => sybil.dial(newcomer)));
    await newcomer.join(friend);
    await eventually(() =>
      expect(scene.nodes.map((node) => newcomer.statusOf(node)?.linked)).toEqual([true, true, true]),
    );
  });

  it('that opens more connections than a host may is held off', async () => {
    const port = Number(victim.address.split('/')[4]);
    const many = { length: MAX_CONNECTIONS_PER_SECOND_PER_HOST + 50 };
    const sockets = Array.from(many, () => connect(port, '127.0.0.1'));
    for (const socket of sockets) socket.on('error', () => {});
    await eventually(() => expect(victim.spaces.refusals.connection).toBeGreaterThan(0));
    for (const socket of sockets) socket.destroy();
  });

  it('has cost honest members nothing: no message, no order, no link', async () => {
    await scene.expectNothingLost();
  });
});
