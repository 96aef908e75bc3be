import type { Logger } from '../overlay/index.js';
import { KNOWN_SPACES_INTERVAL_MS, MAX_KNOWN_MEMBERS, MAX_KNOWN_SPACES } from './limits.js';
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
}

/** A space that this node is in, as far as it is remembered. */
export interface SpaceInUse {
  readonly name: string;
  readonly owner: string;
  readonly spaceId: string;
  readonly manifest: Sealed<SpaceManifest>;
  /** Live members other than this node. */
  readonly members: { readonly others: readonly KnownMember[] };
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
        const { space: name, owner } = space.manifest.record;
        this.#known.set(spaceIdOf(name, owner), space);
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

function serialized({ manifest, members }: KnownSpace): Buffer {
  const envelope = Buffer.from(manifest.bytes).toString('base64');
  return Buffer.from(JSON.stringify({ manifest: envelope, members }));
}

/** @throws Error when it is no such text; RecordError when the manifest is not right, or has expired */
function parse(value: Uint8Array, nowMs: number): KnownSpace {
  const found: unknown = JSON.parse(Buffer.from(value).toString());
  if (!isObject(found) || typeof found.manifest !== 'string' || !Array.isArray(found.members))
    throw new TypeError('no manifest and members');
  const manifest = open('space-manifest', Buffer.from(found.manifest, 'base64'), nowMs);
  return { manifest, members: found.members.map(parseMember) };
}

function parseMember(found: unknown): KnownMember {
  if (!isObject(found) || typeof found.peer !== 'string' || !Array.isArray(found.addresses))
    throw new TypeError('no member');
  return { peer: found.peer, addresses: found.addresses.map(String) };
}

function isObject(value: unknown): value is { readonly [field: string]: unknown } {
  return typeof value === 'object' && value !== null;
}
