import type { Multiaddr } from '@multiformats/multiaddr';
import type { Logger, PointDefinition, PointReceiver, PointSession } from '../overlay/index.js';
import { assertSamePoint, SpaceError } from '../overlay/index.js';
import { aborted } from './aborted.js';
import { allLinked } from './all-linked.js';
import type { DefinitionsHost } from './definitions.js';
import { Definitions } from './definitions.js';
import type { DesertedHost } from './deserted-points.js';
import { DesertedPoints } from './deserted-points.js';
import type { Directory, PointDirectory } from './directory.js';
import { MEMBERS_ONLY } from './directory.js';
import { Discovery } from './discovery.js';
import type { Grant } from './grant.js';
import { HeldManifest } from './held-manifest.js';
import { ANTI_ENTROPY_INTERVAL_MS, CONTROL_PART_BYTES } from './limits.js';
import type { Link } from './link.js';
import type { Links } from './links.js';
import type { MembersHost } from './members.js';
import { Members } from './members.js';
import type { OverlayNode } from './node.js';
import { OwnPoints } from './own-points.js';
import type { Participant } from './participant.js';
import { inParts } from './parts.js';
import type { DhtPoint, PointHost } from './point.js';
import type { PointRecord, Revocation, Sealed, SpaceManifest } from './records.js';
import { spaceIdOf, spaceIdToBytes } from './records.js';
import { SpaceGrants } from './space-grants.js';
import { SpaceSessions } from './space-sessions.js';
import type { SpaceStatus } from './space-status.js';
import { spaceStatus } from './space-status.js';
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
  meetKnown(space: { readonly name: string; readonly owner: string }): Promise<readonly string[]>;
  /** Nothing holds the space any more. */
  ended(space: DhtSpace): void;
}

/** A space that this node is a member of: its members, its points, and this node's part in them. */
export class DhtSpace implements PointHost, DefinitionsHost, DesertedHost, MembersHost {
  readonly name: string;
  readonly owner: string;
  readonly spaceId: string;
  readonly self: string;
  readonly members: Members;
  readonly discovery: Discovery;
  /** Seeds given for this space; they are redialled until it ends. */
  readonly seeds: Multiaddr[] = [];
  /** Who may do what here. */
  readonly grants: SpaceGrants;
  readonly #environment: SpaceEnvironment;
  readonly #sessions: SpaceSessions;
  readonly #pointDirectory: PointDirectory;
  readonly #manifest: HeldManifest;
  readonly definitions: Definitions;
  /** Those that this node has aliases of. */
  readonly points: OwnPoints;
  readonly deserted: DesertedPoints;
  /** A declared space is held by its handle, also without points. */
  declared = false;
  /** Joins under way. */
  #joining = 0;
  #state: 'member' | 'gone' = 'member';
  #reviewedMs = 0;

  constructor(manifest: Sealed<SpaceManifest>, environment: SpaceEnvironment) {
    this.name = manifest.record.space;
    this.owner = manifest.record.owner;
    this.spaceId = spaceIdOf(manifest.record);
    this.self = environment.node.id;
    this.#environment = environment;
    const forgotten = (revocations: readonly Revocation[]) => void this.revoke(revocations);
    this.#manifest = new HeldManifest(manifest, () => this.#manifestChanged(), forgotten);
    this.grants = new SpaceGrants(manifest.record, {
      self: this.self,
      now: environment.links.now,
      refusals: environment.links.refusals.of(this.name),
      tokensOf: (peer) => this.members.grantsOf(peer),
    });
    this.#pointDirectory = this.grants.isGranted ? MEMBERS_ONLY : environment.directory;
    this.members = new Members(this.spaceId, environment, this);
    this.points = new OwnPoints(this, environment);
    this.#sessions = new SpaceSessions(this.spaceId, environment.links);
    this.discovery = new Discovery(this, environment);
    this.definitions = new Definitions(this, { ...environment, directory: this.#pointDirectory });
    this.deserted = new DesertedPoints(this, this.definitions);
  }

  /** What the DHT knows members by: in a granted space, a secret of theirs. */
  get meetingPlace(): string {
    return this.grants.rendezvous ?? this.name;
  }

  get manifest(): Sealed<SpaceManifest> {
    return this.#manifest.sealed;
  }

  get #lastWord(): Uint8Array {
    return (this.tombstone ?? this.manifest).bytes;
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
    const { directory } = this.#environment;
    this.members.tell([]);
    directory.keepManifest(this.manifest, (by) => this.#manifest.replace(by));
    this.discovery.begin();
  }

  status(): SpaceStatus {
    return spaceStatus(this, this.#environment.links);
  }

  /** What a newcomer is handed, as far as it goes into so many octets: members first, who know the rest. */
  found(limitBytes: number): FoundSpace {
    const leftBytes = limitBytes - this.manifest.bytes.length;
    const [members = []] = inParts(this.members.records, recordBytes, leftBytes / 2);
    const memberBytes = members.reduce((sum, record) => sum + recordBytes(record), 0);
    const [points = []] = inParts(this.definitions.records, recordBytes, leftBytes - memberBytes);
    return { manifest: this.manifest.bytes, members, points };
  }

  /** What another member handed over, or told since. @throws RecordError when it is no signed record of this space */
  learn(found: FoundSpace & { readonly from?: string }): void {
    const { manifest } = found;
    if (manifest.length > 0 && !this.#manifest.learn(manifest, this.#environment.links.now())) return;
    this.members.learn(found.members, undefined, found.from);
    this.definitions.learn(found.points);
  }

  // --- joining and leaving points ---

  /**
   * Joins the point, which is defined where it does not exist yet.
   *
   * @param definedMs when the one was defined that an earlier start of this node was in; undefined: any
   * @throws SpaceError `conflict`; `not-found` when the space was deleted meanwhile, or the point of before; `refused` when this node is in too
   * many points
   */
  async takePart(
    wanted: PointDefinition,
    receiver: PointReceiver,
    signal: AbortSignal,
    definedMs?: number,
  ): Promise<{ point: DhtPoint; session: PointSession }> {
    this.#joining += 1;
    try {
      const access = this.grants.accessOf(this.self, wanted.name);
      if (!access.mayAttach) throw this.grants.refusal(wanted.name, 'take part');
      let point = this.points.get(wanted.name);
      if (point === undefined) {
        const record = await this.definitions.define(wanted, signal, definedMs);
        if (this.gone) throw new SpaceError('not-found', `space '${this.name}' was left meanwhile`);
        // Two aliases of one point may be declared at the same time.
        point = this.points.get(wanted.name) ?? this.#open(wanted, record, definedMs);
      }
      assertSamePoint(this.name, point.definition, wanted);
      return { point, session: point.local.join(receiver) };
    } catch (error) {
      // An alias of before goes with the point that it was of.
      if (definedMs !== undefined && this.definitions.wasDeletedSince(wanted.name, definedMs))
        receiver.deleted(`exchange point '${wanted.name}' was deleted`);
      throw error;
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
    this.points.remove(point);
    await this.definitions.release(name, !this.hasParticipant(name));
    this.release();
  }

  // --- deletion ---

  async deleteEverywhere({ definition: { name } }: DhtPoint): Promise<void> {
    if (this.definitions.isOpen(name)) await this.definitions.delete(name);
  }

  /**
   * Deletes the point for everybody, also where this node takes no part in it.
   *
   * @throws SpaceError `not-found` when there is none; `refused` when this node may not
   */
  deletePoint(name: string): Promise<void> {
    return this.definitions.delete(name);
  }

  /** Deletes the space everywhere; only its owner can. */
  deleteSpace(): Promise<void> {
    return this.#restate({ deleted: true });
  }

  /** Leaves the space when neither a handle nor a point holds it, nor somebody who is just joining one. */
  release(): void {
    if (!this.declared && this.points.size === 0 && this.#joining === 0) this.leave();
  }

  /** This node stops: every session leaves, then the node. */
  async close(): Promise<void> {
    this.declared = false;
    await this.points.leave();
    this.leave();
  }

  leave(): void {
    if (this.#state === 'gone') return;
    this.#state = 'gone';
    const { directory } = this.#environment;
    this.members.leave();
    directory.withdraw(this.meetingPlace);
    directory.releaseManifest(this.spaceId);
    for (const { definition } of this.points)
      this.#pointDirectory.releasePoint(this.spaceId, definition.name);
    this.#environment.ended(this);
  }

  // --- sessions ---

  linked(link: Link): void {
    this.members.alive(link.peer);
    this.syncWith(link);
  }

  /** Tells the other side of a link all about this node's part, once a session. */
  syncWith(link: Link): void {
    const session = this.#sessions.begin(link);
    if (session === undefined) return;
    const manifest = this.#lastWord;
    // Revocations first: what follows is judged by them.
    if (this.grants.isGranted) this.#sessions.tell(session, { manifest });
    this.members.syncWith(session);
    for (const [index, points] of inParts(
      this.definitions.records,
      recordBytes,
      CONTROL_PART_BYTES,
    ).entries())
      this.#sessions.tell(session, { points, ...(index === 0 && { manifest }) });
    this.points.attachTo(link, session);
    session.sendChange((number) => ({ synced: { number, spaceId: spaceIdToBytes(this.spaceId) } }));
  }

  /** The other side of a link takes part in a point of the space. */
  attached(participant: Participant): void {
    this.points.attached(participant);
  }

  /** The other side of a link publishes to a point of the space at which it is not let in. */
  stray({ name: point, link: { peer } }: Participant): void {
    if (!this.grants.isGranted || !this.points.takesPart(point)) return;
    this.grants.refusals.add('message', { peer, point, cause: 'it is not let in at the point' });
  }

  /** @throws RecordError when a record is no signed definition of this space; the sender is to be dropped */
  onDefinitions(link: Link, definitions: DefinitionsMessage): void {
    // It says itself who signed it, and everybody may know.
    const { manifest, points } = definitions;
    const outdated = (what: string) =>
      this.grants.refusals.add('outdated', { peer: link.peer, cause: `${what}: a later one is known` });
    if (manifest.length > 0)
      this.#manifest.learn(manifest, this.#environment.links.now(), () => outdated('a manifest'));
    if (points.length === 0) return;
    if (this.grants.isOpenTo(link.peer))
      this.definitions.learn(points, (name) => outdated(`point '${name}'`));
    else this.grants.refusals.add('stranger', { peer: link.peer, cause: 'definitions of no member' });
  }

  hasParticipant(point: string): boolean {
    return this.points.takesPart(point) || this.members.others.some(({ points }) => points.includes(point));
  }

  tick(nowMs: number): void {
    this.#review();
    this.members.tick(nowMs);
    this.deserted.close();
    if (this.grants.isGranted) {
      for (const { definition } of this.points) this.definitions.renew(definition.name, nowMs);
      if (nowMs - this.#reviewedMs >= ANTI_ENTROPY_INTERVAL_MS) this.#reviewDefinitions();
    }
    this.definitions.expire(nowMs);
    this.discovery.tick(nowMs);
  }

  // --- definitions ---

  #open(definition: PointDefinition, sealed: Sealed<PointRecord> | undefined, definedMs?: number): DhtPoint {
    const sinceMs = sealed?.record.createdMs ?? definedMs ?? this.#environment.links.now();
    const point = this.points.open(definition, sinceMs);
    if (sealed !== undefined) this.definitions.keep(sealed);
    return point;
  }

  /** Others are told. */
  news({ bytes }: Sealed<PointRecord>): void {
    this.#sessions.tellAll({ points: [bytes] });
  }

  /** Another definition holds: this node's part follows it. */
  defined({ record }: Sealed<PointRecord>): void {
    if (record.closed) this.deserted.closed(record.name);
    if (this.points.follow(record, this.definitions) === 'deleted') this.release();
  }

  // --- grants ---

  /**
   * Shows a grant of this node's own from now on.
   *
   * @throws GrantError when it does not count here
   */
  present(grant: Grant): void {
    if (!this.grants.present(grant)) return;
    this.renewed(this.self);
    this.members.retell();
    this.members.relink();
  }

  /** Grants end before their time. Their owner has all members hear of it now. */
  async revoke(revocations: readonly Revocation[]): Promise<void> {
    if (!this.grants.revoke(revocations)) return;
    if (this.owner === this.self) await this.#restate({ revocations: this.grants.revocations });
    else this.#review();
  }

  /** A member, or this node, shows other grants now, or they are in force no more. */
  renewed(peer: string): void {
    if (this.grants.isGranted) this.points.review(peer);
  }

  /** Definitions count as long as the grants of their authors do. */
  #reviewDefinitions(): void {
    this.#reviewedMs = this.#environment.links.now();
    this.definitions.review((name) => this.points.takesPart(name));
  }

  /** Grants end: by time, or by their owner's word. */
  #review(): void {
    for (const { peer, shutOut } of this.grants.review()) {
      this.renewed(peer);
      if (shutOut !== undefined) this.members.shutOut(peer, shutOut);
    }
  }

  /** The owner says something else from now on. Resolves when the DHT has it as well. */
  async #restate(changes: Partial<Pick<SpaceManifest, 'deleted' | 'revocations'>>): Promise<void> {
    const { links, node, directory } = this.#environment;
    const sealed = this.#manifest.restate(changes, links.now(), node.privateKey);
    await directory.putManifest(sealed).catch(() => {});
  }

  /** The owner has said something else. */
  #manifestChanged(): void {
    if (this.gone) return;
    this.#sessions.tellAll({ manifest: this.#lastWord });
    const { access, revocations = [] } = this.manifest.record;
    this.grants.revoke(revocations);
    this.#review();
    this.#reviewDefinitions();
    // With another access it is another space, declared anew.
    const isSame = this.grants.isGranted === (access === 'granted');
    if (this.#manifest.tombstone === undefined && isSame) return;
    this.points.end(`exchange space '${this.name}' was deleted by its owner`);
    this.leave();
  }
}

/** A record in a message: with its tag and its length. */
const recordBytes = ({ length }: Uint8Array): number => length + 8;
