import '../../src/dht-space/promise-polyfill.js';
import type { Directory } from '../../src/dht-space/directory.js';
import { Freshness } from '../../src/dht-space/freshness.js';
import type { Grant } from '../../src/dht-space/grant.js';
import { Links } from '../../src/dht-space/links.js';
import { receiveControl } from '../../src/dht-space/receive-control.js';
import type { PointRecord, Sealed, SpaceManifest } from '../../src/dht-space/records.js';
import { Refusals } from '../../src/dht-space/refusals.js';
import { DhtSpace } from '../../src/dht-space/space.js';
import type { Content, Logger, PointDefinition, PointSession } from '../../src/overlay/index.js';
import { bodyText, outgoing, pattern } from '../overlay/messages.js';
import { teardown } from '../support/teardown.js';
import type { FakeNode, FakeOverlay } from './fake-overlay.js';
import type { Identity } from './fixtures.js';
import { LogStub } from './log-stub.js';
import { MemoryStub } from './memory-stub.js';

const POINT: PointDefinition = { name: 'bids', type: 'topic', arguments: {} };

/** A DHT that knows nothing, and keeps what it is given to itself. */
export class EmptyDirectory {
  readonly put: Sealed<PointRecord>[] = [];
  readonly closed: string[] = [];
  /** What a search in it waits for. */
  delay: Promise<void> | undefined;
  /** What is found in it. */
  stored: Sealed<PointRecord> | undefined;
  /** What the owner has put into it, and how often that was read. */
  manifest: Sealed<SpaceManifest> | undefined;
  manifestReads = 0;

  get asDirectory(): Directory {
    const done = async (): Promise<void> => {};
    return {
      findPoint: async () => {
        await this.delay;
        return this.stored;
      },
      putPoint: async (sealed: Sealed<PointRecord>) => {
        this.put.push(sealed);
        return sealed;
      },
      closePoint: async (_: string, name: string) => void this.closed.push(name),
      putManifest: done,
      freshManifest: async () => {
        this.manifestReads += 1;
        await this.delay;
        return this.manifest;
      },
      announce: done,
      async *findMembers() {},
      keepManifest: () => {},
      releaseManifest: () => {},
      keepPoint: () => {},
      releasePoint: () => {},
      withdraw: () => {},
    } as unknown as Directory;
  }
}

/** A member of one space, with everything but a network and a DHT; it is closed after the test. */
export class FakeMember {
  readonly node: FakeNode;
  readonly links: Links;
  readonly log: LogStub;
  readonly memory = new MemoryStub();
  readonly directory = new EmptyDirectory();
  readonly #freshness: Freshness;
  readonly spaces = new Map<string, DhtSpace>();
  readonly space: DhtSpace;
  readonly received: string[] = [];
  session: PointSession | undefined;

  private constructor(
    overlay: FakeOverlay,
    { id, key }: Identity,
    manifest: Sealed<SpaceManifest>,
    { clock, log = new LogStub(), grant }: { clock: { nowMs: number }; log?: LogStub; grant?: Grant },
  ) {
    this.node = overlay.start(id, key);
    this.log = log;
    const logger: Logger = this.log;
    this.node.refusals = new Refusals(logger);
    const node = this.node.asOverlayNode;
    this.links = new Links({
      node,
      name: 'member',
      logger,
      memory: this.memory,
      addresses: () => [],
      opened: (link) => {
        for (const space of link.spaces) this.spaces.get(space)?.linked(link);
      },
      received: (link, message) => receiveControl(link, message, this.spaces, () => undefined),
      dead: (link) => {
        for (const space of link.spaces) this.spaces.get(space)?.members.dead(link.peer);
      },
      informed: () => this.#freshness.of(this.space),
      now: () => clock.nowMs,
      random: () => 0.01,
    });
    this.#freshness = new Freshness({ directory: this.directory.asDirectory, links: this.links });
    let numbers = 0;
    this.space = new DhtSpace(manifest, {
      node,
      links: this.links,
      directory: this.directory.asDirectory,
      logger,
      nextPointNumber: () => ++numbers,
      ask: async () => {},
      meetKnown: async () => [],
      ended: (space) => void this.spaces.delete(space.spaceId),
    });
    this.spaces.set(this.space.spaceId, this.space);
    if (manifest.record.access === 'granted') this.space.grants.present(grant);
    this.space.declared = true;
    this.space.enter();
  }

  static async start(
    overlay: FakeOverlay,
    identity: Identity,
    manifest: Sealed<SpaceManifest>,
    options: { clock: { nowMs: number }; log?: LogStub; grant?: Grant },
  ): Promise<FakeMember> {
    const member = new FakeMember(overlay, identity, manifest, options);
    await member.links.start();
    teardown(() => member.stop());
    return member;
  }

  /** Stops in good order: leaves, says goodbye. */
  async stop(): Promise<void> {
    if (!this.node.reachable) return;
    this.space.leave();
    await this.links.close('the end', AbortSignal.timeout(200));
    this.node.overlay.stop(this.node);
  }

  /** Is told of another member, as a newcomer is by whoever it asks. */
  meet(other: FakeMember): void {
    this.space.learn(other.space.found(1_000_000));
  }

  async join(definition = POINT, interest = '#'): Promise<PointSession> {
    const receiver = {
      receive: (content: Content) => void this.received.push(bodyText(content)),
      deleted: () => {},
    };
    const { session } = await this.space.takePart(definition, receiver, AbortSignal.timeout(1000));
    this.session = session;
    await session.addInterest(pattern(interest));
    return session;
  }

  publish(text: string, routingKey = 'key'): Promise<void> | undefined {
    return this.session?.publish(outgoing(routingKey, text));
  }
}
