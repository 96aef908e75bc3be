import type { Multiaddr } from '@multiformats/multiaddr';
import type { Logger, PointDefinition, PointReceiver, PointSession } from '../overlay/index.js';
import { assertSamePoint, SpaceError } from '../overlay/index.js';
import { aborted } from './aborted.js';
import { allLinked } from './all-linked.js';
import type { DefinitionsHost } from './definitions.js';
import { Definitions, definitionOf } from './definitions.js';
import type { Directory } from './directory.js';
import { HeldManifest } from './held-manifest.js';
import {
  CONTROL_PART_BYTES,
  DISCOVERY_INTERVAL_MS,
  DISCOVERY_LIMIT_MS,
  FIRST_DISCOVERY_MS,
  LONELY_DISCOVERY_INTERVAL_MS,
  MANIFEST_VALIDITY_MS,
} from './limits.js';
import type { Link } from './link.js';
import type { LinkSession } from './link-session.js';
import type { Links } from './links.js';
import type { MembersHost } from './members.js';
import { Members } from './members.js';
import type { OverlayNode } from './node.js';
import type { Participant } from './participant.js';
import { inParts } from './parts.js';
import type { PointHost } from './point.js';
import { DhtPoint } from './point.js';
import type { PointRecord, Sealed, SpaceManifest } from './records.js';
import { seal, spaceIdOf, spaceIdToBytes } from './records.js';
import { timeLimit } from './time-limit.js';
import type { Definitions as DefinitionsMessage, FoundSpace } from './wire/control.js';

export interface SpaceEnvironment {
  readonly node: OverlayNode;
  readonly links: Links;
  readonly directory: Directory;
  readonly logger: Logger;
  /** A number for a new point, unique on this node. */
  nextPointNumber(): number;
  /** Asks this peer for the space, and learns what it says. */
  ask(peer: string): Promise<void>;
  /** Dials the members that were known before; the peer ids of those who answer. */
  meetKnown(space: DhtSpace): Promise<readonly string[]>;
  /** Nothing holds the space any more. */
  ended(space: DhtSpace): void;
}

/** A space that this node is a member of: its members, its points, and this node's part in them. */
export class DhtSpace implements PointHost, DefinitionsHost, MembersHost {
  readonly name: string;
  readonly owner: string;
  readonly spaceId: string;
  readonly self: string;
  readonly members: Members;
  /** Seeds given for this space; they are redialled until it ends. */
  readonly seeds: Multiaddr[] = [];
  readonly #environment: SpaceEnvironment;
  readonly #manifest: HeldManifest;
  readonly #definitions: Definitions;
  readonly #points = new Map<string, DhtPoint>();
  /** Points that the last participant known has left, and nobody has closed as far as this node knows. */
  readonly #deserted = new Set<string>();
  /** A declared space is held by its handle, also without points. */
  declared = false;
  /** Joins under way. */
  #joining = 0;
  #state: 'member' | 'gone' = 'member';
  #announced = false;
  #nextDiscoveryMs = 0;

  constructor(manifest: Sealed<SpaceManifest>, environment: SpaceEnvironment) {
    this.name = manifest.record.space;
    this.owner = manifest.record.owner;
    this.spaceId = spaceIdOf(this.name, this.owner);
    this.self = environment.node.id;
    this.#manifest = new HeldManifest(manifest, () => this.#manifestChanged());
    this.#environment = environment;
    this.members = new Members(this.spaceId, environment, this);
    this.#definitions = new Definitions(this, environment);
  }

  get manifest(): Sealed<SpaceManifest> {
    return this.#manifest.sealed;
  }

  /** The owner's word that it was deleted; undefined: it was not, as far as this node knows. */
  get tombstone(): Sealed<SpaceManifest> | undefined {
    return this.#manifest.tombstone;
  }

  get gone(): boolean {
    return this.#state === 'gone';
  }

  /** Becomes a member: tells those known, and later the DHT, of which a join has no need while it has its hands full. */
  enter(): void {
    const { directory, links } = this.#environment;
    this.members.tell([]);
    directory.keepManifest(this.manifest, (by) => this.#manifest.replace(by));
    this.#nextDiscoveryMs = links.now() + links.random() * FIRST_DISCOVERY_MS;
  }

  /** What a newcomer is handed, as far as it goes into so many octets: members first, who know the rest. */
  found(limitBytes: number): FoundSpace {
    const leftBytes = limitBytes - this.manifest.bytes.length;
    const [members = []] = inParts(this.members.records, recordBytes, leftBytes / 2);
    const memberBytes = members.reduce((sum, record) => sum + recordBytes(record), 0);
    const [points = []] = inParts(this.#definitions.records, recordBytes, leftBytes - memberBytes);
    return { manifest: this.manifest.bytes, members, points };
  }

  /** What another member handed over, or told since. @throws RecordError when it is no signed record of this space */
  learn(found: FoundSpace): void {
    if (found.manifest.length > 0) this.#learnManifest(found.manifest);
    this.members.learn(found.members);
    this.#definitions.learn(found.points);
  }

  // --- joining and leaving points ---

  /**
   * Joins the point, which is defined where it does not exist yet.
   *
   * @throws SpaceError `conflict`; `not-found` when the space was deleted meanwhile; `refused` when this node is in too
   * many points
   */
  async takePart(
    wanted: PointDefinition,
    receiver: PointReceiver,
    signal: AbortSignal,
  ): Promise<{ point: DhtPoint; session: PointSession }> {
    this.#joining += 1;
    try {
      let point = this.#points.get(wanted.name);
      if (point === undefined) {
        const record = await this.#definitions.define(wanted, signal);
        if (this.gone) throw new SpaceError('not-found', `space '${this.name}' was left meanwhile`);
        // Two aliases of one point may be declared at the same time.
        point = this.#points.get(wanted.name) ?? this.#open(wanted, record);
      }
      assertSamePoint(this.name, point.definition, wanted);
      return { point, session: point.local.join(receiver) };
    } finally {
      this.#joining -= 1;
    }
  }

  /**
   * Resolves when all members are linked and have told all, or could not be reached, or in time. Also those who take no
   * part in the point, as far as is known: they may be joining it, and of two nodes that join at the same time, each
   * through a third one, the later one hears of the other from there.
   */
  async linkMembers(signal: AbortSignal): Promise<void> {
    await Promise.race([allLinked(this, this.#environment.links), aborted(signal)]);
  }

  async left(point: DhtPoint): Promise<void> {
    const { name } = point.definition;
    this.#points.delete(name);
    this.#tellPoints();
    await this.#definitions.release(name, !this.hasParticipant(name));
    this.release();
  }

  // --- deletion ---

  deleteEverywhere(point: DhtPoint): Promise<void> {
    return this.#definitions.delete(point.definition.name);
  }

  /** Deletes the space everywhere; only its owner can. */
  async deleteSpace(): Promise<void> {
    const { links, node, directory } = this.#environment;
    const { record } = this.manifest;
    const deleted: SpaceManifest = {
      ...record,
      sequence: record.sequence + 1,
      expiresMs: links.now() + MANIFEST_VALIDITY_MS,
      deleted: true,
    };
    const sealed = seal(deleted, node.privateKey);
    this.#manifest.replace(sealed);
    await directory.putManifest(sealed).catch(() => {});
  }

  /** Leaves the space when neither a handle nor a point holds it, nor somebody who is just joining one. */
  release(): void {
    if (!this.declared && this.#points.size === 0 && this.#joining === 0) this.leave();
  }

  /** This node stops: every session leaves, then the node. */
  async close(): Promise<void> {
    this.declared = false;
    await Promise.all([...this.#points.values()].map((point) => point.local.leave()));
    this.leave();
  }

  leave(): void {
    if (this.#state === 'gone') return;
    this.#state = 'gone';
    const { directory } = this.#environment;
    this.members.leave();
    directory.withdraw(this.name);
    directory.releaseManifest(this.spaceId);
    for (const name of this.#points.keys()) directory.releasePoint(this.spaceId, name);
    this.#environment.ended(this);
  }

  // --- sessions ---

  linked(link: Link): void {
    this.members.alive(link.peer);
    this.syncWith(link);
  }

  /** The last participant of a point may have left without seeing that it was the last. */
  pointsLeft(points: readonly string[]): void {
    for (const name of points) {
      if (this.#definitions.isOpen(name) && !this.hasParticipant(name)) this.#deserted.add(name);
    }
  }

  /** One member closes points that nobody takes part in any more; when all have heard who left, as that may be the one. */
  #closeDeserted(): void {
    if (!this.members.isFirst) return;
    for (const name of this.#deserted) {
      if (!this.hasParticipant(name)) void this.#definitions.release(name, true);
    }
    this.#deserted.clear();
  }

  /** Tells the other side of a link all about this node's part, once a session. */
  syncWith(link: Link): void {
    const { session } = link;
    if (session === undefined || session.told.has(this.spaceId)) return;
    session.told.add(this.spaceId);
    this.members.syncWith(session);
    const parts = inParts(this.#definitions.records, recordBytes, CONTROL_PART_BYTES);
    for (const [index, points] of parts.entries()) this.#sendDefinitions(session, points, index === 0);
    for (const point of this.#points.values()) point.attachTo(link, session);
    session.sendChange((number) => ({ synced: { number, spaceId: spaceIdToBytes(this.spaceId) } }));
  }

  /** The other side of a link takes part in a point of the space. */
  attached(participant: Participant): void {
    const point = this.#points.get(participant.name);
    if (point?.definition.type === participant.type) point?.admit(participant);
    else point?.dismiss(participant);
  }

  /** @throws RecordError when a record is no signed definition of this space; the sender is to be dropped */
  onDefinitions(definitions: DefinitionsMessage): void {
    if (definitions.manifest.length > 0) this.#learnManifest(definitions.manifest);
    this.#definitions.learn(definitions.points);
  }

  hasParticipant(point: string): boolean {
    return this.#points.has(point) || this.members.others.some(({ points }) => points.includes(point));
  }

  tick(nowMs: number): void {
    this.members.tick(nowMs);
    this.#closeDeserted();
    this.#definitions.expire(nowMs);
    if (nowMs < this.#nextDiscoveryMs) return;
    const isAlone = this.members.others.length === 0;
    this.#nextDiscoveryMs = nowMs + (isAlone ? LONELY_DISCOVERY_INTERVAL_MS : DISCOVERY_INTERVAL_MS);
    void this.discover();
  }

  // --- definitions ---

  #open(definition: PointDefinition, record: Sealed<PointRecord>): DhtPoint {
    try {
      this.members.tell([...this.#points.keys(), definition.name]);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new SpaceError('refused', `this node is in too many points of '${this.name}': ${reason}`, {
        cause,
      });
    }
    const point = new DhtPoint(definition, this.#environment.nextPointNumber(), this);
    this.#points.set(definition.name, point);
    this.#definitions.keep(record);
    for (const link of this.#environment.links) {
      const participant = link.points.get(this.spaceId, definition.name);
      if (participant?.type === definition.type) point.admit(participant);
      const { session } = link;
      if (session?.told.has(this.spaceId)) point.attachTo(link, session);
    }
    return point;
  }

  #tellPoints(): void {
    this.members.tell([...this.#points.keys()]);
  }

  #learnManifest(bytes: Uint8Array): void {
    this.#manifest.learn(bytes, this.#environment.links.now());
  }

  #manifestChanged(): void {
    if (this.gone) return;
    for (const session of this.#sessions()) this.#sendDefinitions(session, [], true);
    if (this.#manifest.tombstone === undefined) return;
    for (const point of this.#points.values())
      point.deleted(`exchange space '${this.name}' was deleted by its owner`);
    this.#points.clear();
    this.leave();
  }

  /** A definition that takes precedence over the one before: others are told, and this node's part follows it. */
  defined(sealed: Sealed<PointRecord>, isNews: boolean): void {
    const { name, closed, deleted } = sealed.record;
    if (isNews) for (const session of this.#sessions()) this.#sendDefinitions(session, [sealed.bytes], false);
    if (closed) this.#deserted.delete(name);
    const point = this.#points.get(name);
    if (point === undefined) return;
    // Whoever closed it took itself for the last participant.
    if (closed && !deleted) {
      this.#definitions.reopen(name);
      return;
    }
    if (deleted) {
      this.#points.delete(name);
      void this.#definitions.release(name, false);
      point.deleted(`exchange point '${name}' was deleted`);
      this.#tellPoints();
      this.release();
      return;
    }
    try {
      assertSamePoint(this.name, definitionOf(sealed.record), point.definition);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#environment.logger.warn(
        { space: this.name, point: name, reason },
        'this alias lost against another definition',
      );
      point.conflicted(reason);
    }
  }

  #sendDefinitions(session: LinkSession, points: readonly Uint8Array[], withManifest: boolean): void {
    const manifest = withManifest ? this.manifest.bytes : new Uint8Array(0);
    session.control.send({
      definitions: { spaceId: spaceIdToBytes(this.spaceId), points: [...points], manifest },
    });
  }

  // --- finding members ---

  /** Announces first and looks up after: of two nodes that do so at the same time, at least one sees the other. */
  async discover(): Promise<void> {
    const { directory, logger } = this.#environment;
    const limit = timeLimit(DISCOVERY_LIMIT_MS);
    try {
      if (this.members.others.length === 0) {
        const met = await this.#environment.meetKnown(this);
        await Promise.race([Promise.all(met.map((peer) => this.#ask(peer))), aborted(limit)]);
      }
      // The directory repeats it.
      if (!this.#announced) {
        this.#announced = true;
        await Promise.race([directory.announce(this.name), aborted(limit)]);
      }
      const known = new Set(this.members.others.map(({ peer }) => peer));
      const asked: Promise<void>[] = [];
      for await (const peer of directory.findMembers(this.name, { signal: limit })) {
        if (!known.has(peer.toString())) asked.push(this.#ask(peer.toString()));
      }
      await Promise.race([Promise.all(asked), aborted(limit)]);
    } catch (error) {
      logger.debug({ err: error, space: this.name }, 'could not look for members');
    }
  }

  /** Never rejects: whoever does not answer has nothing to hand over. */
  async #ask(peer: string): Promise<void> {
    const { ask, logger } = this.#environment;
    await ask(peer).catch((err: unknown) => logger.debug({ err, peer }, 'a member did not answer'));
  }

  *#sessions(): Iterable<LinkSession> {
    for (const { session } of this.#environment.links) {
      if (session?.told.has(this.spaceId)) yield session;
    }
  }
}

/** A record in a message: with its tag and its length. */
function recordBytes({ length }: Uint8Array): number {
  return length + 8;
}
