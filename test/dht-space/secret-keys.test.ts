import type { Stream } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import { beforeAll, describe, expect, it } from 'vitest';
import { interestDigest, routingKeyToken } from '../../src/dht-space/interest-wire.js';
import { MAX_SECRET_KEYS, MAX_TOLD_PATTERNS } from '../../src/dht-space/limits.js';
import { CONTROL_PROTOCOL, MESSAGES_PROTOCOL } from '../../src/dht-space/protocol.js';
import { spaceIdToBytes } from '../../src/dht-space/records.js';
import type { Control, Pattern } from '../../src/dht-space/wire/control.js';
import type { PointDefinition } from '../../src/overlay/index.js';
import { EVERYTHING } from '../../src/overlay/index.js';
import { outgoing, pattern } from '../overlay/messages.js';
import { eventually } from '../support/eventually.js';
import { Random, seed } from '../support/random.js';
import { FakeMember } from './fake-member.js';
import type { FakeNode } from './fake-overlay.js';
import { FakeOverlay } from './fake-overlay.js';
import type { Identity } from './fixtures.js';
import { identities, manifest, member, NOW } from './fixtures.js';
import { HostileLink } from './hostile-node.js';

const MAILBOX: PointDefinition = { name: 'mailbox', type: 'direct', arguments: {} };

let people: readonly Identity[];

beforeAll(async () => {
  people = await identities(3);
});

/** A participant that asks for what it likes, and keeps every octet that anybody sends it. */
class Eavesdropper {
  readonly octets: Buffer[] = [];
  /** Control messages of everybody. */
  readonly heard: Control[] = [];
  readonly #node: FakeNode;
  readonly #identity: Identity;
  readonly #links = new Map<FakeMember, HostileLink>();

  constructor(overlay: FakeOverlay, identity: Identity) {
    this.#identity = identity;
    this.#node = overlay.start(identity.id);
    this.#node.handlers.set(MESSAGES_PROTOCOL, (stream) => this.#keep(stream));
  }

  get peer(): string {
    return this.#identity.id;
  }

  get everything(): Buffer {
    return Buffer.concat(this.octets);
  }

  /** What it has been told of others' interest. */
  get tokens(): readonly Buffer[] {
    return this.heard.flatMap(({ interest }) => interest?.added.map(({ token }) => Buffer.from(token)) ?? []);
  }

  /** Becomes a member, and a participant of the point, in this one's eyes. */
  async participate(at: FakeMember): Promise<void> {
    const { libp2p } = this.#node.asOverlayNode;
    const signal = AbortSignal.timeout(1000);
    const connection = await libp2p.dial(peerIdFromString(at.node.id), { signal });
    const stream = await connection.newStream(CONTROL_PROTOCOL);
    this.#keep(stream);
    const link = new HostileLink(connection, stream, { heard: this.heard });
    this.#links.set(at, link);
    const { name: point, type } = MAILBOX;
    const record = member(this.#identity, { spaceId: at.space.spaceId, points: [point], addresses: [] });
    const spaceId = spaceIdToBytes(at.space.spaceId);
    link.say({ members: { spaceId, records: [record.bytes], digest: [], wanted: [] } });
    link.attach(spaceId, point, { type });
  }

  vanish(): void {
    this.#node.breakConnections();
  }

  /** Asks for what has these tokens. */
  ask(at: FakeMember, tokens: readonly Buffer[]): void {
    const added = tokens.map(
      (token): Pattern => ({ routingKey: '', arguments: '', token, everything: false }),
    );
    const digest = tokens
      .map((token) => interestDigest({ routingKey: token.toString('hex'), arguments: {} }))
      .reduce((all, one) => all ^ one, 0n);
    this.#links.get(at)?.want(added, { digest, snapshot: true });
  }

  /** Asks for all there is, as a participant of another type of point may. */
  askForEverything(at: FakeMember): void {
    const everything = { routingKey: '', arguments: '', token: new Uint8Array(0), everything: true };
    this.#links.get(at)?.want([everything], { digest: interestDigest(EVERYTHING), snapshot: true });
  }

  /** Asks for a key that it knows, as an honest participant does. */
  askForKey(at: FakeMember, key: string, ...replayed: readonly Buffer[]): void {
    const own = routingKeyToken(key, at.space.spaceId, MAILBOX.name, this.#identity.id);
    this.ask(at, [Buffer.from(own, 'hex'), ...replayed]);
  }

  #keep(stream: Stream): void {
    stream.addEventListener('message', ({ data }) => void this.octets.push(Buffer.from(data.subarray())));
  }
}

/** Two members that write to each other's mailboxes, and one who is with them in the point. */
async function scene(): Promise<{ alice: FakeMember; bob: FakeMember; eve: Eavesdropper }> {
  const [owner, other, stranger] = people as [Identity, Identity, Identity];
  const overlay = new FakeOverlay(new Random(seed));
  const clock = { nowMs: NOW };
  const space = manifest(owner);
  const alice = await FakeMember.start(overlay, owner, space, { clock });
  const bob = await FakeMember.start(overlay, other, space, { clock });
  bob.meet(alice);
  for (const one of [alice, bob]) await one.join(MAILBOX, `of ${one.node.id}`);
  const eve = new Eavesdropper(overlay, stranger);
  await eve.participate(alice);
  await eve.participate(bob);
  return { alice, bob, eve };
}

/** How many patterns somebody holds of each other participant. */
function known(by: FakeMember): number[] {
  return (
    by.session
      ?.status()
      .participants.map(({ interest }) => interest)
      .sort() ?? []
  );
}

describe('a participant of a direct point', () => {
  it('that replays the tokens of another one gets nothing by them', async () => {
    const { alice, bob, eve } = await scene();
    await bob.session?.addInterest(pattern('secret'));
    await eventually(() => expect(eve.tokens.length).toBeGreaterThanOrEqual(3));
    eve.askForKey(alice, 'public', ...eve.tokens);
    await eventually(() => expect(known(alice)).toEqual([2, 1 + eve.tokens.length]));
    alice.session?.publish(outgoing('secret', 'for bob alone'));
    alice.session?.publish(outgoing(`of ${bob.node.id}`, 'for bob as well'));
    alice.session?.publish(outgoing('public', 'for whoever knows the key'));
    await eventually(() => expect(bob.received).toEqual(['for bob alone', 'for bob as well']));
    await eventually(() => expect(eve.everything.includes('for whoever knows the key')).toBe(true));
    expect(eve.everything.includes('for bob')).toBe(false);
  });

  it('is shown no routing key that nobody published to it, whatever the others do', async () => {
    const { alice, bob, eve } = await scene();
    eve.askForKey(alice, 'public');
    eve.askForKey(bob, 'public');
    const keys = Array.from({ length: 50 }, (_, index) => `secret of mailbox ${index}`);
    await eventually(() => expect([...known(alice), ...known(bob)]).toEqual([1, 1, 1, 1]));
    for (const [index, key] of keys.entries()) {
      const [reader, writer] = index % 2 === 0 ? [alice, bob] : [bob, alice];
      await reader.session?.addInterest(pattern(key));
      writer.session?.publish(outgoing(key, `letter ${index}`));
      writer.session?.publish(outgoing('public', `news ${index}`));
      if (index % 5 === 0) reader.session?.removeInterest(pattern(key));
    }
    // It comes back, and is told all anew.
    const told = eve.tokens.length;
    eve.vanish();
    await eve.participate(alice);
    await eve.participate(bob);
    eve.askForKey(alice, 'public');
    await eventually(() => expect(eve.tokens.length).toBeGreaterThanOrEqual(told + 42));
    alice.session?.publish(outgoing('public', 'the last'));
    await eventually(() => expect(eve.everything.includes('the last')).toBe(true));
    expect([...alice.received, ...bob.received].length).toBe(keys.length);
    const { everything } = eve;
    expect(everything.includes('news 49')).toBe(true);
    expect(everything.includes('letter')).toBe(false);
    for (const key of [...keys, `of ${alice.node.id}`, `of ${bob.node.id}`]) {
      for (const encoding of ['utf8', 'hex', 'base64'] as const) {
        const text = Buffer.from(key).toString(encoding);
        expect(everything.includes(text), text).toBe(false);
      }
    }
  });

  it('that asks for everything loses its link, and is sent nothing', async () => {
    const { alice, bob, eve } = await scene();
    await eventually(() => expect(known(alice)).toEqual([0, 1]));
    eve.askForEverything(alice);
    await eventually(() => expect(alice.links.get(eve.peer)?.session).toBeUndefined());
    alice.session?.publish(outgoing(`of ${bob.node.id}`, 'for bob'));
    alice.session?.publish(outgoing('no key of anybody', 'for nobody'));
    await eventually(() => expect(bob.received).toEqual(['for bob']));
    expect(eve.everything.includes('for ')).toBe(false);
    const ended = alice.log.about('link lost').map(({ fields }) => fields.cause);
    expect(ended).toContainEqual(expect.stringContaining('everything is asked for at a direct point'));
  });

  it('tells of its keys one by one, however many', async () => {
    const { alice, bob, eve } = await scene();
    const count = MAX_TOLD_PATTERNS + 500;
    await Promise.all(
      Array.from({ length: count }, (_, index) => bob.session?.addInterest(pattern(`key ${index}`))),
    );
    await eventually(() => expect(known(alice)).toContain(count + 1));
    alice.session?.publish(outgoing('no key of anybody', 'for nobody'));
    alice.session?.publish(outgoing(`key ${count - 1}`, 'for bob'));
    await eventually(() => expect(bob.received).toEqual(['for bob']));

    // To a newcomer they come in several messages, each of which is as long as it may be.
    eve.vanish();
    eve.heard.length = 0;
    await eve.participate(bob);
    await eventually(() => expect(eve.tokens).toHaveLength(count + 1));
    const lengths = eve.heard.flatMap(({ interest }) => interest?.added.length ?? []);
    expect(Math.max(...lengths)).toBe(MAX_TOLD_PATTERNS);
  });

  it('asks for so many keys, and one more is refused', async () => {
    const [owner] = people as [Identity];
    const overlay = new FakeOverlay(new Random(seed));
    const alone = await FakeMember.start(overlay, owner, manifest(owner), { clock: { nowMs: NOW } });
    const session = await alone.join(MAILBOX, 'key 0');
    for (let index = 1; index < MAX_SECRET_KEYS; index += 1)
      void session.addInterest(pattern(`key ${index}`));
    await expect(session.addInterest(pattern('one more'))).rejects.toMatchObject({ code: 'too-many' });
    session.removeInterest(pattern('key 1'));
    await session.addInterest(pattern('another'));
  });
});
