import type { Logger } from '../overlay/index.js';
import {
  KNOWN_SPACES_INTERVAL_MS,
  MAX_KEPT_POINT_TOMBSTONES,
  MAX_KNOWN_MEMBERS,
  MAX_KNOWN_SPACES,
  MAX_POINTS_PER_MEMBER,
} from './limits.js';
import type { OverlayStore } from './overlay-store.js';
import type { Sealed, SpaceManifest } from './records.js';
import { open, spaceIdOf } from './records.js';

const PREFIX = '/spaces/';

/** A member as it was seen last; it may be gone or elsewhere by now. */
export interface KnownMember {
  readonly peer: string;
  /** Multiaddrs. */
  readonly addresses: readonly string[];
}

/** A space that this node is in, or was in when it stopped. */
interface KnownSpace {
  readonly manifest: Sealed<SpaceManifest>;
  /** Other members, those last seen first. */
  readonly members: readonly KnownMember[];
  /** Points that this node has aliases of, and when each was defined. */
  readonly points: ReadonlyMap<string, number>;
  /** Deletions of points as signed, in base64: whoever was away has to hear of them after a restart, too. */
  readonly deletions: readonly string[];
}

/** A space that this node is in, as far as it is remembered. */
export interface SpaceInUse {
  readonly name: string;
  readonly owner: string;
  readonly spaceId: string;
  readonly manifest: Sealed<SpaceManifest>;
  /** Live members other than this node. */
  readonly members: { readonly others: readonly KnownMember[] };
  /** When each point was defined that this node has aliases of. */
  readonly points: { readonly definedMs: ReadonlyMap<string, number> };
  /** Deletions of points as signed, the latest first. */
  readonly definitions: { readonly tombstones: readonly Uint8Array[] };
}

/**
 * The spaces that this node is in, and whom it met there, also in earlier starts: so it finds back when every seed is dead.
 * All of it is a hint. Who is a member, and whose a space is, is told by signed records alone.
 */
export class KnownSpaces {
  readonly #store: OverlayStore | undefined;
  readonly #logger: Logger;
  /** By space id, the least recently joined first. */
  readonly #known = new Map<string, KnownSpace>();
  readonly #inUse = new Map<string, SpaceInUse>();
  /** Points of earlier starts, by space id: those that are not joined again yet are not to be forgotten. */
  readonly #before = new Map<string, ReadonlyMap<string, number>>();
  #updatedMs = 0;

  constructor(store: OverlayStore | undefined, logger: Logger) {
    this.#store = store;
    this.#logger = logger;
  }

  /** Reads what earlier starts left. */
  async load(nowMs: number): Promise<readonly Sealed<SpaceManifest>[]> {
    if (this.#store === undefined) return [];
    for await (const { key, value } of this.#store.entries(PREFIX)) {
      try {
        const space = parse(value, nowMs);
        const spaceId = spaceIdOf(space.manifest.record);
        this.#known.set(spaceId, space);
        this.#before.set(spaceId, space.points);
      } catch (err) {
        this.#logger.warn({ err, entry: key.toString() }, 'a space that was known is forgotten');
        this.#store.delete(key.toString());
      }
    }
    return [...this.#known.values()].map(({ manifest }) => manifest);
  }

  /** Members of the spaces of a name; of one owner, where that is given. */
  members(name: string, owner: string | undefined): readonly KnownMember[] {
    return this.#named(name, owner).flatMap(({ members }) => members);
  }

  /** Owners of the spaces of a name that this node is or was in. */
  owners(name: string): readonly string[] {
    return this.#named(name, undefined).map(({ manifest }) => manifest.record.owner);
  }

  /** Warns when a space that was found by its name alone is another one than this node was in. */
  compare({ name, owner }: Pick<SpaceInUse, 'name' | 'owner'>): void {
    const before = this.owners(name);
    if (before.length === 0 || before.includes(owner)) return;
    const text = 'the space has another owner than the one by this name that this node was in';
    this.#logger.warn({ space: name, owner, before }, text);
  }

  /** When a point was defined that an earlier start of this node was in; undefined: that is not known. */
  definedMs(spaceId: string, point: string): number | undefined {
    return this.#before.get(spaceId)?.get(point);
  }

  /** Deletions of points that an earlier start of this node knew of, as signed. */
  deletions(spaceId: string): readonly Uint8Array[] {
    return (this.#known.get(spaceId)?.deletions ?? []).map((text) => Buffer.from(text, 'base64'));
  }

  /** This node has joined: the space is remembered until it is left. */
  joined(space: SpaceInUse): void {
    if (this.#inUse.get(space.spaceId) === space) return;
    this.#inUse.set(space.spaceId, space);
    this.#update(space);
  }

  /** The space was left for good. One that was never joined stays as it was: it may be joined yet. */
  left(space: SpaceInUse): void {
    if (this.#inUse.get(space.spaceId) !== space) return;
    this.#inUse.delete(space.spaceId);
    this.#forget(space.spaceId);
  }

  tick(nowMs: number): void {
    if (nowMs - this.#updatedMs < KNOWN_SPACES_INTERVAL_MS) return;
    this.#updatedMs = nowMs;
    this.update();
  }

  update(): void {
    for (const space of this.#inUse.values()) this.#update(space);
  }

  #update(space: SpaceInUse): void {
    const { spaceId, manifest } = space;
    const before = this.#known.get(spaceId);
    const after: KnownSpace = {
      manifest,
      members: lastSeenFirst(space.members.others, before?.members ?? []),
      points: bounded(space.points.definedMs, this.#before.get(spaceId)),
      deletions: space.definitions.tombstones
        .slice(0, MAX_KEPT_POINT_TOMBSTONES)
        .map((bytes) => Buffer.from(bytes).toString('base64')),
    };
    const value = serialized(after);
    if (before !== undefined && Buffer.compare(serialized(before), value) === 0) return;
    this.#known.delete(spaceId);
    this.#known.set(spaceId, after);
    this.#store?.put(PREFIX + spaceId, value);
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= MAX_KNOWN_SPACES) break;
      this.#forget(oldest);
    }
  }

  #forget(spaceId: string): void {
    this.#known.delete(spaceId);
    this.#before.delete(spaceId);
    this.#store?.delete(PREFIX + spaceId);
  }

  #named(name: string, owner: string | undefined): KnownSpace[] {
    return [...this.#known.values()].filter(
      ({ manifest: { record } }) => record.space === name && (owner === undefined || record.owner === owner),
    );
  }
}

/** Keeps the order of those that stay, so that little is news; then whoever is new, then those that are gone. */
function lastSeenFirst(live: readonly KnownMember[], before: readonly KnownMember[]): readonly KnownMember[] {
  const byPeer = new Map(live.map(({ peer, addresses }) => [peer, { peer, addresses }]));
  const known = new Set(before.map(({ peer }) => peer));
  const stay = before.flatMap(({ peer }) => byPeer.get(peer) ?? []);
  const come = [...byPeer.values()].filter(({ peer }) => !known.has(peer));
  const gone = before.filter(({ peer }) => !byPeer.has(peer));
  return [...stay, ...come, ...gone].slice(0, MAX_KNOWN_MEMBERS);
}

/** Those of now, and as many of before as there is room for. */
function bounded(
  now: ReadonlyMap<string, number>,
  before: ReadonlyMap<string, number> = new Map(),
): ReadonlyMap<string, number> {
  const rest = [...before].filter(([point]) => !now.has(point));
  return new Map([...now, ...rest].slice(0, MAX_POINTS_PER_MEMBER));
}

function serialized({ manifest, points, ...rest }: KnownSpace): Buffer {
  const envelope = Buffer.from(manifest.bytes).toString('base64');
  return Buffer.from(JSON.stringify({ manifest: envelope, points: [...points], ...rest }));
}

/** @throws Error when it is no such text; RecordError when the manifest is not right, or has expired */
function parse(value: Uint8Array, nowMs: number): KnownSpace {
  const found: unknown = JSON.parse(Buffer.from(value).toString());
  if (!isObject(found) || typeof found.manifest !== 'string' || !Array.isArray(found.members))
    throw new TypeError('no manifest and members');
  const manifest = open('space-manifest', Buffer.from(found.manifest, 'base64'), nowMs);
  const points = Array.isArray(found.points) ? found.points.map(parsePoint) : [];
  const deletions = Array.isArray(found.deletions) ? found.deletions.map(String) : [];
  return { manifest, members: found.members.map(parseMember), points: new Map(points), deletions };
}

function parsePoint(found: unknown): [string, number] {
  if (!Array.isArray(found) || typeof found[0] !== 'string' || typeof found[1] !== 'number')
    throw new TypeError('no point');
  return [found[0], found[1]];
}

function parseMember(found: unknown): KnownMember {
  if (!isObject(found) || typeof found.peer !== 'string' || !Array.isArray(found.addresses))
    throw new TypeError('no member');
  return { peer: found.peer, addresses: found.addresses.map(String) };
}

function isObject(value: unknown): value is { readonly [field: string]: unknown } {
  return typeof value === 'object' && value !== null;
}
