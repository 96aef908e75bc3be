import type { Logger, PointDefinition } from '../overlay/index.js';
import { assertSamePoint, canonicalTable, parseCanonicalTable, SpaceError } from '../overlay/index.js';
import type { PointDirectory } from './directory.js';
import { MAX_POINTS_PER_SPACE, POINT_VALIDITY_MS } from './limits.js';
import type { Links } from './links.js';
import type { OverlayNode } from './node.js';
import type { PointRecord, Sealed } from './records.js';
import { isLive, openIfUsable, preferred, RecordError, sameDefinition, seal } from './records.js';
import type { SpaceGrants } from './space-grants.js';

/** The space that the definitions belong to. */
export interface DefinitionsHost {
  readonly name: string;
  readonly spaceId: string;
  /** Whether a member, this node included, takes part in the point. */
  hasParticipant(point: string): boolean;
  readonly grants: SpaceGrants;
  /** A record takes precedence over the one before. `isNews`: it says something else, not only anew. */
  defined(sealed: Sealed<PointRecord>, isNews: boolean): void;
}

/** What the points of one space are, as far as this node knows: of competing records, all nodes hold the same one. */
export class Definitions {
  readonly #space: DefinitionsHost;
  readonly #directory: PointDirectory;
  readonly #links: Links;
  readonly #node: OverlayNode;
  readonly #logger: Logger;
  readonly #records = new Map<string, Sealed<PointRecord>>();

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
    return this.#records.get(name)?.record.closed === false;
  }

  /** Every definition known, as signed. */
  get records(): readonly Uint8Array[] {
    return [...this.#records.values()].map(({ bytes }) => bytes);
  }

  /**
   * The definition of a point that somebody wants to join; a new one where there is none. Undefined where this node may
   * not make one: it takes part all the same, and whoever may define the point decides.
   *
   * @throws SpaceError `conflict` when there is another one
   */
  async define(wanted: PointDefinition, signal: AbortSignal): Promise<Sealed<PointRecord> | undefined> {
    if (!this.#records.has(wanted.name)) {
      // Members that were here before may have left it in the DHT, or be there and not known yet.
      const stored = await this.#directory
        .findPoint(this.#space.spaceId, wanted.name, { signal })
        .catch(() => undefined);
      if (stored !== undefined) this.#learnOne(stored);
    }
    const known = this.#records.get(wanted.name);
    if (known !== undefined && !known.record.closed) {
      assertSamePoint(this.#space.name, definitionOf(known.record), wanted);
      return known;
    }
    const sealed = this.#seal({
      kind: 'point-record',
      spaceId: this.#space.spaceId,
      name: wanted.name,
      type: wanted.type,
      arguments: canonicalTable(wanted.arguments),
      createdMs: this.#links.now(),
      author: this.#node.id,
      sequence: (known?.record.sequence ?? 0) + 1,
      expiresMs: 0,
      closed: false,
      deleted: false,
    });
    if (sealed === undefined) return undefined;
    this.#set(sealed);
    this.#directory
      .putPoint(sealed)
      .then((holding) => this.#learnOne(holding))
      .catch((error: unknown) =>
        this.#logger.debug({ err: error, point: wanted.name }, 'point is not in the DHT yet'),
      );
    return sealed;
  }

  /** Takes in signed records. @throws RecordError when one is no definition of a point of this space */
  learn(records: readonly Uint8Array[]): void {
    const known = new Set([...this.#records.values()].map((sealed) => latin1(sealed.bytes)));
    for (const bytes of records) {
      // Verifying costs far more than comparing.
      if (known.has(latin1(bytes))) continue;
      const sealed = openIfUsable('point-record', bytes, this.#links.now());
      if (sealed === undefined) continue;
      if (sealed.record.spaceId !== this.#space.spaceId)
        throw new RecordError('malformed', 'a point of another space');
      if (this.#space.grants.mayDefine(sealed.record)) this.#learnOne(sealed);
    }
  }

  /** Keeps the definition alive in the DHT, and follows what takes precedence there. */
  keep(sealed: Sealed<PointRecord>): void {
    this.#directory.keepPoint(sealed, (by) => this.#learnOne(by));
  }

  /** This node takes part no more; `last`: nor does anybody else, so that the name is free again. */
  async release(name: string, last: boolean): Promise<void> {
    this.#directory.releasePoint(this.#space.spaceId, name);
    const current = this.#records.get(name);
    if (!last || current === undefined || current.record.closed) return;
    const closed = this.#restate(current.record, { closed: true });
    if (closed === undefined) return;
    this.#set(closed);
    await this.#directory.closePoint(this.#space.spaceId, name).catch((error: unknown) => {
      this.#logger.debug({ err: error, point: name }, 'point stays in the DHT until it expires');
    });
  }

  /** Undoes a close: somebody still takes part. */
  reopen(name: string): void {
    const current = this.#records.get(name);
    const open = current && this.#restate(current.record, { closed: false });
    if (open !== undefined) this.#set(open);
  }

  /** Deletes the point for everybody. */
  async delete(name: string): Promise<void> {
    const current = this.#records.get(name);
    if (current === undefined) return;
    const deleted = this.#restate(current.record, { closed: true, deleted: true });
    if (deleted === undefined) return;
    this.#set(deleted);
    await this.#directory.putPoint(deleted).catch(() => {});
  }

  /** Says again what is about to run out, where nobody else keeps it alive for this node. */
  renew(name: string, nowMs: number): void {
    const current = this.#records.get(name)?.record;
    if (current === undefined || current.closed || current.expiresMs - nowMs > POINT_VALIDITY_MS / 2) return;
    const renewed = this.#restate(current, { closed: false });
    if (renewed !== undefined) this.#set(renewed);
  }

  /** Forgets definitions that have run out: nobody takes part, or others would have renewed them. */
  expire(nowMs: number): void {
    for (const [name, { record }] of this.#records) {
      if (!isLive(record, nowMs) && !this.#space.hasParticipant(name)) this.#records.delete(name);
    }
  }

  #restate(
    record: PointRecord,
    changes: { closed: boolean; deleted?: boolean },
  ): Sealed<PointRecord> | undefined {
    return this.#seal({ ...record, author: this.#node.id, sequence: record.sequence + 1, ...changes });
  }

  /**
   * Undefined where this node may not sign it.
   *
   * @throws SpaceError `invalid-argument` when the definition is too large to be signed and handed round
   */
  #seal(record: PointRecord): Sealed<PointRecord> | undefined {
    const authorised = this.#space.grants.authorised(record);
    if (authorised === undefined) return undefined;
    try {
      return seal({ ...authorised, expiresMs: this.#links.now() + POINT_VALIDITY_MS }, this.#node.privateKey);
    } catch (error) {
      if (!(error instanceof RecordError)) throw error;
      throw new SpaceError('invalid-argument', `point '${record.name}': ${error.message}`, { cause: error });
    }
  }

  #learnOne(sealed: Sealed<PointRecord>): void {
    const current = this.#records.get(sealed.record.name);
    if (current === undefined && this.#records.size >= MAX_POINTS_PER_SPACE) return;
    if (current !== undefined && preferred(current.record, sealed.record) === current.record) return;
    this.#set(sealed);
  }

  #set(sealed: Sealed<PointRecord>): void {
    const { name, closed, deleted } = sealed.record;
    const before = this.#records.get(name);
    this.#records.set(name, sealed);
    const isNews =
      before === undefined ||
      before.record.closed !== closed ||
      before.record.deleted !== deleted ||
      !sameDefinition(before.record, sealed.record);
    this.#space.defined(sealed, isNews);
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
