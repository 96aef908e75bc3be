import type {
  Content,
  FieldTable,
  OutgoingMessage,
  PointDefinition,
  PointReceiver,
  PointSession,
  PointType,
  SpaceHandle,
  SpaceImplementation,
} from '../../../src/overlay/index.js';
import { eventually } from '../../support/eventually.js';
import { bodyText } from '../messages.js';

/** One node with the implementation under test. */
export interface ContractNode {
  readonly implementation: SpaceImplementation;
  /** What joiners on other nodes put into their settings to find what this node knows. */
  settings(): FieldTable;
  /** Shuts the node down in good order. */
  stop(): Promise<void>;
  /** Takes the node away, as SIGKILL or a pulled plug does: it says goodbye to nobody. */
  kill(): Promise<void>;
}

/** How long the slowest implementation may take for what it does in the background. */
export const PATIENCE_MS = 45_000;

let names = 0;

/** A name that no other test uses. */
export function newName(kind: string): string {
  names++;
  return `${kind}-${names}`;
}

/** Keeps all that it is called with. */
class Recorder implements PointReceiver {
  readonly bodies: string[] = [];
  readonly contents: { readonly routingKey: string; readonly header: Buffer; readonly body: Buffer }[] = [];
  readonly deletions: string[] = [];

  receive(content: Content): void {
    const { routingKey, bytes } = content;
    this.bodies.push(bodyText(content));
    this.contents.push({
      routingKey,
      header: Buffer.from(bytes.subarray(content.headerStart, content.headerEnd)),
      body: Buffer.from(bytes.subarray(content.bodyStart, content.bodyEnd)),
    });
  }

  deleted(reason: string): void {
    this.deletions.push(reason);
  }
}

/** A session and what came in on it. */
export class Participant {
  readonly session: PointSession;
  readonly received: Recorder;

  constructor(session: PointSession, received: Recorder) {
    this.session = session;
    this.received = received;
  }

  /** Publishes, and pauses as asked to. */
  async publish(message: OutgoingMessage): Promise<void> {
    const pause = this.session.publish(message);
    if (pause !== undefined) await pause;
  }

  /** How many messages it sent to other nodes, in all. */
  get sent(): number {
    return this.session.status().participants.reduce((sum, { sentMessages }) => sum + sentMessages, 0);
  }

  /** How many patterns the other nodes told it of, in all. */
  get toldOf(): number {
    return this.session.status().participants.reduce((sum, { interest }) => sum + interest, 0);
  }

  get linked(): number {
    return this.session.status().participants.filter(({ linked }) => linked).length;
  }
}

/**
 * Nodes that all know one space, which the first of them declared, and the sessions that a test opened on them.
 */
export class Mesh {
  readonly nodes: ContractNode[];
  readonly space: string;
  readonly handle: SpaceHandle;
  #joined: PointSession[] = [];

  private constructor(nodes: ContractNode[], space: string, handle: SpaceHandle) {
    this.nodes = nodes;
    this.space = space;
    this.handle = handle;
  }

  static async create(nodes: ContractNode[]): Promise<Mesh> {
    const space = newName('space');
    const [first] = nodes;
    if (first === undefined) throw new Error('a mesh has nodes');
    const handle = await first.implementation.declareSpace({ space, settings: {} });
    return new Mesh(nodes, space, handle);
  }

  node(index: number): ContractNode {
    const node = this.nodes[index];
    if (node === undefined) throw new Error(`there is no node ${index}`);
    return node;
  }

  /** Joins from one node, which finds the space through another one. */
  async join(index: number, point: PointDefinition, through = 0): Promise<Participant> {
    const received = new Recorder();
    const settings = index === through ? {} : this.node(through).settings();
    const session = await this.node(index).implementation.join(
      { space: this.space, point, settings },
      received,
    );
    this.#joined.push(session);
    return new Participant(session, received);
  }

  /** Joins from every node, one after the other, and waits until all know of all. */
  async joinAll(point: PointDefinition): Promise<Participant[]> {
    const participants: Participant[] = [];
    for (const index of this.nodes.keys()) participants.push(await this.join(index, point));
    await eventually(() => participants.every(({ linked }) => linked === this.nodes.length - 1), PATIENCE_MS);
    return participants;
  }

  /** Two participants on two nodes. */
  async joinPair(point: PointDefinition): Promise<[Participant, Participant]> {
    return [await this.join(0, point), await this.join(1, point)];
  }

  async leaveAll(): Promise<void> {
    const joined = this.#joined;
    this.#joined = [];
    await Promise.all(joined.map((session) => session.leave()));
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()));
  }
}

/** A point that nobody has joined yet. */
export function newPoint(type: PointType = 'topic', table: FieldTable = {}): PointDefinition {
  return { name: newName('point'), type, arguments: table };
}
