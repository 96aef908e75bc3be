import { createHash } from 'node:crypto';
import type { PeerId } from '@libp2p/interface';
import { CID } from 'multiformats/cid';
import * as raw from 'multiformats/codecs/raw';
import { create as createDigest } from 'multiformats/hashes/digest';
import type { Logger } from '../overlay/index.js';
import { ClaimStore } from './claim-store.js';
import { POINT_CLAIMS, pointKey, SPACE_CLAIMS, spaceKey } from './claims.js';
import * as limits from './limits.js';
import type { OverlayNode } from './node.js';
import type { PointRecord, Sealed, SpaceManifest } from './records.js';
import { compareManifests, preferred, sameDefinition, seal, spaceIdOf } from './records.js';
import { timeLimit } from './time-limit.js';
import { Upkeep } from './upkeep.js';

const SHA2_256 = 0x12;

export interface LookupOptions {
  readonly signal?: AbortSignal;
}

interface KeptPoint {
  record: PointRecord;
  /** How many others hold it, as of the last read or put. */
  holders: number;
  readonly holds: (sealed: Sealed<PointRecord>) => void;
}

/** Where definitions of points are kept, besides with the members. */
export type PointDirectory = Pick<
  Directory,
  'findPoint' | 'putPoint' | 'keepPoint' | 'releasePoint' | 'closePoint'
>;

/** Points of granted spaces are with the members alone: whoever stores them in the DHT would learn of them. */
export const MEMBERS_ONLY: PointDirectory = {
  findPoint: async () => undefined,
  putPoint: async (record) => record,
  keepPoint: () => {},
  releasePoint: () => {},
  closePoint: async () => {},
};

/**
 * The DHT as spaces use it: who is a member, which spaces and points there are. Nothing here rejects because of the
 * network: what counts is what was found or stored in time.
 */
export class Directory {
  readonly #node: OverlayNode;
  readonly #logger: Logger;
  readonly #clock: () => number;
  readonly #upkeep: Upkeep;
  readonly #spaces: ClaimStore<'space-manifest'>;
  readonly #points: ClaimStore<'point-record'>;
  /** How often each space was announced and not withdrawn. */
  readonly #announced = new Map<string, number>();
  readonly #stopListening: () => void;

  /** `claimed`: the claims of this name of a space have changed. */
  constructor(
    node: OverlayNode,
    options: {
      readonly logger: Logger;
      readonly clock?: () => number;
      readonly random?: () => number;
      readonly claimed?: (space: string) => void;
    },
  ) {
    const { logger, clock = Date.now, random = Math.random, claimed = () => {} } = options;
    this.#node = node;
    this.#logger = logger;
    this.#clock = clock;
    this.#upkeep = new Upkeep(logger, random);
    this.#spaces = new ClaimStore(node, SPACE_CLAIMS, {
      logger,
      clock,
      changed: (key) => {
        const [claim] = this.#spaces.claims(key);
        if (claim !== undefined) claimed(claim.record.space);
      },
    });
    this.#points = new ClaimStore(node, POINT_CLAIMS, {
      logger,
      clock,
      changed: (key) => this.#upkeep.runSoon(key),
    });
    this.#stopListening = node.routing.onAdded(() => this.#upkeep.grown());
  }

  stop(): void {
    this.#stopListening();
    this.#upkeep.stop();
  }

  // --- members ---

  /**
   * Tells the DHT that this node is a member, and again in time until `withdraw` was called as often: two owners may
   * have spaces of one name. Resolves after the first round.
   */
  async announce(space: string): Promise<void> {
    const uses = this.#announced.get(space) ?? 0;
    this.#announced.set(space, uses + 1);
    const duty = `member of ${space}`;
    const run = (signal: AbortSignal) => this.#provide(space, signal);
    if (uses === 0) this.#upkeep.begin(duty, { periodMs: limits.ANNOUNCE_PERIOD_MS, run });
    await this.#upkeep.runNow(duty);
  }

  /** Announces no more; what others hold fades within PROVIDER_VALIDITY_MS. */
  withdraw(space: string): void {
    const uses = this.#announced.get(space) ?? 0;
    if (uses > 1) {
      this.#announced.set(space, uses - 1);
      return;
    }
    this.#announced.delete(space);
    this.#upkeep.end(`member of ${space}`);
    this.#forgetProvider(space);
  }

  /** Members other than this node, each once, as they are found, at most MAX_FOUND_MEMBERS. Ends in time. */
  async *findMembers(space: string, { signal }: LookupOptions = {}): AsyncGenerator<PeerId, void, undefined> {
    const limited = timeLimit(limits.DHT_READ_TIMEOUT_MS, signal);
    const found = new Set([this.#node.id]);
    try {
      for await (const event of this.#node.dht.findProviders(membersCid(space), { signal: limited })) {
        if (event.name === 'QUERY_ERROR') this.#node.routing.suspect(event.from);
        if (event.name !== 'PROVIDER') continue;
        for (const { id, multiaddrs } of event.providers) {
          if (found.size > limits.MAX_FOUND_MEMBERS) return;
          if (found.has(id.toString())) continue;
          found.add(id.toString());
          await this.#node.learn(id, multiaddrs.map(String));
          yield id;
        }
      }
    } catch (error) {
      if (!limited.aborted) this.#logger.debug({ space, error }, 'looking for members ended early');
    }
  }

  /** Resolves with how many others took the provider record. */
  async #provide(space: string, ended: AbortSignal): Promise<number> {
    const signal = timeLimit(limits.DHT_WRITE_TIMEOUT_MS, ended);
    let holders = 0;
    try {
      for await (const event of this.#node.dht.provide(membersCid(space), { signal })) {
        if (event.name === 'QUERY_ERROR') this.#node.routing.suspect(event.from);
        if (event.name === 'PEER_RESPONSE' && event.messageName === 'ADD_PROVIDER') holders += 1;
      }
    } catch (error) {
      if (!signal.aborted) this.#logger.warn({ space, error }, 'announcing a space failed');
    }
    if (!this.#announced.has(space)) this.#forgetProvider(space);
    return holders;
  }

  /** The own record only: kad-dht would announce it again. */
  #forgetProvider(space: string): void {
    this.#node.dht
      .cancelReprovide(membersCid(space))
      .catch((error: unknown) => this.#logger.warn({ space, error }, 'withdrawing a space failed'));
  }

  // --- spaces ---

  /**
   * Stores a manifest beside the other claims of its name. Resolves with all of them, the earliest first: with more
   * than one, owners compete.
   */
  async putManifest(
    manifest: Sealed<SpaceManifest>,
    { signal }: LookupOptions = {},
  ): Promise<readonly Sealed<SpaceManifest>[]> {
    await this.#spaces.put(manifest, signal);
    return this.#spaces.claims(spaceKey(manifest.record.space));
  }

  /** As `findManifests`, of what this node knows without asking. */
  claimsOf(space: string): readonly Sealed<SpaceManifest>[] {
    return this.#spaces.claims(spaceKey(space));
  }

  /** All claims of the name, the earliest first, deleted spaces last; with an owner, its manifest alone. */
  async findManifests(
    space: string,
    { owner, signal }: LookupOptions & { readonly owner?: string | undefined } = {},
  ): Promise<readonly Sealed<SpaceManifest>[]> {
    const key = spaceKey(space);
    await this.#spaces.read(key, signal);
    return this.#spaces.claims(key).filter(({ record }) => owner === undefined || record.owner === owner);
  }

  /** The owner's manifest as it is in the DHT now, or was less than `maxAgeMs` ago. */
  async freshManifest(
    space: string,
    {
      owner,
      maxAgeMs,
      signal,
    }: { readonly owner: string; readonly maxAgeMs: number; readonly signal: AbortSignal },
  ): Promise<Sealed<SpaceManifest> | undefined> {
    const key = spaceKey(space);
    if (this.#spaces.holdersLately(key, maxAgeMs) === 0) {
      await this.#node.routing.recover(timeLimit(limits.DHT_RECOVERY_LIMIT_MS, signal));
      await this.#spaces.read(key, signal);
    }
    return this.#spaces.claims(key).find(({ record }) => record.owner === owner);
  }

  /** What is known of the owner's spaces by the name without asking anybody. */
  knownManifests(space: string, owner: string): readonly Sealed<SpaceManifest>[] {
    return this.#spaces.claims(spaceKey(space)).filter(({ record }) => record.owner === owner);
  }

  /** A claim that this node knows of from elsewhere, such as an earlier start. */
  learnManifest(manifest: Sealed<SpaceManifest>): void {
    this.#spaces.learn(manifest);
  }

  /**
   * Sees to it that the manifest stays in the DHT, until `releaseManifest`; an own one is renewed. `superseded`: the owner
   * has put a newer one there.
   */
  keepManifest(manifest: Sealed<SpaceManifest>, superseded: (by: Sealed<SpaceManifest>) => void): void {
    const { access, owner, space } = manifest.record;
    this.#spaces.learn(manifest);
    // The owner has just signed it: nobody holds it yet.
    const holders = owner === this.#node.id ? 0 : this.#spaces.holdersLately(spaceKey(space));
    const run = (signal: AbortSignal) => this.#tendManifest(manifest, superseded, signal);
    const periodMs = access === 'granted' ? limits.GRANTED_MANIFEST_PERIOD_MS : limits.MANIFEST_PERIOD_MS;
    this.#upkeep.begin(spaceIdOf(manifest.record), { periodMs, run }, holders);
  }

  releaseManifest(spaceId: string): void {
    this.#upkeep.end(spaceId);
  }

  async #tendManifest(
    kept: Sealed<SpaceManifest>,
    superseded: (by: Sealed<SpaceManifest>) => void,
    signal: AbortSignal,
  ): Promise<number> {
    const key = spaceKey(kept.record.space);
    const holders = await this.#spaces.read(key, signal);
    const known = this.#spaces.claims(key).find(({ record }) => record.owner === kept.record.owner) ?? kept;
    if (compareManifests(known.record, kept.record) < 0) superseded(known);
    const own = known.record.owner === this.#node.id && !known.record.deleted;
    const due = own && !this.#isFresh(known.record.expiresMs, limits.MANIFEST_VALIDITY_MS);
    if (!due && holders >= limits.ENOUGH_HOLDERS) return holders;
    return this.#spaces.put(due ? this.#renewed(known.record) : known, signal);
  }

  #renewed(record: SpaceManifest): Sealed<SpaceManifest> {
    const expiresMs = this.#clock() + limits.MANIFEST_VALIDITY_MS;
    return seal({ ...record, sequence: record.sequence + 1, expiresMs }, this.#node.privateKey);
  }

  // --- points ---

  /** Stores a definition. Resolves with the one that holds now, which is another's when that one is preferred. */
  async putPoint(record: Sealed<PointRecord>, { signal }: LookupOptions = {}): Promise<Sealed<PointRecord>> {
    await this.#points.put(record, signal);
    return this.#points.claims(keyOf(record.record))[0] ?? record;
  }

  /** The definition that holds, unless there is none or it is closed. */
  async findPoint(
    spaceId: string,
    name: string,
    { signal }: LookupOptions = {},
  ): Promise<Sealed<PointRecord> | undefined> {
    const key = pointKey(spaceId, name);
    await this.#points.read(key, signal);
    return this.#points.claims(key).find(({ record }) => !record.closed);
  }

  /**
   * Keeps a definition alive until `releasePoint` or `closePoint`: participants renew it in turn, and undo the close
   * of one that took itself for the last. `holds` is called with every other record that holds from then on: renewals,
   * and at last a deletion, or a definition that differs and is preferred; nothing is kept any more then.
   */
  keepPoint(sealed: Sealed<PointRecord>, holds: (sealed: Sealed<PointRecord>) => void): void {
    const { record } = sealed;
    this.#points.learn(sealed);
    const holders = record.author === this.#node.id ? 0 : this.#points.holdersLately(keyOf(record));
    const kept: KeptPoint = { record, holders, holds };
    const run = (signal: AbortSignal) => this.#tendPoint(kept, signal);
    this.#upkeep.begin(keyOf(record), { periodMs: limits.POINT_PERIOD_MS, run }, holders);
  }

  /** Keeps it alive no more, and lets it live while others do. */
  releasePoint(spaceId: string, name: string): void {
    this.#upkeep.end(pointKey(spaceId, name));
  }

  /** The last participant leaves: the name is free again. */
  async closePoint(spaceId: string, name: string, { signal }: LookupOptions = {}): Promise<void> {
    this.releasePoint(spaceId, name);
    const key = pointKey(spaceId, name);
    // Others may have renewed it since; only a later sequence closes it.
    await this.#points.read(key, signal);
    const [holding] = this.#points.claims(key);
    if (holding === undefined || holding.record.closed) return;
    await this.#points.put(this.#restated(holding.record, true), signal);
  }

  async #tendPoint(kept: KeptPoint, signal: AbortSignal): Promise<number> {
    const key = keyOf(kept.record);
    if (!this.#isWellKept(kept)) kept.holders = await this.#points.read(key, signal);
    if (signal.aborted) return 0;
    const isOurs = this.#follow(kept);
    if (!isOurs || this.#isWellKept(kept)) return kept.holders;
    // Too few hold it, or nobody has renewed it, or it was closed.
    const holding = this.#freshPoint(key) ?? this.#restated(this.#newestOf(key, kept.record), false);
    kept.holders = await this.#points.put(holding, signal);
    if (!signal.aborted) this.#follow(kept);
    return kept.holders;
  }

  /** Reports what holds by now; false when that is not to be kept. */
  #follow(kept: KeptPoint): boolean {
    const [holding] = this.#points.claims(keyOf(kept.record));
    if (holding === undefined || (holding.record.closed && !holding.record.deleted)) return true;
    const isOurs = sameDefinition(holding.record, kept.record) && !holding.record.deleted;
    const isNew = preferred(kept.record, holding.record) !== kept.record;
    kept.record = holding.record;
    if (!isOurs) this.releasePoint(holding.record.spaceId, holding.record.name);
    if (isNew) kept.holds(holding);
    return isOurs;
  }

  #isWellKept({ record, holders }: KeptPoint): boolean {
    const enough = Math.min(limits.ENOUGH_HOLDERS, this.#node.knows());
    return this.#freshPoint(keyOf(record)) !== undefined && holders >= enough;
  }

  /** The definition that holds, if anybody has renewed it not long ago. */
  #freshPoint(key: string): Sealed<PointRecord> | undefined {
    const [holding] = this.#points.claims(key);
    if (holding === undefined || holding.record.closed) return undefined;
    return this.#isFresh(holding.record.expiresMs, limits.POINT_VALIDITY_MS) ? holding : undefined;
  }

  #newestOf(key: string, record: PointRecord): PointRecord {
    const same = this.#points.claims(key).find((claim) => POINT_CLAIMS.sameClaim(claim.record, record));
    return same?.record ?? record;
  }

  #restated(record: PointRecord, closed: boolean): Sealed<PointRecord> {
    const expiresMs = this.#clock() + limits.POINT_VALIDITY_MS;
    const sequence = record.sequence + 1;
    return seal(
      { ...record, author: this.#node.id, sequence, expiresMs, closed, deleted: false },
      this.#node.privateKey,
    );
  }

  /** More than half of its time is left. */
  #isFresh(expiresMs: number, validityMs: number): boolean {
    return expiresMs - this.#clock() > validityMs / 2;
  }
}

function keyOf({ spaceId, name }: PointRecord): string {
  return pointKey(spaceId, name);
}

/** kad-dht finds providers by multihash; an identity hash would be stored and never found. */
function membersCid(space: string): CID {
  const hash = createHash('sha256').update('xspace-members').update(space).digest();
  return CID.createV1(raw.code, createDigest(SHA2_256, hash));
}
