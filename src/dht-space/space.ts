import type { Multiaddr } from '@multiformats/multiaddr';
import type { Logger, PointDefinition, PointReceiver, PointSession } from '../overlay/index.js';
import { assertSamePoint, SpaceError } from '../overlay/index.js';
import { aborted } from './aborted.js';
import { allLinked } from './all-linked.js';
import type { DefinitionsHost } from './definitions.js';
import { conflictBetween, Definitions } from './definitions.js';
import type { DesertedHost } from './deserted-points.js';
import { DesertedPoints } from './deserted-points.js';
import type { Directory, PointDirectory } from './directory.js';
import { MEMBERS_ONLY } from './directory.js';
import { Discovery } from './discovery.js';
import type { Grant } from './grant.js';
import { HeldManifest } from './held-manifest.js';
import { CONTROL_PART_BYTES } from './limits.js';
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
import type { PointRecord, Revocation, Sealed, SpaceManifest } from './records.js';
import { spaceIdOf, spaceIdToBytes } from './records.js';
import { SpaceGrants } from './space-grants.js';
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
  readonly #pointDirectory: PointDirectory;
  readonly #manifest: HeldManifest;
  readonly #definitions: Definitions;
  readonly #points = new Map<string, DhtPoint>();
  readonly deserted: DesertedPoints;
  /** A declared space is held by its handle, also without points. */
  declared = false;
  /** Joins under way. */
  #joining = 0;
  #state: 'member' | 'gone' = 'member';

  constructor(manifest: Sealed<SpaceManifest>, environment: SpaceEnvironment) {
    this.name = manifest.record.space;
    this.owner = manifest.record.owner;
    this.spaceId = spaceIdOf(this.name, this.owner);
    this.self = environment.node.id;
    this.#environment = environment;
    this.#manifest = new HeldManifest(manifest, () => this.#manifestChanged());
    this.grants = new SpaceGrants(manifest.record, {
      self: this.self,
      now: environment.links.now,
      logger: environment.logger,
      tokensOf: (peer) => this.members.grantsOf(peer),
    });
    this.#pointDirectory = this.grants.isGranted ? MEMBERS_ONLY : environment.directory;
    this.members = new Members(this.spaceId, environment, this);
    this.discovery = new Discovery(this, environment);
    this.#definitions = new Definitions(this, { ...environment, directory: this.#pointDirectory });
    this.deserted = new DesertedPoints(this, this.#definitions);
  }

  /** What the DHT knows members by: in a granted space, a secret of theirs. */
  get meetingPlace(): string {
    return this.grants.rendezvous ?? this.name;
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
    const { directory } = this.#environment;
    this.members.tell([]);
    directory.keepManifest(this.manifest, (by) => this.#manifest.replace(by));
    this.discovery.begin();
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
    if (found.manifest.length > 0) this.#manifest.learn(found.manifest, this.#environment.links.now());
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
      const access = this.grants.accessOf(this.self, wanted.name);
      if (!access.mayAttach) throw this.grants.refusal(wanted.name, 'take part');
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
  deleteSpace(): Promise<void> {
    return this.#restate({ deleted: true });
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
    directory.withdraw(this.meetingPlace);
    directory.releaseManifest(this.spaceId);
    for (const name of this.#points.keys()) this.#pointDirectory.releasePoint(this.spaceId, name);
    this.#environment.ended(this);
  }

  // --- sessions ---

  linked(link: Link): void {
    this.members.alive(link.peer);
    this.syncWith(link);
  }

  /** Tells the other side of a link all about this node's part, once a session. */
  syncWith(link: Link): void {
    const { session } = link;
    if (session === undefined || session.told.has(this.spaceId)) return;
    session.told.add(this.spaceId);
    // Revocations first: what follows is judged by them.
    if (this.grants.isGranted) this.#sendDefinitions(session, [], true);
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
  onDefinitions(link: Link, definitions: DefinitionsMessage): void {
    // It says itself who signed it, and everybody may know.
    if (definitions.manifest.length > 0)
      this.#manifest.learn(definitions.manifest, this.#environment.links.now());
    if (definitions.points.length === 0) return;
    if (this.grants.isOpenTo(link.peer)) this.#definitions.learn(definitions.points);
    else this.grants.refusals.add('link', { peer: link.peer, cause: 'definitions of no member' });
  }

  hasParticipant(point: string): boolean {
    return this.#points.has(point) || this.members.others.some(({ points }) => points.includes(point));
  }

  tick(nowMs: number): void {
    this.#review();
    this.members.tick(nowMs);
    this.deserted.close();
    if (this.grants.isGranted) {
      for (const name of this.#points.keys()) this.#definitions.renew(name, nowMs);
    }
    this.#definitions.expire(nowMs);
    this.discovery.tick(nowMs);
  }

  // --- definitions ---

  #open(definition: PointDefinition, record: Sealed<PointRecord> | undefined): DhtPoint {
    try {
      this.members.tell([...this.#points.keys(), definition.name]);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      const text = `this node is in too many points of '${this.name}': ${reason}`;
      throw new SpaceError('refused', text, { cause });
    }
    const point = new DhtPoint(definition, this.#environment.nextPointNumber(), this);
    this.#points.set(definition.name, point);
    if (record !== undefined) this.#definitions.keep(record);
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

  /** The owner ends grants before their time: all members hear of it now. */
  async revoke(revocations: readonly Revocation[]): Promise<void> {
    if (!this.grants.revoke(revocations)) return;
    await this.#restate({ revocations: this.grants.revocations });
  }

  /** A member, or this node, shows other grants now, or they are in force no more. */
  renewed(peer: string): void {
    if (!this.grants.isGranted) return;
    if (peer === this.self) for (const point of this.#points.values()) point.review();
    for (const participant of this.#environment.links.get(peer)?.points ?? []) {
      if (participant.spaceId === this.spaceId) this.attached(participant);
    }
  }

  /** Grants end: by time, or by their owner's word. */
  #review(): void {
    for (const { peer, shutOut } of this.grants.review()) {
      this.renewed(peer);
      if (shutOut === undefined) continue;
      const fields = { peer, space: this.name, reason: shutOut };
      this.#environment.logger.warn(fields, 'shut out of a granted space');
      if (peer !== this.self) this.members.expel(peer, shutOut);
      else for (const other of this.members.others) this.members.unlink(other.peer, shutOut);
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
    for (const session of this.#sessions()) this.#sendDefinitions(session, [], true);
    const { access, revocations = [] } = this.manifest.record;
    this.grants.revoke(revocations);
    this.#review();
    // With another access it is another space, declared anew.
    const isSame = this.grants.isGranted === (access === 'granted');
    if (this.#manifest.tombstone === undefined && isSame) return;
    const reason = `exchange space '${this.name}' was deleted by its owner`;
    for (const point of this.#points.values()) point.deleted(reason);
    this.#points.clear();
    this.leave();
  }

  /** A definition that takes precedence over the one before: others are told, and this node's part follows it. */
  defined(sealed: Sealed<PointRecord>, isNews: boolean): void {
    const { name, closed, deleted } = sealed.record;
    if (isNews) for (const session of this.#sessions()) this.#sendDefinitions(session, [sealed.bytes], false);
    if (closed) this.deserted.closed(name);
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
    const reason = conflictBetween(this.name, sealed.record, point.definition);
    if (reason === undefined) return;
    const fields = { space: this.name, point: name, author: sealed.record.author, reason };
    this.#environment.logger.warn(fields, 'this alias lost against another definition');
    point.conflicted(reason);
  }

  #sendDefinitions(session: LinkSession, points: readonly Uint8Array[], withManifest: boolean): void {
    const manifest = withManifest ? this.manifest.bytes : new Uint8Array(0);
    session.control.send({
      definitions: { spaceId: spaceIdToBytes(this.spaceId), points: [...points], manifest },
    });
  }

  *#sessions(): Iterable<LinkSession> {
    for (const { session } of this.#environment.links) {
      if (session?.told.has(this.spaceId)) yield session;
    }
  }
}

/** A record in a message: with its tag and its length. */
const recordBytes = ({ length }: Uint8Array): number => length + 8;
