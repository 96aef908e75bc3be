import type { Logger, PointDefinition } from '../overlay/index.js';
import { assertSamePoint, canonicalTable, parseCanonicalTable, SpaceError } from '../overlay/index.js';
import type { PointDirectory } from './directory.js';
import { POINT_TOMBSTONE_VALIDITY_MS, POINT_VALIDITY_MS } from './limits.js';
import type { Links } from './links.js';
import type { OverlayNode } from './node.js';
import { PointClaims } from './point-claims.js';
import type { PointRecord, Sealed } from './records.js';
import { openIfUsable, RecordError, renewsPoint, seal } from './records.js';
import type { SpaceGrants } from './space-grants.js';

/** The space that the definitions belong to. */
export interface DefinitionsHost {
  readonly name: string;
  readonly spaceId: string;
  /** Whether a member, this node included, takes part in the point. */
  hasParticipant(point: string): boolean;
  readonly grants: SpaceGrants;
  /** Something that the other members may not know. */
  news(sealed: Sealed<PointRecord>): void;
  /** What holds for a name is this record from now on, which may be a renewal of the one before. */
  defined(sealed: Sealed<PointRecord>): void;
}

/** What the points of one space are, as far as this node knows, and what it says of them itself. */
export class Definitions {
  readonly #space: DefinitionsHost;
  readonly #directory: PointDirectory;
  readonly #links: Links;
  readonly #node: OverlayNode;
  readonly #logger: Logger;
  readonly #claims = new PointClaims();

  constructor(
    space: DefinitionsHost,
    environment: { directory: PointDirectory; links: Links; node: OverlayNode; logger: Logger },
  ) {
    this.#space = space;
    this.#directory = environment.directory;
    this.#links = environment.links;
    this.#node = environment.node;
    this.#logger = environment.logger;
  }

  isOpen(name: string): boolean {
    return this.#claims.holding(name)?.closed === false;
  }

  /** Whether the name was deleted since it was defined then. */
  wasDeletedSince(name: string, definedMs: number): boolean {
    return definedMs <= (this.#claims.deletedMs(name) ?? Number.NEGATIVE_INFINITY);
  }

  /** All that is known, as signed. */
  get records(): readonly Uint8Array[] {
    return this.#claims.all.map(({ bytes }) => bytes);
  }

  /** Deletions as signed, the latest first. */
  get tombstones(): readonly Uint8Array[] {
    const deleted = this.#claims.all.filter(({ record }) => record.deleted);
    deleted.sort((a, b) => b.record.createdMs - a.record.createdMs);
    return deleted.map(({ bytes }) => bytes);
  }

  /** Definitions that hold, and deletions. */
  get inForce(): readonly PointRecord[] {
    return this.#claims.inForce;
  }

  /**
   * The definition of a point that somebody wants to join; a new one where there is none. Undefined where this node may
   * not make one: it takes part all the same, and whoever may define the point decides.
   *
   * @param definedMs when it was defined that one was; undefined: it is a new one
   * @throws SpaceError `conflict` when there is another one; `not-found` when the one of before was deleted
   */
  async define(
    wanted: PointDefinition,
    signal: AbortSignal,
    definedMs?: number,
  ): Promise<Sealed<PointRecord> | undefined> {
    if (this.#claims.holding(wanted.name) === undefined) {
      // Members that were here before may have left it in the DHT, or be there and not known yet.
      const stored = await this.#directory
        .findPoint(this.#space.spaceId, wanted.name, { signal })
        .catch(() => undefined);
      if (stored !== undefined) this.#take(stored);
    }
    if (definedMs !== undefined && this.wasDeletedSince(wanted.name, definedMs))
      throw new SpaceError('not-found', `exchange point '${wanted.name}' was deleted`);
    const [known] = this.#claims.of(wanted.name);
    if (known !== undefined && !known.record.closed) {
      assertSamePoint(this.#space.name, definitionOf(known.record), wanted);
      return known;
    }
    const sealed = this.#defineAnew(wanted, definedMs);
    if (sealed === undefined) return undefined;
    this.#directory
      .putPoint(sealed)
      .then((holding) => void this.#take(holding))
      .catch((error: unknown) =>
        this.#logger.debug({ err: error, point: wanted.name }, 'point is not in the DHT yet'),
      );
    return sealed;
  }

  /**
   * Takes in signed records. `outdated` is called with the name of a point of which later ones are known.
   *
   * @throws RecordError when one is no definition of a point of this space
   */
  learn(records: readonly Uint8Array[], outdated: (point: string) => void = () => {}): void {
    const known = new Set(this.records.map(latin1));
    for (const bytes of records) {
      // Verifying costs far more than comparing.
      if (known.has(latin1(bytes))) continue;
      const sealed = openIfUsable('point-record', bytes, this.#links.now());
      if (sealed === undefined) continue;
      if (sealed.record.spaceId !== this.#space.spaceId)
        throw new RecordError('foreign', 'a point of another space');
      if (this.#space.grants.mayDefine(sealed.record) && !this.#take(sealed)) outdated(sealed.record.name);
    }
  }

  /** Keeps the definition alive in the DHT, and follows what takes precedence there. */
  keep(sealed: Sealed<PointRecord>): void {
    this.#directory.keepPoint(sealed, (by) => this.#take(by));
  }

  /** This node takes part no more; `last`: nor does anybody else, so that the name is free again. */
  async release(name: string, last: boolean): Promise<void> {
    this.#directory.releasePoint(this.#space.spaceId, name);
    const current = this.#claims.holding(name);
    if (!last || current === undefined || current.closed) return;
    if (!this.#restate(current, { closed: true })) return;
    await this.#directory.closePoint(this.#space.spaceId, name).catch((error: unknown) => {
      this.#logger.debug({ err: error, point: name }, 'point stays in the DHT until it expires');
    });
  }

  /** Undoes a close: somebody still takes part, under this definition. */
  reopen(wanted: PointDefinition): void {
    const text = canonicalTable(wanted.arguments);
    const own = this.#claims
      .of(wanted.name)
      .find(({ record }) => !record.deleted && record.type === wanted.type && record.arguments === text);
    if (own === undefined) this.#defineAnew(wanted);
    else this.#restate(own.record, { closed: false });
  }

  /**
   * Deletes the point for everybody: all that was defined by its name until now. Whoever was away hears of it for
   * POINT_TOMBSTONE_VALIDITY_MS.
   *
   * @throws SpaceError `not-found` when there is none; `refused` when this node may not
   */
  async delete(name: string): Promise<void> {
    const current = this.#claims.holding(name);
    if (current === undefined || current.closed) {
      throw new SpaceError('not-found', `exchange space '${this.#space.name}' has no point '${name}'`);
    }
    // The clocks of those who defined it may be ahead.
    const created = this.#claims.of(name).map(({ record }) => record.createdMs);
    const createdMs = Math.max(this.#links.now(), ...created);
    const deleted = this.#restate(current, { closed: true, deleted: true, createdMs });
    if (deleted === undefined) throw this.#space.grants.refusal(name, 'administer');
    await this.#directory.putPoint(deleted).catch(() => {});
  }

  /** Says again what is about to run out, where nobody else keeps it alive for this node. */
  renew(name: string, nowMs: number): void {
    const current = this.#claims.holding(name);
    if (current === undefined || current.closed || current.expiresMs - nowMs > POINT_VALIDITY_MS / 2) return;
    this.#restate(current, { closed: false });
  }

  /** Forgets what has run out: nobody takes part, or others would have renewed it. */
  expire(nowMs: number): void {
    this.#claims.expire(nowMs, (name) => this.#space.hasParticipant(name));
    this.#follow();
  }

  /** Grants have ended: what their holders have said counts no more, unless this node may say it and takes part. */
  review(takesPart: (name: string) => boolean): void {
    for (const claim of this.#claims.all) {
      const { record } = claim;
      if (this.#space.grants.stillDefines(record)) continue;
      const isOwn = !record.deleted && takesPart(record.name);
      if (!isOwn || this.#restate(record, {}) === undefined) this.#claims.remove(claim);
    }
    this.#follow();
  }

  #defineAnew(wanted: PointDefinition, definedMs?: number): Sealed<PointRecord> | undefined {
    const known = this.#claims.of(wanted.name).map(({ record }) => record);
    const sealed = this.#seal({
      kind: 'point-record',
      spaceId: this.#space.spaceId,
      name: wanted.name,
      type: wanted.type,
      arguments: canonicalTable(wanted.arguments),
      createdMs: definedMs ?? Math.max(this.#links.now(), (this.#claims.deletedMs(wanted.name) ?? 0) + 1),
      author: this.#node.id,
      sequence: Math.max(0, ...known.map(({ sequence }) => sequence)) + 1,
      expiresMs: 0,
      closed: false,
      deleted: false,
    });
    if (sealed !== undefined) this.#take(sealed);
    return sealed;
  }

  /** The same in this node's name, and later. Undefined where this node may not say it. */
  #restate(
    record: PointRecord,
    changes: Partial<Pick<PointRecord, 'closed' | 'deleted' | 'createdMs'>>,
  ): Sealed<PointRecord> | undefined {
    const { sequence } = record;
    const sealed = this.#seal({ ...record, ...changes, author: this.#node.id, sequence: sequence + 1 });
    if (sealed !== undefined) this.#take(sealed);
    return sealed;
  }

  /**
   * Undefined where this node may not sign it.
   *
   * @throws SpaceError `invalid-argument` when the definition is too large to be signed and handed round
   */
  #seal(record: PointRecord): Sealed<PointRecord> | undefined {
    const authorised = this.#space.grants.authorised(record);
    if (authorised === undefined) return undefined;
    const validityMs = record.deleted ? POINT_TOMBSTONE_VALIDITY_MS : POINT_VALIDITY_MS;
    try {
      return seal({ ...authorised, expiresMs: this.#links.now() + validityMs }, this.#node.privateKey);
    } catch (error) {
      if (!(error instanceof RecordError)) throw error;
      throw new SpaceError('invalid-argument', `point '${record.name}': ${error.message}`, { cause: error });
    }
  }

  #follow(): void {
    for (const holding of this.#claims.takeChanged()) this.#space.defined(holding);
  }

  /** False for what is no news: a later one is known, or there are too many points. */
  #take(sealed: Sealed<PointRecord>): boolean {
    const { record } = sealed;
    const before = this.#claims.of(record.name).find((claim) => renewsPoint(claim.record, record))?.record;
    if (!this.#claims.add(sealed)) return false;
    // In a granted space nobody but the members knows of renewals.
    const isTold = this.#space.grants.isGranted && record.author === this.#node.id;
    const isNews = before === undefined || record.deleted || before.closed !== record.closed;
    // Before this node follows it, and perhaps leaves the space.
    if (isNews || isTold) this.#space.news(sealed);
    this.#follow();
    if (this.#space.grants.outlasts(record)) this.#restate(record, {});
    return true;
  }
}

/** Why an alias of the point cannot go on under the record's definition; undefined where they agree. */
export function conflictBetween(
  space: string,
  record: PointRecord,
  definition: PointDefinition,
): string | undefined {
  try {
    assertSamePoint(space, definitionOf(record), definition);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function definitionOf(record: PointRecord): PointDefinition {
  return { name: record.name, type: record.type, arguments: parseCanonicalTable(record.arguments) };
}

/** Bytes as a key: one character for each. */
function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
