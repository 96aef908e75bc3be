import type { Logger, PointDefinition } from '../overlay/index.js';
import { SpaceError } from '../overlay/index.js';
import type { Definitions } from './definitions.js';
import { conflictBetween } from './definitions.js';
import type { Link } from './link.js';
import type { LinkSession } from './link-session.js';
import type { Links } from './links.js';
import type { Participant } from './participant.js';
import type { PointHost } from './point.js';
import { DhtPoint } from './point.js';
import type { PointRecord } from './records.js';

/** The space that the points are in. */
export interface OwnPointsHost extends PointHost {
  readonly name: string;
  readonly members: {
    /** @throws RecordError when there are more than a member record takes */
    tell(points: readonly string[]): void;
  };
}

export interface OwnPointsEnvironment {
  readonly links: Links;
  readonly logger: Logger;
  /** A number for a new point, unique on this node. */
  nextPointNumber(): number;
}

/** The points of one space that this node has aliases of. */
export class OwnPoints implements Iterable<DhtPoint> {
  readonly #space: OwnPointsHost;
  readonly #environment: OwnPointsEnvironment;
  /** By name. */
  readonly #points = new Map<string, DhtPoint>();
  readonly #definedMs = new Map<string, number>();

  constructor(space: OwnPointsHost, environment: OwnPointsEnvironment) {
    this.#space = space;
    this.#environment = environment;
  }

  [Symbol.iterator](): Iterator<DhtPoint> {
    return this.#points.values();
  }

  get size(): number {
    return this.#points.size;
  }

  /** When each was defined, by name. */
  get definedMs(): ReadonlyMap<string, number> {
    return this.#definedMs;
  }

  get(name: string): DhtPoint | undefined {
    return this.#points.get(name);
  }

  /** Whether this node takes part in the point: an alias that lost against another definition does not. */
  takesPart(name: string): boolean {
    const point = this.#points.get(name);
    return point !== undefined && point.conflict === undefined;
  }

  /**
   * @param definedMs when the point was defined, as far as that is known
   * @throws SpaceError `refused` when this node is in too many points
   */
  open(definition: PointDefinition, definedMs: number): DhtPoint {
    try {
      this.#space.members.tell([...this.#names(), definition.name]);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      const text = `this node is in too many points of '${this.#space.name}': ${reason}`;
      throw new SpaceError('refused', text, { cause });
    }
    const point = new DhtPoint(definition, this.#environment.nextPointNumber(), this.#space);
    this.#points.set(definition.name, point);
    this.#definedMs.set(definition.name, definedMs);
    for (const link of this.#environment.links) {
      const participant = link.points.get(this.#space.spaceId, definition.name);
      if (participant?.type === definition.type) point.admit(participant);
      const { session } = link;
      if (session?.told.has(this.#space.spaceId)) point.attachTo(link, session);
    }
    return point;
  }

  attachTo(link: Link, session: LinkSession): void {
    for (const point of this.#points.values()) point.attachTo(link, session);
  }

  /** The other side of a link takes part in a point of the space. */
  attached(participant: Participant): void {
    const point = this.#points.get(participant.name);
    if (point?.definition.type === participant.type) point?.admit(participant);
    else point?.dismiss(participant);
  }

  /** What a peer may do is something else, or what this node may. */
  review(peer: string): void {
    if (peer === this.#space.self) for (const point of this.#points.values()) point.review();
    for (const participant of this.#environment.links.get(peer)?.points ?? []) {
      if (participant.spaceId === this.#space.spaceId) this.attached(participant);
    }
  }

  /** What a point is was decided: with a deletion its aliases go, with another definition they stay and say why. */
  follow(record: PointRecord, definitions: Definitions): 'deleted' | 'there' {
    const { name, closed, deleted, author } = record;
    const point = this.#points.get(name);
    if (point === undefined) return 'there';
    if (definitions.wasDeletedSince(name, this.#definedMs.get(name) ?? Number.POSITIVE_INFINITY)) {
      this.remove(point);
      void definitions.release(name, false);
      point.deleted(`exchange point '${name}' was deleted`);
      return 'deleted';
    }
    if (deleted || point.conflict !== undefined) return 'there';
    if (closed) {
      // Whoever closed it took itself for the last participant.
      definitions.reopen(point.definition);
      return 'there';
    }
    const reason = conflictBetween(this.#space.name, record, point.definition);
    if (reason === undefined) return 'there';
    const fields = { space: this.#space.name, point: name, author, reason };
    this.#environment.logger.warn(fields, 'this alias lost against another definition');
    point.conflicted(reason);
    this.#tell();
    return 'there';
  }

  /** Nothing of this node is in the point any more. */
  remove(point: DhtPoint): void {
    this.#points.delete(point.definition.name);
    this.#definedMs.delete(point.definition.name);
    this.#tell();
  }

  /** The space is no more: all aliases go. */
  end(reason: string): void {
    for (const point of this.#points.values()) point.deleted(reason);
    this.#points.clear();
    this.#definedMs.clear();
  }

  /** This node stops: every session leaves. */
  async leave(): Promise<void> {
    await Promise.all([...this.#points.values()].map((point) => point.local.leave()));
  }

  #names(): string[] {
    return [...this.#points.keys()].filter((name) => this.takesPart(name));
  }

  #tell(): void {
    this.#space.members.tell(this.#names());
  }
}
