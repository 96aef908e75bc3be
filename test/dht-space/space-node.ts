import { setImmediate } from 'node:timers/promises';
import type { Ed25519PrivateKey } from '@libp2p/interface';
import { DhtSpaces } from '../../src/dht-space/dht-spaces.js';
import type { OverlayNode } from '../../src/dht-space/node.js';
import { startOverlayNode } from '../../src/dht-space/node.js';
import type {
  Content,
  FieldTable,
  ParticipantStatus,
  PointDefinition,
  PointSession,
} from '../../src/overlay/index.js';
import { bodyText, outgoing, pattern } from '../overlay/messages.js';
import { eventually } from '../support/eventually.js';
import { teardown } from '../support/teardown.js';
import { LogStub } from './log-stub.js';
import { MemoryStub } from './memory-stub.js';

const LOOPBACK = '/ip4/127.0.0.1/tcp/0';
export const SPACE = 'market';
const POINT: PointDefinition = { name: 'bids', type: 'topic', arguments: {} };

interface JoinOptions {
  readonly space?: string;
  readonly grant?: string | undefined;
  /** Peer id, to pin whose space is meant. */
  readonly owner?: string;
  readonly point?: PointDefinition;
}

/** A clock that stands still until a test moves it, the same for all nodes that are given it. */
export class Clock {
  nowMs = Date.now();
}

/** A node with the implementation `dht` over TCP and noise; it is stopped after the test. */
export class SpaceNode {
  readonly overlay: OverlayNode;
  readonly spaces: DhtSpaces;
  readonly log: LogStub;
  readonly memory = new MemoryStub();
  /** The texts that came in, in their order. */
  readonly received: string[] = [];
  /** Of each of them, whether further routing keys do not count. */
  readonly keysAlone: boolean[] = [];
  readonly #sessions: PointSession[] = [];
  #stopped: Promise<void> | undefined;

  private constructor(overlay: OverlayNode, log: LogStub, clock?: Clock) {
    this.overlay = overlay;
    this.log = log;
    const options = { listen: [LOOPBACK], name: 'test', logger: this.log, memory: this.memory };
    this.spaces = new DhtSpaces(
      overlay,
      clock === undefined ? options : { ...options, now: () => clock.nowMs },
    );
  }

  static async start({
    clock,
    listen = LOOPBACK,
    ...key
  }: {
    clock?: Clock;
    listen?: string;
    privateKey?: Ed25519PrivateKey;
  } = {}): Promise<SpaceNode> {
    const log = new LogStub();
    const overlay = await startOverlayNode({ listen: [listen], logger: log, ...key });
    const node = new SpaceNode(overlay, log, clock);
    await node.spaces.start();
    teardown(() => node.stop());
    return node;
  }

  get id(): string {
    return this.overlay.id;
  }

  get address(): string {
    return this.spaces.addresses[0] ?? '';
  }

  get session(): PointSession {
    const session = this.#sessions.at(-1);
    if (session === undefined) throw new Error('this node has not joined');
    return session;
  }

  async declare(settings: FieldTable = {}, space = SPACE): Promise<void> {
    await this.spaces.declareSpace({ space, settings });
  }

  /** Joins the point through another node, and asks for everything. */
  async join(
    through?: { readonly address: string },
    interest: string | undefined = '#',
    { space = SPACE, grant, owner, point = POINT }: JoinOptions = {},
  ): Promise<PointSession> {
    const settings = {
      ...(through !== undefined && { seeds: through.address }),
      ...(grant !== undefined && { grant }),
      ...(owner !== undefined && { owner }),
    };
    const receiver = {
      receive: (content: Content) => {
        this.received.push(bodyText(content));
        this.keysAlone.push(content.keyAlone === true);
      },
      deleted: () => {},
    };
    const session = await this.spaces.join({ space, point, settings }, receiver);
    this.#sessions.push(session);
    if (interest !== undefined) await session.addInterest(pattern(interest));
    return session;
  }

  publish(text: string, routingKey = 'key'): Promise<void> | undefined {
    return this.session.publish(outgoing(routingKey, text));
  }

  /** What this node knows of another one as a participant. */
  statusOf(other: SpaceNode): ParticipantStatus | undefined {
    return this.session.status().participants.find(({ id }) => id === other.id);
  }

  /** Breaks connections, as the network does, in a turn of the loop of their own: all, or those to one node. */
  async breakConnections(to?: SpaceNode): Promise<void> {
    await setImmediate();
    for (const connection of this.overlay.libp2p.getConnections()) {
      if (to === undefined || connection.remotePeer.toString() === to.id)
        connection.abort(new Error('broken by the test'));
    }
  }

  stop(): Promise<void> {
    this.#stopped ??= this.spaces.close();
    return this.#stopped;
  }
}

/** Nodes that are all linked to all, and all want everything. */
export async function startMesh(count: number, clock?: Clock): Promise<SpaceNode[]> {
  const nodes = await Promise.all(
    Array.from({ length: count }, () => SpaceNode.start(clock === undefined ? {} : { clock })),
  );
  const [first] = nodes;
  await first?.declare();
  for (const node of nodes) await node.join(first);
  await linked(nodes);
  return nodes;
}

export async function linked(nodes: readonly SpaceNode[]): Promise<void> {
  await eventually(() => {
    for (const node of nodes) {
      for (const other of nodes) {
        if (other !== node && !(node.statusOf(other)?.linked && node.statusOf(other)?.interest === 1))
          return false;
      }
    }
    return true;
  });
}
