import { assertSamePoint } from './agreement.js';
import { canonicalTable } from './canonical.js';
import { SpaceError } from './errors.js';
import { MemoryMember, MemoryPoint } from './memory-member.js';
import type { FieldTable } from './message.js';
import type {
  JoinRequest,
  PointDefinition,
  PointReceiver,
  PointSession,
  SpaceDeclaration,
  SpaceHandle,
  SpaceImplementation,
} from './space.js';

/** What the nodes of one process share: stands for the network between them. Nodes are told apart by number. */
export class MemoryNetwork {
  readonly spaces = new Map<string, MemorySpace>();
  #nodes = 0;

  nextNode(): string {
    this.#nodes++;
    return `node-${this.#nodes}`;
  }
}

/**
 * The implementation `memory`: a node of spaces within one process. It says what every implementation does,
 * where there is no network to wait for: whatever is asked has happened when the call returns or its promise
 * resolves.
 */
export function createMemoryImplementation(network: MemoryNetwork): SpaceImplementation {
  return new MemoryImplementation(network);
}

class MemorySpace {
  /** The node that declared it. */
  readonly owner: string;
  readonly #name: string;
  readonly #points = new Map<string, MemoryPoint>();

  constructor(name: string, owner: string) {
    this.#name = name;
    this.owner = owner;
  }

  /** The point as it is, or, where there is none, as it is defined now. */
  point(definition: PointDefinition): MemoryPoint {
    const current = this.#points.get(definition.name);
    if (current !== undefined) {
      assertSamePoint(this.#name, current.definition, definition);
      return current;
    }
    // Refuses what other nodes could not be told.
    canonicalTable(definition.arguments);
    const point = new MemoryPoint(definition, () => this.#points.delete(definition.name));
    this.#points.set(definition.name, point);
    return point;
  }

  async leave(node: string): Promise<void> {
    for (const point of [...this.#points.values()]) await point.members.get(node)?.local.leave();
  }

  delete(): void {
    const reason = `exchange space '${this.#name}' was deleted by its owner '${this.owner}'`;
    for (const point of [...this.#points.values()]) point.delete(reason);
  }
}

class MemoryImplementation implements SpaceImplementation {
  readonly name = 'memory';
  readonly #network: MemoryNetwork;
  readonly #node: string;

  constructor(network: MemoryNetwork) {
    this.#network = network;
    this.#node = network.nextNode();
  }

  async declareSpace({ space: name, settings }: SpaceDeclaration): Promise<SpaceHandle> {
    refuseSettings(settings);
    const { spaces } = this.#network;
    const space = spaces.get(name) ?? new MemorySpace(name, this.#node);
    if (space.owner !== this.#node) {
      throw new SpaceError(
        'conflict',
        `exchange space '${name}' is owned by '${space.owner}', not by '${this.#node}'`,
      );
    }
    spaces.set(name, space);
    return {
      close: async () => {},
      delete: async () => {
        if (spaces.get(name) !== space) return;
        spaces.delete(name);
        space.delete();
      },
    };
  }

  async join(request: JoinRequest, receiver: PointReceiver): Promise<PointSession> {
    refuseSettings(request.settings);
    const space = this.#network.spaces.get(request.space);
    if (space === undefined) throw new SpaceError('not-found', `no exchange space '${request.space}'`);
    const point = space.point(request.point);
    const member = point.members.get(this.#node) ?? new MemoryMember(this.#node, point);
    return member.local.join(receiver);
  }

  async close(): Promise<void> {
    for (const space of this.#network.spaces.values()) await space.leave(this.#node);
  }
}

function refuseSettings(settings: FieldTable): void {
  const [unknown] = Object.keys(settings);
  if (unknown === undefined) return;
  throw new SpaceError(
    'invalid-argument',
    `argument '${unknown}' is not understood by implementation 'memory'`,
  );
}
