import { beforeAll, describe, expect, it } from 'vitest';
import { readGrant } from '../../src/dht-space/grant.js';
import { decodeInterest, interestDigest } from '../../src/dht-space/interest-wire.js';
import { spaceIdOf } from '../../src/dht-space/records.js';
import { sealGrant } from '../../src/dht-space/sealed-grant.js';
import { parseSeeds } from '../../src/dht-space/seeds.js';
import type { Control } from '../../src/dht-space/wire/control.js';
import { eventually } from '../support/eventually.js';
import { point } from './fixtures.js';
import { HostileNode } from './hostile-node.js';
import { SPACE, SpaceNode } from './space-node.js';
import type { Peer } from './testnet.js';
import { membersFoundBy, startPeer } from './testnet.js';
import { messageRecord, namingRecord } from './wire-records.js';

const HOUR_MS = 3_600_000;
const WANTED = { routingKey: '#', arguments: '', token: new Uint8Array(0), everything: false };
const NO_SPACE = 'ab'.repeat(32);

/** The members of a granted space, and a node that is in none. */
let owner: SpaceNode;
let member: SpaceNode;
let bare: SpaceNode;
let stranger: HostileNode;
/** Another one, that is in the overlay. */
let asker: Peer;
let rendezvous: string;
let spaceId: string;

beforeAll(async () => {
  [owner, member, bare, stranger, asker] = await Promise.all([
    ...([SpaceNode.start(), SpaceNode.start(), SpaceNode.start()] as const),
    HostileNode.start(),
    startPeer(),
  ]);
  await owner.declare({ access: 'granted' });
  await owner.join();
  const grant = await owner.spaces.grants.create({
    space: SPACE,
    to: member.id,
    ...{ points: ['*'], rights: ['publish', 'subscribe', 'administer'], routingKeys: ['#'] },
    expiresMs: Date.now() + HOUR_MS,
    delegable: 0,
  });
  await member.join(owner, '#', { grant });
  await bare.spaces.bootstrap(parseSeeds([owner.address], 'seeds'));
  await asker.seeds.join(parseSeeds([owner.address, member.address, bare.address], 'seeds'));
  rendezvous = readGrant(grant).claims.rendezvous;
  spaceId = spaceIdOf({ space: SPACE, owner: owner.id, generation: 0 });
});

/** What a node answers to all that can be said about a space on a link, while it publishes to its point. */
async function answersAbout(id: string): Promise<readonly object[]> {
  const bytes = Buffer.from(id, 'hex');
  const stranger = await HostileNode.start();
  const link = await stranger.link(member);
  const digest = [{ peer: stranger.id, epoch: 1n, sequence: 1 }];
  const times = { createdMs: Date.now(), expiresMs: Date.now() + 60_000 };
  const defined = point(stranger, { spaceId: id, ...times, closed: true, deleted: true, sequence: 99 });
  link.say(
    { members: { spaceId: bytes, records: [], digest, wanted: [owner.id, member.id] } },
    { definitions: { spaceId: bytes, points: [defined.bytes], manifest: new Uint8Array(0) } },
  );
  link.attach(bytes, 'bids');
  link.want([WANTED], { digest: interestDigest(decodeInterest('topic', WANTED)) });
  const message = { routingKey: 'eu.de', header: Buffer.alloc(14), body: Buffer.from('poison') };
  await link.write(namingRecord(1, bytes, 'bids'), messageRecord(1, 1, message));
  link.change((number) => ({ synced: { number, spaceId: bytes } }));
  member.publish('secret', 'eu.de');
  await link.handled();
  expect(stranger.everything.toString()).not.toContain('secret');
  // Pings and progress come when it is time for them.
  const about = link.heard.filter(({ synced, settled, members, definitions, attach, interest, detach }) =>
    Boolean(synced ?? settled ?? members ?? definitions ?? attach ?? interest ?? detach),
  );
  return about.map((control) => comparable(control, bytes));
}

/** One space id is as good as another. */
function comparable({ synced, ...control }: Control, spaceIdBytes: Buffer): object {
  return synced === undefined ? control : { synced: Buffer.compare(synced.spaceId, spaceIdBytes) };
}

describe('a granted space shows a stranger that it is there, and nothing else:', () => {
  it('a link is told the same as about a space that there is not', async () => {
    const about = await answersAbout(spaceId);
    expect(about).toEqual(await answersAbout(NO_SPACE));
    expect(about.flatMap((control) => Object.keys(control))).toContain('synced');
    expect(member.received).not.toContain('poison');
    expect(member.session.status().participants.map(({ id }) => id)).toEqual([owner.id]);
  });

  it('a lookup is answered as by a node that is in no space', async () => {
    const token = 'e30.e30.AAAA';
    const requests = [
      { space: SPACE },
      { space: SPACE, owner: owner.id },
      { grant: sealGrant(token, NO_SPACE, stranger.id, member.id) },
      { grant: Buffer.from(token) },
      // What another one has shown, by somebody who has overheard it.
      { grant: sealGrant(token, rendezvous, owner.id, member.id) },
    ];
    for (const request of requests) {
      expect(await stranger.lookUp(member, request)).toEqual(await stranger.lookUp(bare, request));
    }
  });

  it('the DHT has its manifest, neither its members under its name nor its points', async () => {
    await eventually(async () => expect(await membersFoundBy(asker, rendezvous)).toContain(member.id));
    expect(await membersFoundBy(asker, SPACE)).toEqual([]);
    expect(await asker.directory.findPoint(spaceId, 'bids')).toBeUndefined();
    const manifests = await asker.directory.findManifests(SPACE);
    expect(manifests.map(({ record }) => [record.owner, record.access])).toEqual([[owner.id, 'granted']]);
  });

  it('a member identifies itself as any other node does', async () => {
    const shownBy = async ({ overlay }: SpaceNode) => {
      const { protocols, metadata } = await asker.node.libp2p.peerStore.get(overlay.peerId);
      return { protocols: protocols.toSorted(), metadata: [...metadata.keys()].toSorted() };
    };
    const shown = await shownBy(bare);
    expect(shown.protocols).toContain('/xspace/control/1.0.0');
    expect(await shownBy(member)).toEqual(shown);
  });
});
