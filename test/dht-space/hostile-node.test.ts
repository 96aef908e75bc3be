import * as varint from 'uint8-varint';
import { beforeAll, describe, expect, it } from 'vitest';
import { encodeClaims, spaceKey } from '../../src/dht-space/claims.js';
import { delegateGrant } from '../../src/dht-space/grant-issue.js';
import { interestDigest } from '../../src/dht-space/interest-wire.js';
import { MAX_CONTROL_BYTES, MAX_SIGNED_RECORD_BYTES, MAX_TOLD_PATTERNS } from '../../src/dht-space/limits.js';
import { CONTROL_PROTOCOL, LOOKUP_PROTOCOL, MESSAGES_PROTOCOL } from '../../src/dht-space/protocol.js';
import { open } from '../../src/dht-space/records.js';
import type { RefusalCause } from '../../src/dht-space/refusals.js';
import { sealGrant } from '../../src/dht-space/sealed-grant.js';
import type { Pattern } from '../../src/dht-space/wire/control.js';
import { Envelope } from '../../src/dht-space/wire/envelope.js';
import { outgoing } from '../overlay/messages.js';
import { eventually } from '../support/eventually.js';
import { Random, seed } from '../support/random.js';
import { DHT_PROTOCOL } from './dht-wire.js';
import type { HostileLink } from './hostile-node.js';
import { HostileNode } from './hostile-node.js';
import { claimOf, madeUp, refused, Scene, terms, VAULT } from './hostile-scene.js';
import { rubbish } from './rubbish.js';
import { SPACE, SpaceNode } from './space-node.js';
import { frame } from './stranger.js';
import { messageRecord, namingRecord, u32 } from './wire-records.js';

const HOUR_MS = 3_600_000;
const FRAMES = 5_000;
const FRAMES_PER_STREAM = 100;
const bare: Pattern = { routingKey: '', arguments: '', token: new Uint8Array(0), everything: false };

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

const message = (body: string, routingKey: string): Buffer =>
  messageRecord(1, Date.now(), { routingKey, header: Buffer.alloc(14), body: Buffer.from(body) });

/** Has its link end by what it does over it. */
async function refusedOver(cause: RefusalCause, act: (link: HostileLink) => unknown) {
  hostile = await HostileNode.start();
  return refused(victim, hostile, cause, async () => {
    const link = await hostile.link(victim);
    await act(link);
    await link.ended;
  });
}

/** Becomes a member of the granted space, and a participant of its point. */
async function enterWith(
  changes: Parameters<Scene['grantTo']>[1],
): Promise<{ link: HostileLink; grant: string }> {
  hostile = await HostileNode.start();
  const { token: grant } = await scene.grantTo(hostile.id, changes);
  const link = await hostile.link(victim);
  await scene.enter(link, hostile, { grant });
  expect(scene.statusAt(victim, VAULT).members).toContain(hostile.id);
  return { link, grant };
}

describe('a hostile node at a space', () => {
  it("that changes another member's record loses its link, and the member stays where it is", async () => {
    const told = (await scene.toldBy(victim)).members.find(({ record }) => record.peer === friend.id);
    const envelope = Envelope.decode(told?.bytes ?? expect.fail());
    await refusedOver('forged', (link) => {
      const { bytes } = scene.memberRecord(hostile, SPACE, { sequence: Date.now() + 9999 });
      const forged = Envelope.encode({ ...envelope, payload: Envelope.decode(bytes).payload });
      scene.tell(link, SPACE, { records: [forged] });
    });
    expect((await scene.toldBy(victim)).members.map(({ bytes }) => bytes)).toContainEqual(told?.bytes);
  });

  it('that signs with its own key what it says in the name of another peer is not believed', async () => {
    const { bytes } = scene.pointRecord(await HostileNode.start(), SPACE);
    const { publicKey } = Envelope.decode((await scene.toldBy(victim)).manifest.bytes);
    await refusedOver('forged', (link) =>
      scene.tell(link, SPACE, { points: [Envelope.encode({ ...Envelope.decode(bytes), publicKey })] }),
    );
  });

  it('that replays the record of a member which has left does not bring it back', async () => {
    const leaver = await SpaceNode.start();
    const session = await leaver.join(friend);
    await eventually(() => expect(scene.statusAt(victim).members).toContain(leaver.id));
    const told = (await scene.toldBy(victim)).members.find(({ record }) => record.peer === leaver.id);
    await session.leave();
    await eventually(() => expect(scene.statusAt(victim).members).not.toContain(leaver.id));
    hostile = await HostileNode.start();
    const link = await hostile.link(victim);
    await refused(victim, hostile, 'outdated', () =>
      scene.tell(link, SPACE, { records: [told?.bytes ?? expect.fail()] }),
    );
    expect(scene.statusAt(victim).members).not.toContain(leaver.id);
  });

  it('that says it owns the space, or hands over what is of another one, loses its link', async () => {
    await refusedOver('foreign', (link) =>
      scene.tell(link, SPACE, { manifest: claimOf(hostile, { space: SPACE, deleted: true }).bytes }),
    );
    await refusedOver('foreign', (link) =>
      scene.tell(link, SPACE, { records: [scene.memberRecord(hostile, VAULT).bytes] }),
    );
    expect(scene.statusAt(victim).members).toHaveLength(3);
  });

  it('that dates a record into the future, or has it last for ever, loses its link', async () => {
    const nowMs = Date.now();
    await refusedOver('clock', (link) =>
      scene.tell(link, SPACE, {
        points: [scene.pointRecord(hostile, SPACE, { createdMs: nowMs + HOUR_MS }).bytes],
      }),
    );
    await refusedOver('clock', (link) =>
      scene.tell(link, SPACE, {
        records: [scene.memberRecord(hostile, SPACE, { expiresMs: nowMs + HOUR_MS }).bytes],
      }),
    );
  });

  it.each<[string, () => Promise<string>]>([
    ['no grant', async () => ''],
    ['a grant that it made itself', async () => madeUp(await scene.grantTo(hostile.id), hostile)],
    ['the grant of another member', async () => (await scene.grantTo(friend.id)).token],
    ['a grant for another space', async () => (await scene.grantTo(hostile.id, { space: 'other' })).token],
    [
      'an expired grant',
      async () => {
        const nowMs = Date.now();
        const times = { nowMs: nowMs - 2 * HOUR_MS, expiresMs: nowMs - HOUR_MS };
        return (await scene.grantTo(hostile.id, times)).token;
      },
    ],
    [
      'a grant that is wider than the one it was delegated from',
      async () => {
        const parent = await scene.grantTo(hostile.id, { delegable: 1 });
        return madeUp(parent, hostile, { parent: parent.token, delegable: 0, points: ['*'] });
      },
    ],
    ['what is no grant', async () => 'a.b.c'],
    ['a bearer grant as it is', async () => (await scene.grantTo('bearer')).token],
    [
      'a revoked grant',
      async () => {
        const { token } = await scene.grantTo(hostile.id);
        await owner.spaces.grants.revoke(token);
        return token;
      },
    ],
    [
      'a grant that was delegated from a revoked one',
      async () => {
        const parent = await scene.grantTo(friend.id, { delegable: 1 });
        await owner.spaces.grants.revoke(parent.token);
        const { privateKey } = friend.overlay;
        const { expiresMs } = parent.claims;
        const handedDown = { ...terms({ to: hostile.id, expiresMs }), nowMs: Date.now() };
        return (await delegateGrant(parent, handedDown, privateKey)).token;
      },
    ],
  ])('with %s is no member of a granted space, and learns nothing of it', async (_, make) => {
    hostile = await HostileNode.start();
    const grant = await make();
    const rendezvous = (await scene.grantTo(friend.id)).claims.rendezvous;
    await eventually(() =>
      expect(scene.statusAt(victim, VAULT).revocations).toBe(owner.spaces.grants.revocations(VAULT).length),
    );
    const link = await hostile.link(victim);
    await refused(victim, hostile, 'member', () => scene.enter(link, hostile, { grant }));
    await refused(victim, hostile, 'stranger', () => scene.ask(link, VAULT));
    await refused(victim, hostile, 'attach', () => link.attach(scene.spaceBytes(VAULT), 'bids'));
    const ask = sealGrant(grant, rendezvous, hostile.id, victim.id);
    await refused(victim, hostile, 'lookup', async () => {
      const { spaces } = await hostile.lookUp(victim, grant === '' ? { space: VAULT } : { grant: ask });
      expect(spaces.flatMap(({ members, points }) => [...members, ...points])).toEqual([]);
    });
    await link.handled();
    const kinds = link.heard.flatMap((control) => Object.keys(control));
    expect(kinds.filter((kind) => ['members', 'definitions', 'attach', 'interest'].includes(kind))).toEqual(
      [],
    );
    expect(hostile.everything.includes(`${VAULT} of`)).toBe(false);
  });

  it('that publishes outside of its routing keys, by hand, reaches nobody; inside, it does', async () => {
    const { link } = await enterWith({ rights: ['publish'] });
    await link.write(namingRecord(1, scene.spaceBytes(VAULT), 'bids'));
    await refused(victim, hostile, 'message', () => link.write(message('hostile: beyond', 'us.ny')));
    await link.write(message('hostile: within', 'eu.de'));
    await eventually(() => expect(victim.received).toContain('hostile: within'));
    expect(victim.received).not.toContain('hostile: beyond');
  });

  it('that publishes without the right to reaches nobody', async () => {
    const { link } = await enterWith({ rights: ['subscribe', 'administer'], routingKeys: ['#'] });
    await link.write(namingRecord(1, scene.spaceBytes(VAULT), 'bids'));
    await refused(victim, hostile, 'message', () => link.write(message('hostile: no right', 'eu.de')));
    expect(victim.received).not.toContain('hostile: no right');
  });

  it('that takes part in a point which its grant does not name gets nothing of it', async () => {
    const attached = victim.spaces.refusals.attach ?? 0;
    await enterWith({ points: ['other'] });
    expect(victim.spaces.refusals.attach).toBe(attached + 1);
    const { participants } = scene.sessionAt(victim, VAULT).status();
    expect(participants.map(({ id }) => id)).not.toContain(hostile.id);
  });

  it('that publishes without being let in reaches nobody', async () => {
    hostile = await HostileNode.start();
    const link = await hostile.link(victim);
    await link.write(namingRecord(1, scene.spaceBytes(VAULT), 'bids'));
    await refused(victim, hostile, 'message', () => link.write(message('hostile: stranger', 'eu.de')));
    expect(victim.received).not.toContain('hostile: stranger');
  });

  it('that wants more than its grant gives gets what it gives', async () => {
    const { link } = await enterWith({ rights: ['subscribe'], routingKeys: ['us.#'] });
    const digest = interestDigest({ routingKey: '#', arguments: {} });
    await refused(victim, hostile, 'interest', () => {
      link.want([], { snapshot: true });
      link.want([{ ...bare, routingKey: '#' }], { digest });
    });
    scene.sessionAt(victim, VAULT).publish(outgoing('us.ny', 'for hostile'));
    await eventually(() => expect(hostile.everything.includes('for hostile')).toBe(true));
    expect(hostile.everything.includes(`${VAULT} of`)).toBe(false);
  });

  it('that changes what a point is without the right to leaves it as it was', async () => {
    const { link, grant } = await enterWith({ rights: ['subscribe', 'publish'] });
    const before = scene.statusAt(victim, VAULT).digest.definitions;
    const stated = { createdMs: 1, grant };
    const changes = [
      { ...stated, name: 'asks' },
      { ...stated, closed: true, deleted: true, sequence: 99 },
      { createdMs: 1, type: 'fanout' as const },
    ];
    for (const change of changes) {
      await refused(victim, hostile, 'definition', () =>
        scene.tell(link, VAULT, { points: [scene.pointRecord(hostile, VAULT, change).bytes] }),
      );
    }
    expect(scene.statusAt(victim, VAULT).digest.definitions).toBe(before);
  });

  it('that is no member changes no definition', async () => {
    hostile = await HostileNode.start();
    const link = await hostile.link(victim);
    await refused(victim, hostile, 'stranger', () =>
      scene.tell(link, VAULT, { points: [scene.pointRecord(hostile, VAULT).bytes] }),
    );
  });

  it('that replays a manifest from before it was revoked stays shut out', async () => {
    const { link, grant } = await enterWith({ rights: ['subscribe'] });
    const before =
      link.heard.flatMap(({ definitions }) => definitions?.manifest ?? []).at(-1) ?? expect.fail();
    await owner.spaces.grants.revoke(grant);
    await link.ended;
    const again = await hostile.link(victim);
    await refused(victim, hostile, 'outdated', () => scene.tell(again, VAULT, { manifest: before }));
    await refused(victim, hostile, 'outdated', () =>
      hostile.store(victim, spaceKey(VAULT), encodeClaims([open('space-manifest', before, Date.now())])),
    );
    await refused(victim, hostile, 'member', () => scene.enter(again, hostile, { grant: grant }));
    expect(scene.statusAt(victim, VAULT).members).not.toContain(hostile.id);
  });

  it('that floods with interest loses its link', async () => {
    const patterns = Array.from({ length: MAX_TOLD_PATTERNS + 1 }, (_, index) => ({
      ...bare,
      routingKey: `k${index}`,
    }));
    await refusedOver('flood', async (link) => {
      await scene.enter(link, hostile, { space: SPACE });
      for (let start = 0; start < patterns.length; start += 1000) {
        const told = patterns
          .slice(0, start + 1000)
          .map(({ routingKey }) => interestDigest({ routingKey, arguments: {} }));
        link.want(patterns.slice(start, start + 1000), { digest: told.reduce((all, one) => all ^ one, 0n) });
      }
    });
    const { participants } = scene.sessionAt(victim, SPACE).status();
    expect(participants.filter(({ linked }) => linked)).toHaveLength(2);
  });

  it('that asks for everything of a direct point loses its link', async () => {
    await refusedOver('protocol', (link) => {
      link.attach(scene.spaceBytes(SPACE), 'mailbox', { type: 'direct' });
      link.want([{ ...bare, everything: true }]);
    });
  });

  it('that sends what is too large loses its link: a control message, a record, a signed record', async () => {
    await refusedOver('oversize', (link) => link.sendRaw(Buffer.from(varint.encode(MAX_CONTROL_BYTES + 1))));
    await refusedOver('oversize', (link) => link.write(u32(0xffffff00)));
    await refusedOver('oversize', (link) =>
      scene.tell(link, SPACE, { records: [Buffer.alloc(MAX_SIGNED_RECORD_BYTES + 1)] }),
    );
    await refused(victim, hostile, 'oversize', () =>
      hostile.send(victim, LOOKUP_PROTOCOL, frame(Buffer.alloc(100_000))),
    );
  });

  it('that breaks a protocol loses what it spoke it over', async () => {
    const noMessage = frame(Buffer.from('ff00ff00', 'hex'));
    await refusedOver('protocol', (link) => link.sendRaw(noMessage));
    await refusedOver('protocol', (link) => link.write(u32(1), Buffer.from([77])));
    const send = (protocol: string, octets: Buffer) => () => hostile.send(victim, protocol, octets);
    await refused(victim, hostile, 'greeting', send(CONTROL_PROTOCOL, frame(Buffer.from('6200', 'hex'))));
    await refused(victim, hostile, 'greeting', send(MESSAGES_PROTOCOL, Buffer.alloc(12, 1)));
    await refused(victim, hostile, 'protocol', send(LOOKUP_PROTOCOL, noMessage));
    await refused(victim, hostile, 'protocol', () =>
      hostile.store(victim, '/nothing/like-it', Buffer.from('x')),
    );
  });

  it(`that sends ${FRAMES} frames of rubbish on all protocols is refused (SEED=${seed})`, async () => {
    hostile = await HostileNode.start();
    const random = new Random(seed);
    const before = { ...victim.spaces.refusals };
    for (let sent = 0; sent < FRAMES; sent += FRAMES_PER_STREAM) {
      const protocol = random.pick([
        CONTROL_PROTOCOL,
        CONTROL_PROTOCOL,
        MESSAGES_PROTOCOL,
        LOOKUP_PROTOCOL,
        DHT_PROTOCOL,
      ]);
      await hostile.send(victim, protocol, rubbish(protocol, FRAMES_PER_STREAM, random)).catch(() => {});
    }
    for (const cause of ['protocol', 'greeting']) {
      expect(victim.spaces.refusals[cause] ?? 0, cause).toBeGreaterThan((before[cause] ?? 0) + 5);
    }
  });

  it('has cost honest members nothing: no message, no order, no link', async () => {
    await scene.expectNothingLost();
  });
});
