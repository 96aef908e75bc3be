import '../../src/dht-space/promise-polyfill.js';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeAll, beforeEach, vi } from 'vitest';
import type { Link } from '../../src/dht-space/link.js';
import { Links } from '../../src/dht-space/links.js';
import type { Participant } from '../../src/dht-space/participant.js';
import type { DhtPoint } from '../../src/dht-space/point.js';
import { PointAccess } from '../../src/dht-space/point-access.js';
import { receiveControl } from '../../src/dht-space/receive-control.js';
import { Refusals } from '../../src/dht-space/refusals.js';
import type { Content, MessageIdentity } from '../../src/overlay/index.js';
import { SeenMessages } from '../../src/overlay/index.js';
import { bodyText, outgoing } from '../overlay/messages.js';
import { eventually } from '../support/eventually.js';
import { Random, seed } from '../support/random.js';
import type { FakeNode } from './fake-overlay.js';
import { FakeOverlay } from './fake-overlay.js';
import { identities } from './fixtures.js';
import { LogStub } from './log-stub.js';
import { MemoryStub } from './memory-stub.js';

/** The space that all share. */
export const SPACE = '07'.repeat(32);
/** In their order. */
export let peerIds: readonly string[];
/** Everybody's. Timers of every second run when it is moved by `pass`. */
export const clock = { nowMs: 0 };

beforeAll(async () => {
  peerIds = (await identities(3)).map(({ id }) => id);
});
beforeEach(() => {
  clock.nowMs = 1_800_000_000_000;
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
});
afterEach(() => void vi.useRealTimers());

/** Time passes for everybody, a second at a time. */
export function pass(ms: number): void {
  for (let passed = 0; passed < ms; passed += 1000) {
    clock.nowMs += 1000;
    vi.advanceTimersByTime(1000);
  }
}

/** Lets everything happen that happens without time. */
export async function settle(): Promise<void> {
  for (let turns = 0; turns < 50; turns += 1) await turn();
}

/** One node's links; it takes part in one point of one space, and takes in each message once. */
export class Peer {
  readonly node: FakeNode;
  readonly links: Links;
  readonly log = new LogStub();
  readonly memory = new MemoryStub();
  readonly received: string[] = [];
  readonly dead: string[] = [];
  /** What it knows of where others are, without their peer ids. Without any they are dialled by these. */
  addresses: readonly string[] = [];
  /** Called whenever a session has begun. */
  opened = (): void => {};
  readonly #seen = new SeenMessages();
  #sequence = 0;

  constructor(overlay: FakeOverlay, id: string, random: Random) {
    this.node = overlay.start(id);
    this.node.refusals = new Refusals(this.log);
    this.links = new Links({
      node: this.node.asOverlayNode,
      name: `node ${id.slice(-4)}`,
      logger: this.log,
      memory: this.memory,
      addresses: (peer) => this.addresses.map((address) => `${address}/p2p/${peer}`),
      opened: (link) => this.#takePart(link),
      received: (link, message) => receiveControl(link, message, new Map(), () => undefined),
      dead: (link) => this.dead.push(link.peer),
      informed: () => undefined,
      now: () => clock.nowMs,
      random: () => random.int(1000) / 20_000,
    });
  }

  static async start(overlay: FakeOverlay, id: string, random: Random): Promise<Peer> {
    const peer = new Peer(overlay, id, random);
    await peer.links.start();
    return peer;
  }

  /** Links to the other one, for as long as the space is shared. */
  share(other: Peer): void {
    this.links.share(other.node.id, SPACE);
  }

  linkTo(other: Peer): Link {
    const link = this.links.get(other.node.id);
    if (link === undefined) throw new Error('there is no link');
    return link;
  }

  publish(other: Peer, text: string): void {
    this.#sequence += 1;
    const link = this.linkTo(other);
    link.send(1, participantOf(link), this.#sequence, outgoing('key', text));
  }

  isLinkedTo(other: Peer): boolean {
    return this.links.get(other.node.id)?.session !== undefined;
  }

  #takePart(link: Link): void {
    const takeIn = (identity: MessageIdentity, content: Content): boolean => {
      if (!this.#seen.accept(identity)) return false;
      this.received.push(bodyText(content));
      return true;
    };
    const point = { takeIn, learnInterest: () => {}, forgetInterest: () => {}, dismiss: () => {} };
    const participant = participantOf(link);
    participant.access = PointAccess.everything;
    participant.point = point as unknown as DhtPoint;
    this.opened();
  }
}

export function participantOf(link: Link): Participant {
  return link.points.obtain(Buffer.from(SPACE, 'hex'), 'bids');
}

export async function startPair(random = new Random(seed)): Promise<[Peer, Peer, FakeOverlay]> {
  const overlay = new FakeOverlay(random);
  const [first, second] = peerIds as [string, string, string];
  return [await Peer.start(overlay, first, random), await Peer.start(overlay, second, random), overlay];
}

export async function startLinked(random?: Random): Promise<[Peer, Peer, FakeOverlay]> {
  const [a, b, overlay] = await startPair(random);
  a.share(b);
  b.share(a);
  await eventually(() => a.isLinkedTo(b) && b.isLinkedTo(a));
  await settle();
  return [a, b, overlay];
}

export const numbers = (count: number): string[] => Array.from({ length: count }, (_, i) => `${i}`);
