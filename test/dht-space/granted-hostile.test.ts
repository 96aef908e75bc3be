import '../../src/dht-space/promise-polyfill.js';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Grant } from '../../src/dht-space/grant.js';
import { PointAccess } from '../../src/dht-space/point-access.js';
import { receiveControl } from '../../src/dht-space/receive-control.js';
import { spaceIdOf } from '../../src/dht-space/records.js';
import type { RefusalCause } from '../../src/dht-space/refusals.js';
import type { Control } from '../../src/dht-space/wire/control.js';
import { eventually } from '../support/eventually.js';
import { Random } from '../support/random.js';
import { FakeMember } from './fake-member.js';
import { FakeOverlay } from './fake-overlay.js';
import type { Identity } from './fixtures.js';
import { identities, manifest, member, NOW, point } from './fixtures.js';
import { DAY_MS, delegated, issued } from './grant-fixtures.js';

let owner: Identity;
let honest: Identity;
let hostile: Identity;
let overlay: FakeOverlay;
let clock: { nowMs: number };
let victim: FakeMember;

beforeAll(async () => {
  [owner, honest, hostile] = (await identities(3)) as [Identity, Identity, Identity];
});

const granted = () => manifest(owner, { access: 'granted', expiresMs: NOW + 30 * DAY_MS });
const bids = () => ({ spaceId: spaceIdOf('market', owner.id), createdMs: NOW, expiresMs: NOW + 60_000 });

async function enter(identity: Identity, grant?: Grant): Promise<FakeMember> {
  const shown = grant ?? (await issued(identity, identity.id));
  return FakeMember.start(overlay, identity, granted(), { clock, grant: shown });
}

/** The hostile node, which observes no limit of its own grant. */
async function enterHostile(grant: Grant): Promise<FakeMember> {
  const node = await enter(hostile, grant);
  node.space.grants.accessOf = () => PointAccess.everything;
  node.space.grants.admits = () => true;
  node.space.grants.mayDefine = () => true;
  node.space.grants.authorised = (record) => ({ ...record, grant: grant.token });
  return node;
}

function refused(cause: RefusalCause): number {
  return victim.space.grants.refusals.count(cause);
}

beforeEach(async () => {
  overlay = new FakeOverlay(new Random(1));
  clock = { nowMs: NOW };
  victim = await enter(owner);
  await victim.join();
});

describe('a hostile node in front of a granted space', () => {
  it.each<[string, () => Promise<readonly string[]>]>([
    ['none', async () => []],
    ['one that it made itself', async () => [(await issued(hostile, hostile.id)).token]],
    ["another member's", async () => [(await issued(owner, honest.id)).token]],
    ['one of another space', async () => [(await issued(owner, hostile.id, { space: 'other' })).token]],
    [
      'an expired one',
      async () => [
        (await issued(owner, hostile.id, { nowMs: NOW - 2 * DAY_MS, expiresMs: NOW - DAY_MS })).token,
      ],
    ],
    [
      'one that was delegated from a grant that it does not hold',
      async () => {
        const [body] = (await issued(hostile, hostile.id)).token.split('.');
        return [`${body}.e30.AAAA`];
      },
    ],
    ['a bearer grant as it is', async () => [(await issued(owner, 'bearer')).token]],
    ['what is none at all', async () => ['nonsense', 'a.b.c', '']],
  ])('is no member by its record with %s', async (_, grants) => {
    const record = member(hostile, { ...bids(), points: ['bids'], grants: await grants() });
    victim.space.members.learn([record.bytes]);
    expect(victim.space.members.others).toEqual([]);
    expect(refused('member')).toBe(1);
    expect(victim.log.about('refused in a granted space')).toHaveLength(1);
  });

  it('is no member by a grant that was revoked, nor by what was delegated from it', async () => {
    const parent = await issued(owner, honest.id);
    const child = await delegated(parent, honest, hostile.id);
    await victim.space.revoke([{ grant: parent.claims.id, expiresMs: parent.claims.expiresMs }]);
    victim.space.members.learn([member(hostile, { ...bids(), grants: [child.token] }).bytes]);
    victim.space.members.learn([member(honest, { ...bids(), grants: [parent.token] }).bytes]);
    expect(victim.space.members.others).toEqual([]);
    expect(refused('member')).toBe(2);
  });

  it('learns over a link neither members nor points nor interest, whatever it asks or claims', async () => {
    const friend = await enter(honest, await issued(owner, honest.id));
    friend.meet(victim);
    await eventually(() => expect(victim.space.members.others).toHaveLength(1));
    const stranger = await FakeMember.start(overlay, hostile, manifest(hostile, { space: 'other' }), {
      clock,
    });
    const link = stranger.links.share(owner.id, 'f'.repeat(64)) ?? expect.fail();
    await eventually(() => expect(link.session).toBeDefined());
    const told: Control[] = [];
    const theirs = victim.links.get(hostile.id) ?? expect.fail();
    const session = theirs.session ?? expect.fail();
    session.control.send = (message) => void told.push(message);
    const spaceId = Buffer.from(victim.space.spaceId, 'hex');
    const digest = [{ peer: hostile.id, epoch: 1n, sequence: 1 }];
    const say = (message: Control) => receiveControl(theirs, message, victim.spaces, () => undefined);
    say({ members: { spaceId, records: [], digest, wanted: [honest.id] } });
    say({ definitions: { spaceId, points: [point(hostile, bids()).bytes], manifest: new Uint8Array(0) } });
    say({ attach: { number: 1, id: 1, spaceId, point: 'bids', type: 'topic' } });
    say({ synced: { number: 2, spaceId } });
    victim.publish('secret');
    expect(told.flatMap((message) => Object.keys(message))).toEqual(['synced', 'settled', 'settled']);
    expect(victim.session?.status().participants.map(({ id }) => id)).not.toContain(hostile.id);
    expect([refused('link'), refused('attach')]).toEqual([2, 1]);
  });
});

describe('a hostile member of a granted space', () => {
  async function meet(changes: Parameters<typeof issued>[2]): Promise<FakeMember> {
    const node = await enterHostile(await issued(owner, hostile.id, changes));
    node.meet(victim);
    await node.join();
    await eventually(() => expect(victim.space.members.others).toHaveLength(1));
    return node;
  }

  it('publishes nothing outside of its routing keys', async () => {
    const node = await meet({ rights: ['publish', 'subscribe'], routingKeys: ['eu.#'] });
    await eventually(() => expect(node.session?.status().participants[0]?.interest).toBe(1));
    node.publish('beyond', 'us.ny');
    node.publish('within', 'eu.de');
    await eventually(() => expect(victim.received).toEqual(['within']));
    expect(refused('message')).toBe(1);
  });

  it('publishes nothing without the right to', async () => {
    const node = await meet({ rights: ['subscribe', 'administer'], routingKeys: ['#'] });
    await eventually(() => expect(node.session?.status().participants[0]?.interest).toBe(1));
    node.publish('one', 'eu.de');
    await eventually(() => expect(refused('message')).toBe(1));
    expect(victim.received).toEqual([]);
  });

  it('gets nothing outside of its routing keys, whatever it wants', async () => {
    const node = await meet({ routingKeys: ['eu.#'] });
    await eventually(() => expect(victim.session?.status().participants[0]?.interest).toBe(1));
    expect(refused('interest')).toBe(1);
    victim.publish('beyond', 'us.ny');
    victim.publish('within', 'eu.de');
    await eventually(() => expect(node.received).toEqual(['within']));
  });

  it('takes no part in a point that its grant does not name', async () => {
    const node = await meet({ points: ['other'] });
    await eventually(() => expect(refused('attach')).toBe(1));
    victim.publish('secret', 'eu.de');
    expect(victim.session?.status().participants).toEqual([]);
    expect(node.received).toEqual([]);
  });

  it('neither defines nor deletes a point without the right to', async () => {
    const subscriber = await issued(owner, hostile.id, { rights: ['subscribe'], points: ['*'] });
    const publisher = await issued(owner, hostile.id, { rights: ['publish'] });
    const records = [
      point(hostile, { ...bids(), createdMs: NOW - 9, type: 'fanout', grant: subscriber.token }),
      point(hostile, { ...bids(), name: 'asks', grant: publisher.token }),
      point(hostile, { ...bids(), closed: true, deleted: true, sequence: 99, grant: publisher.token }),
      point(hostile, { ...bids(), name: 'new' }),
    ];
    victim.space.learn({
      manifest: new Uint8Array(0),
      members: [],
      points: records.map(({ bytes }) => bytes),
    });
    expect(refused('definition')).toBe(4);
    expect(victim.session?.status().state).toBe('joined');
  });

  it('deletes a point with the right to', async () => {
    const administrator = await issued(owner, hostile.id, { rights: ['administer'] });
    const record = victim.directory.put[0]?.record;
    expect(record).toBeUndefined();
    const deletion = { ...bids(), closed: true, deleted: true, sequence: 99, grant: administrator.token };
    const own = victim.space.found(100_000).points;
    expect(own).toHaveLength(1);
    victim.space.learn({
      manifest: new Uint8Array(0),
      members: [],
      points: [point(hostile, deletion).bytes],
    });
    expect(refused('definition')).toBe(0);
    expect(victim.session?.status().state).toBe('left');
  });
});
