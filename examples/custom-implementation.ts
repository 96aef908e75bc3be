/**
 * A way to manage exchange spaces of one's own, in a program that embeds nodes: the nodes of one process share points over
 * a BroadcastChannel, as if it were a bus that all of them hang on. In a program that has the package, import from 'xspace'.
 *
 *   const node = await createNode({ implementations: [new BusSpaces()] });
 *
 * Apps then declare aliases with `exchangespace: { implementation: 'bus', space: … }`. A bus carries everything to
 * everybody, so nobody is told what others want; the aliases of each node pick what they have bound. There is no owner:
 * a space is there as soon as somebody names it.
 */
import { randomUUID } from 'node:crypto';
import { BroadcastChannel } from 'node:worker_threads';
import type {
  Content,
  JoinRequest,
  OutgoingMessage,
  Outward,
  PointDefinition,
  PointReceiver,
  PointSession,
  PointStatus,
  SpaceDeclaration,
  SpaceHandle,
  SpaceImplementation,
} from '../src/index.js';
import { assertSamePoint, LocalPoint, SpaceError } from '../src/index.js';

/** How long whoever joins a point waits for others that are in it. */
const ANSWER_MS = 50;

/** What goes over the bus. */
type Telegram =
  | { readonly type: 'hello' | 'welcome'; readonly from: string; readonly definition: PointDefinition }
  | { readonly type: 'message'; readonly from: string; readonly content: Content }
  | { readonly type: 'bye' | 'delete'; readonly from: string };

export class BusSpaces implements SpaceImplementation {
  readonly name = 'bus';
  readonly #node = randomUUID();
  /** By space and name. */
  readonly #points = new Map<string, Promise<BusPoint>>();

  async declareSpace({ settings }: SpaceDeclaration): Promise<SpaceHandle> {
    refuseSettings(settings);
    return { close: async () => {}, delete: async () => {} };
  }

  async join({ space, point, settings }: JoinRequest, receiver: PointReceiver): Promise<PointSession> {
    refuseSettings(settings);
    const key = JSON.stringify([space, point.name]);
    let joining = this.#points.get(key);
    if (joining === undefined) {
      joining = BusPoint.join(this.#node, space, point, key, () => this.#points.delete(key));
      this.#points.set(key, joining);
    }
    const { local } = await joining;
    // The first alias of this node was compared with other nodes' definitions, later ones are with that.
    assertSamePoint(space, local.definition, point);
    return local.join(receiver);
  }

  async close(): Promise<void> {
    const points = await Promise.allSettled(this.#points.values());
    await Promise.all(points.map((point) => point.status === 'fulfilled' && point.value.local.leave()));
  }
}

/** This node's part in one point. `LocalPoint` has its aliases, and calls this for what is beyond the node. */
class BusPoint implements Outward {
  readonly local: LocalPoint;
  readonly #node: string;
  readonly #bus: BroadcastChannel;
  readonly #over: () => void;
  /** The other nodes: how many messages came from each. */
  readonly #others = new Map<string, number>();
  #published = 0;

  private constructor(node: string, definition: PointDefinition, bus: BroadcastChannel, over: () => void) {
    this.local = new LocalPoint(definition, this);
    this.#node = node;
    this.#bus = bus;
    this.#over = over;
  }

  static async join(
    node: string,
    space: string,
    definition: PointDefinition,
    key: string,
    over: () => void,
  ): Promise<BusPoint> {
    const bus = new BroadcastChannel(`xspace ${key}`);
    const point = new BusPoint(node, definition, bus, over);
    const answers: PointDefinition[] = [];
    bus.onmessage = (event) => {
      const telegram = (event as { readonly data: Telegram }).data;
      if (telegram.type === 'welcome') answers.push(telegram.definition);
      point.#receive(telegram);
    };
    point.#tell({ type: 'hello', from: node, definition });
    await new Promise((resolve) => setTimeout(resolve, ANSWER_MS));
    try {
      for (const current of answers) assertSamePoint(space, current, definition);
      return point;
    } catch (error) {
      point.#leave();
      throw error;
    }
  }

  publish({ routingKey, bytes, headerStart, headerEnd, bodyStart, bodyEnd }: OutgoingMessage): undefined {
    this.#published++;
    // The buffer is only lent, and may hold other messages: what is sent is a copy of this one.
    const own = bytes.slice(headerStart, bodyEnd);
    const content = {
      routingKey,
      bytes: own,
      headerStart: 0,
      headerEnd: headerEnd - headerStart,
      bodyStart: bodyStart - headerStart,
      bodyEnd: own.length,
    };
    this.#tell({ type: 'message', from: this.#node, content });
  }

  /** Nobody needs to know. */
  async interestAdded(): Promise<void> {}
  interestRemoved(): void {}

  async left(): Promise<void> {
    this.#leave();
  }

  async delete(): Promise<void> {
    this.#tell({ type: 'delete', from: this.#node });
    this.#end();
  }

  status(): Pick<PointStatus, 'participants'> {
    const participants = [...this.#others].map(([id, receivedMessages]) => ({
      id,
      linked: true,
      interest: 0,
      sentMessages: this.#published,
      receivedMessages,
      outboxBytes: 0,
      droppedMessages: 0,
    }));
    return { participants };
  }

  #receive(telegram: Telegram): void {
    const { from } = telegram;
    switch (telegram.type) {
      case 'hello':
        this.#tell({ type: 'welcome', from: this.#node, definition: this.local.definition });
        this.#others.set(from, 0);
        return;
      case 'welcome':
        this.#others.set(from, this.#others.get(from) ?? 0);
        return;
      case 'message':
        this.#others.set(from, (this.#others.get(from) ?? 0) + 1);
        this.local.receive(telegram.content);
        return;
      case 'bye':
        this.#others.delete(from);
        return;
      case 'delete':
        this.#end();
        this.local.deleted(`exchange point '${this.local.definition.name}' was deleted by '${from}'`);
        return;
      default:
        telegram satisfies never;
    }
  }

  #leave(): void {
    this.#tell({ type: 'bye', from: this.#node });
    this.#end();
  }

  #end(): void {
    this.#bus.close();
    this.#over();
  }

  #tell(telegram: Telegram): void {
    this.#bus.postMessage(telegram);
  }
}

function refuseSettings(settings: object): void {
  const [unknown] = Object.keys(settings);
  if (unknown === undefined) return;
  throw new SpaceError('invalid-argument', `argument '${unknown}' is not understood by implementation 'bus'`);
}
