import { setImmediate as turn } from 'node:timers/promises';
import { peerIdFromString } from '@libp2p/peer-id';
import { beforeAll, expect } from 'vitest';
import { CONTROL_PROTOCOL, MESSAGES_PROTOCOL } from '../../src/dht-space/protocol.js';
import { Control } from '../../src/dht-space/wire/control.js';
import { eventually } from '../support/eventually.js';
import { Random, seed } from '../support/random.js';
import { FakeMember } from './fake-member.js';
import type { FakeNode } from './fake-overlay.js';
import { FakeOverlay } from './fake-overlay.js';
import type { FakeStream } from './fake-stream.js';
import type { Identity } from './fixtures.js';
import { identities, manifest, member, point } from './fixtures.js';
import { LogStub } from './log-stub.js';

const clock = { nowMs: Date.now() };
/** The owner of the space, another member, and strangers. */
export let people: readonly Identity[];

beforeAll(async () => {
  people = await identities(4);
});

/** Counts what is logged, and keeps none of it. */
class CountingLog extends LogStub {
  readonly counts = new Map<string, number>();
  causeless = 0;
  /** Entries that people see. */
  shown = 0;

  /** Why the last link was lost. */
  lastCause = '';

  override info(fields: object, text: string): void {
    this.shown += 1;
    this.#count(fields, text);
  }

  override debug(fields: object, text: string): void {
    this.#count(fields, text);
  }

  override warn(): void {
    this.shown += 1;
  }

  #count(fields: object, text: string): void {
    this.counts.set(text, (this.counts.get(text) ?? 0) + 1);
    if (text !== 'link lost') return;
    this.lastCause = 'cause' in fields ? String(fields.cause) : '';
    if (this.lastCause === '') this.causeless += 1;
  }
}

/** Two honest members that talk all the time, and a stranger who may do anything to the first of them. */
export class Scene {
  readonly log = new CountingLog();
  readonly random = new Random(seed);
  readonly overlay = new FakeOverlay(this.random);
  readonly stranger: FakeNode;
  published = 0;

  private constructor(
    readonly victim: FakeMember,
    readonly friend: FakeMember,
    overlay: FakeOverlay,
    log: CountingLog,
    random: Random,
  ) {
    this.overlay = overlay;
    this.log = log;
    this.random = random;
    this.stranger = overlay.start((people[2] as Identity).id);
    this.stranger.handlers.set(MESSAGES_PROTOCOL, () => {});
  }

  static async open(): Promise<Scene> {
    const random = new Random(seed);
    const overlay = new FakeOverlay(random);
    const log = new CountingLog();
    const [owner, other] = people as [Identity, Identity];
    const space = manifest(owner, times());
    const victim = await FakeMember.start(overlay, owner, space, { clock, log });
    const friend = await FakeMember.start(overlay, other, space, { clock });
    friend.meet(victim);
    for (const one of [victim, friend]) await one.join();
    await eventually(() =>
      expect([victim, friend].map((one) => one.session?.status().participants[0]?.interest)).toEqual([1, 1]),
    );
    return new Scene(victim, friend, overlay, log, random);
  }

  /** The honest ones go on talking. */
  talk(): void {
    this.victim.publish(`${this.published}`);
    this.friend.publish(`${this.published}`);
    this.published += 1;
  }

  async stream(protocol: string): Promise<FakeStream> {
    const { libp2p } = this.stranger.asOverlayNode;
    const connection = await libp2p.dial(peerIdFromString(this.victim.node.id), {
      signal: AbortSignal.timeout(1000),
    });
    return (await connection.newStream(protocol)) as unknown as FakeStream;
  }

  /** A link as it should be: both have greeted. Whatever is sent then comes over this stream. */
  async greeted(session = 7): Promise<FakeStream> {
    const stream = await this.stream(CONTROL_PROTOCOL);
    stream.send(framed({ hello: { ...HELLO, session } }));
    const isGreeted = (): boolean =>
      this.victim.links.get(this.stranger.id)?.session?.hello.session === session;
    while (!isGreeted() && stream.status === 'open') await turn();
    return stream;
  }

  /** Nothing has come of it for the honest ones. */
  async expectHarmless(): Promise<void> {
    const texts = Array.from({ length: this.published }, (_, i) => `${i}`);
    await eventually(() => {
      expect(this.friend.received).toEqual(texts);
      expect(this.victim.received).toEqual(texts);
    });
    expect(this.friend.log.about('link lost')).toEqual([]);
    expect(this.log.causeless).toBe(0);
    expect([...this.victim.links].length).toBeLessThanOrEqual(2);
  }
}

export const HELLO = {
  versions: [1],
  capabilities: [],
  epoch: 5n,
  name: 'x',
  link: 6n,
  knownLink: 0n,
  consumed: 0,
  credit: 1000,
  session: 7,
};

export function times(): { createdMs: number; expiresMs: number } {
  return { createdMs: clock.nowMs, expiresMs: clock.nowMs + 60_000 };
}

export function framed(message: Control): Buffer {
  return frame(Control.encode(message));
}

export function frame(body: Uint8Array): Buffer {
  const prefix: number[] = [];
  let rest = body.length;
  for (; rest > 0x7f; rest >>>= 7) prefix.push((rest & 0x7f) | 0x80);
  return Buffer.concat([Buffer.from([...prefix, rest]), body]);
}

/** One message of every kind, all right. */
export function validMessages(spaceId: Buffer): Control[] {
  const stranger = people[2] as Identity;
  const space = { spaceId: spaceId.toString('hex') };
  const { expiresMs } = times();
  const topic = { routingKey: 'a.*.#', arguments: '', token: new Uint8Array(0), everything: false };
  return [
    { hello: HELLO },
    {
      members: {
        spaceId,
        records: [member(stranger, { ...space, expiresMs }).bytes],
        digest: [{ peer: stranger.id, epoch: 1n, sequence: 1 }],
        wanted: [stranger.id],
      },
    },
    {
      definitions: {
        spaceId,
        points: [point(stranger, { ...space, ...times(), name: 'other' }).bytes],
        manifest: new Uint8Array(0),
      },
    },
    { attach: { number: 1, id: 1, spaceId, point: 'bids', type: 'topic' } },
    { attach: { number: 2, id: 2, spaceId: Buffer.alloc(32, 9), point: 'elsewhere', type: 'headers' } },
    { interest: { number: 3, id: 1, snapshot: true, added: [topic], removed: [], digest: 0n } },
    {
      interest: {
        number: 4,
        id: 2,
        snapshot: false,
        added: [{ ...topic, arguments: '{"x-match":"any"}' }],
        removed: [topic],
        digest: 1n,
      },
    },
    { detach: { number: 5, id: 1 } },
    { synced: { number: 0, spaceId } },
    { settled: { number: 1 } },
    { progress: { consumed: 0, limit: 1_000_000 } },
    { ping: { nonce: 1 } },
    { pong: { nonce: 1 } },
    { goodbye: { reason: 'no reason' } },
    {},
  ];
}

/** Octets changed, removed, put in, put elsewhere; or something else altogether. */
export function mutate(valid: Buffer, random: Random): Buffer {
  if (random.int(10) === 0)
    return Buffer.from(Array.from({ length: random.int(100) }, () => random.int(256)));
  let bytes = Buffer.from(valid);
  for (let i = 0; i <= random.int(3); i += 1) {
    const at = random.int(bytes.length + 1);
    const length = random.int(8);
    switch (random.int(4)) {
      case 0:
        if (at < bytes.length) bytes[at] = random.pick([0, 1, 0x7f, 0x80, 0xff, random.int(256)]);
        break;
      case 1:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
        break;
      case 2:
        bytes = Buffer.concat([
          bytes.subarray(0, at),
          Buffer.alloc(length, random.int(256)),
          bytes.subarray(at),
        ]);
        break;
      default:
        bytes = Buffer.concat([bytes, bytes.subarray(at)]);
    }
  }
  return bytes;
}
