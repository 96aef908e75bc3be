import * as varint from 'uint8-varint';
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { decodeClaims, POINT_CLAIMS } from '../../src/dht-space/claims.js';
import { ControlStream } from '../../src/dht-space/control-stream.js';
import { signEnvelope } from '../../src/dht-space/envelope.js';
import { greet } from '../../src/dht-space/greeting.js';
import type { LinkSession } from '../../src/dht-space/link-session.js';
import { CONTROL_PROTOCOL, commonVersion, MESSAGES_PROTOCOL } from '../../src/dht-space/protocol.js';
import { encodePayload } from '../../src/dht-space/record-payload.js';
import type { RecordKind, SpaceRecord } from '../../src/dht-space/records.js';
import { open } from '../../src/dht-space/records.js';
import { Claims } from '../../src/dht-space/wire/claims.js';
import { Control, Hello, LookupReply, LookupRequest } from '../../src/dht-space/wire/control.js';
import { MemberRecord as MemberMessage } from '../../src/dht-space/wire/member-record.js';
import { PointRecord as PointMessage } from '../../src/dht-space/wire/point-record.js';
import { SpaceManifest as ManifestMessage } from '../../src/dht-space/wire/space-manifest.js';
import { eventually } from '../support/eventually.js';
import { Random, seed } from '../support/random.js';
import { FakeMember } from './fake-member.js';
import { FakeOverlay } from './fake-overlay.js';
import { clock, Peer, peerIds, SPACE, settle, startLinked } from './fake-peer.js';
import { FakeStream } from './fake-stream.js';
import type { Identity } from './fixtures.js';
import { identities, manifest, member, NOW, point } from './fixtures.js';
import { LogStub } from './log-stub.js';
import { frame, HELLO } from './stranger.js';

/** Fields 100 to 103 of every wire type, which no message has: 5, "abc", four octets, eight octets. */
const UNKNOWN = Buffer.from('a00605' + 'aa0603616263' + 'b50601020304' + 'b9060102030405060708', 'hex');
/** The varint field 1 of a Hello, as often as there are versions. */
const versions = (...numbers: readonly number[]): Buffer =>
  Buffer.concat(numbers.map((number) => Buffer.from([0x08, number])));

/** Control's field `number` with the octets as a message. */
function control(number: number, octets: Buffer): Buffer {
  return frame(Buffer.concat([varint.encode(number * 8 + 2), varint.encode(octets.length), octets]));
}

/** What a version says that is not there yet: kinds of messages without a meaning here. */
const NEWS = Buffer.concat([
  control(13, UNKNOWN),
  control(14, UNKNOWN),
  control(15, UNKNOWN),
  control(99, UNKNOWN),
]);

let people: readonly Identity[];

beforeAll(async () => {
  people = await identities(3);
});

describe('of the versions that two sides speak', () => {
  it.each<[readonly number[], readonly number[], number | undefined]>([
    [[1], [1], 1],
    [[1, 2, 3], [2, 3, 9], 3],
    [[3, 1, 2], [2, 1], 2],
    [[1, 2], [2 ** 32 - 1, 1], 1],
    [[1], [2], undefined],
    [[1], [], undefined],
  ])('%j and %j, the highest common one is used: %j', (ours, theirs, common) => {
    expect([commonVersion(ours, theirs), commonVersion(theirs, ours)]).toEqual([common, common]);
  });

  it('the highest common one is the session’s, at both ends', async () => {
    const [near, far] = [new FakeStream('outbound'), new FakeStream('inbound')];
    near.deliver = (bytes) => queueMicrotask(() => far.arrive(bytes));
    far.deliver = (bytes) => queueMicrotask(() => near.arrive(bytes));
    const sessions: LinkSession[] = [];
    const side = (stream: FakeStream, spoken: number[]): Promise<void> =>
      greet({
        connection: {} as never,
        stream,
        dialled: stream === near,
        greeting: { ...HELLO, versions: spoken },
        now: () => 0,
        adopt: (session) => void sessions.push(session),
      });
    await Promise.all([side(near, [1, 2, 3]), side(far, [2, 3, 9])]);
    expect(sessions.map(({ version }) => version)).toEqual([3, 3]);
  });
});

describe('a peer of a later version', () => {
  /** A peer that is dialled by `a`, and what it is told. */
  async function later(a: Peer, overlay: FakeOverlay, octets: Buffer): Promise<{ heard: Control[] }> {
    const other = overlay.start(peerIds[2] as string);
    const heard: Control[] = [];
    other.handlers.set(MESSAGES_PROTOCOL, () => {});
    other.handlers.set(CONTROL_PROTOCOL, (stream) => {
      const listening = new ControlStream(stream);
      listening.onMessage = (message) => void heard.push(message);
      listening.start();
      (stream as FakeStream).send(octets);
    });
    a.links.share(other.id, SPACE);
    return { heard };
  }

  it('is linked when it speaks an earlier one too, whatever else it says', async () => {
    const [a, b, overlay] = await startLinked();
    const { versions: _, ...rest } = HELLO;
    const known = Buffer.from(Hello.encode({ ...rest, versions: [], capabilities: ['telepathy', 'brotli'] }));
    const hello = Buffer.concat([UNKNOWN, versions(9, 1, 100), known, UNKNOWN]);
    const ping = frame(Buffer.concat([UNKNOWN, Control.encode({ ping: { nonce: 77 } }), UNKNOWN]));
    const { heard } = await later(a, overlay, Buffer.concat([control(1, hello), NEWS, ping, NEWS]));
    await eventually(() => expect(heard).toContainEqual({ pong: { nonce: 77 } }));
    const linked = a.log.about('linked').find(({ fields }) => fields.peer === peerIds[2]);
    expect(linked?.fields).toMatchObject({ name: 'x', version: 1 });
    expect(a.log.about('link lost')).toEqual([]);
    b.publish(a, 'nothing is lost');
    await eventually(() => expect(a.received).toEqual(['nothing is lost']));
    a.links.unshare(peerIds[2] as string, SPACE);
  });

  describe('that will have none of it', () => {
    beforeEach(() => {
      vi.useRealTimers();
      vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout'] });
    });

    /** What it hears in a minute, and what is logged. Waits are a twentieth of the bound: from 12 ms to 1.5 s. */
    async function aMinuteOf(octets: Buffer): Promise<{ heard: Control[]; log: LogStub }> {
      const overlay = new FakeOverlay(new Random(seed));
      const a = await Peer.start(overlay, peerIds[0] as string, { int: () => 999 } as unknown as Random);
      const { heard } = await later(a, overlay, octets);
      for (let ms = 0; ms < 60_000; ms += 250) {
        await settle();
        clock.nowMs += 250;
        vi.advanceTimersByTime(250);
      }
      a.links.unshare(peerIds[2] as string, SPACE);
      return { heard, log: a.log };
    }

    it('as it speaks no version of these is told and logged the versions of both, and dialled ever less often', async () => {
      const newer = Buffer.concat([versions(2, 100), Buffer.from(Hello.encode({ ...HELLO, versions: [] }))]);
      const { heard, log } = await aMinuteOf(control(1, newer));
      const goodbyes = heard.flatMap(({ goodbye }) => goodbye?.reason ?? []);
      expect(new Set(goodbyes)).toEqual(new Set(['no common version: this side speaks 1, yours 2, 100']));
      expect(goodbyes.length).toBeGreaterThan(20);
      expect(goodbyes.length).toBeLessThan(60);
      const [first, ...more] = log
        .about('could not link')
        .map(({ level, fields }) => `${level}: ${fields.cause}`);
      expect(first).toBe('info: no common version: the other side speaks 2, 100, this one 1');
      expect(new Set(more)).toEqual(new Set([first?.replace('info', 'debug')]));
    });

    it('though it greets is dialled ever less often', async () => {
      const goodbye = frame(Control.encode({ goodbye: { reason: 'not with you' } }));
      const { heard, log } = await aMinuteOf(
        Buffer.concat([control(1, Buffer.from(Hello.encode(HELLO))), goodbye]),
      );
      const greetings = heard.filter(({ hello }) => hello !== undefined);
      expect(greetings.length).toBeGreaterThan(20);
      expect(greetings.length).toBeLessThan(60);
      expect(log.about('link lost')[0]?.fields.cause).toBe('the peer ended it: not with you');
    });
  });
});

describe('a record of a later version', () => {
  /** Signed with fields that are not known here. */
  function extended({ key }: Identity, record: SpaceRecord): Uint8Array {
    const payload = Buffer.concat([UNKNOWN, encodePayload(record), UNKNOWN]);
    return signEnvelope(`/xspace/${record.kind}`, payload, key);
  }

  it.each<[RecordKind]>([['space-manifest'], ['point-record'], ['member-record']])(
    'is good with unknown fields in a %s, and stays the octets that it came in',
    (kind) => {
      const [alice] = people as [Identity];
      const { record } = { 'space-manifest': manifest, 'point-record': point, 'member-record': member }[kind](
        alice,
      );
      const bytes = extended(alice, record);
      const opened = open(kind, bytes, NOW);
      expect(opened.record).toEqual(record);
      expect(Buffer.from(opened.bytes).equals(bytes)).toBe(true);
    },
  );

  it('is handed on by those who do not understand all of it as the octets that it came in', async () => {
    const [owner, other, author] = people as [Identity, Identity, Identity];
    const overlay = new FakeOverlay(new Random(seed));
    const time = { nowMs: NOW };
    const space = manifest(owner);
    const first = await FakeMember.start(overlay, owner, space, { clock: time });
    const second = await FakeMember.start(overlay, other, space, { clock: time });
    second.meet(first);
    await eventually(() => expect(second.links.get(owner.id)?.session).toBeDefined());
    const { spaceId } = first.space;
    const records = {
      manifest: extended(owner, { ...space.record, sequence: 2 }),
      members: [extended(author, member(author, { spaceId }).record)],
      points: [extended(author, point(author, { spaceId }).record)],
    };
    first.space.learn(records);
    await eventually(() => {
      const found = second.space.found(1_000_000);
      expect(Buffer.compare(found.manifest, records.manifest)).toBe(0);
      expect(found.members.map(hex)).toContain(hex(records.members[0] as Uint8Array));
      expect(found.points.map(hex)).toEqual(records.points.map(hex));
    });
  });

  it('says what is not understood, of a kind of point or of a way to reach a member, and is passed over that far', async () => {
    const [owner, other] = people as [Identity, Identity];
    const time = { nowMs: NOW };
    const log = new LogStub();
    const first = await FakeMember.start(new FakeOverlay(new Random(seed)), owner, manifest(owner), {
      clock: time,
      log,
    });
    const { spaceId } = first.space;
    const strange = { ...point(other, { spaceId }).record, name: 'later', type: 'random' };
    const { kind, ...fields } = strange;
    const payload = PointMessage.encode({
      ...fields,
      spaceId: Buffer.from(spaceId, 'hex'),
      arguments: Buffer.from('{}'),
    });
    const later = signEnvelope(`/xspace/${kind}`, payload, other.key);
    const known = point(other, { spaceId });
    const granted = ManifestMessage.decode(encodePayload(manifest(owner, { sequence: 9 }).record));
    const withheld = ManifestMessage.encode({ ...granted, access: 77 });
    first.space.learn({
      manifest: signEnvelope('/xspace/space-manifest', withheld, owner.key),
      members: [],
      points: [later, known.bytes],
    });
    expect(first.space.found(1_000_000).manifest).toEqual(manifest(owner).bytes);
    expect(first.space.found(1_000_000).points.map(hex)).toEqual([hex(known.bytes)]);
    const value = Claims.encode({ envelopes: [known.bytes, later] });
    expect(decodeClaims(POINT_CLAIMS, value, NOW)).toEqual([known]);

    const reached = MemberMessage.decode(encodePayload(member(other).record));
    // Protocol 9999 of no known name before an address over TCP.
    reached.addresses.unshift(Buffer.from('8f4e0102', 'hex'));
    const bytes = signEnvelope('/xspace/member-record', MemberMessage.encode(reached), other.key);
    expect(open('member-record', bytes, NOW).record).toEqual(member(other).record);
  });

  it('and a lookup of one are understood as far as they are known', () => {
    const known = { space: 'market', owner: 'o', grant: new Uint8Array(0) };
    const request = Buffer.concat([UNKNOWN, LookupRequest.encode(known), UNKNOWN]);
    expect(LookupRequest.decode(request)).toEqual(known);
    const found = { manifest: Buffer.from('m'), members: [Buffer.from('a')], points: [] };
    const reply = Buffer.concat([UNKNOWN, LookupReply.encode({ spaces: [found] }), UNKNOWN]);
    expect(LookupReply.decode(reply).spaces.map(({ members }) => members.map(hex))).toEqual([['61']]);
  });
});

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
