import type { Directory } from './directory.js';
import { MANIFEST_FRESH_MS, MANIFEST_READ_LIMIT_MS } from './limits.js';
import type { Links } from './links.js';
import { timeLimit } from './time-limit.js';
import type { FoundSpace } from './wire/control.js';

/** A space that this node is in, as far as its owner's word is concerned. */
export interface OwnedSpace {
  readonly name: string;
  readonly owner: string;
  readonly spaceId: string;
  /** This node's peer id. */
  readonly self: string;
  readonly grants: { readonly isGranted: boolean };
  /** @throws RecordError when it is no signed manifest of the space */
  learn(found: FoundSpace): void;
}

/**
 * Whether this node has heard what the owners of its granted spaces have revoked. While it is linked to any other member, it
 * is told. A member that was without links, or has just started, asks the DHT before it lets anybody in.
 */
export class Freshness {
  readonly #directory: Directory;
  readonly #links: Links;
  /** By space id. */
  readonly #asking = new Map<string, Promise<void>>();

  constructor({ directory, links }: { readonly directory: Directory; readonly links: Links }) {
    this.#directory = directory;
    this.#links = links;
  }

  /**
   * Resolves when the DHT was asked about each of the spaces, or did not answer in time; undefined where nobody has to be
   * asked. Never rejects.
   */
  of(...spaces: readonly OwnedSpace[]): Promise<void> | undefined {
    const asking = spaces.flatMap((space) => {
      const awayMs = this.#awayMs(space);
      return awayMs === 0 ? [] : [this.#ask(space, awayMs)];
    });
    return asking.length === 0 ? undefined : Promise.all(asking).then(() => {});
  }

  /** How long nobody has told this node anything; 0 while it cannot have missed anything. */
  #awayMs({ grants, owner, self, spaceId }: OwnedSpace): number {
    // The owner has the last word itself.
    if (!grants.isGranted || owner === self) return 0;
    let awayMs = Number.POSITIVE_INFINITY;
    for (const link of this.#links) {
      if (!link.spaces.has(spaceId)) continue;
      if (link.session !== undefined) return 0;
      if (link.wasOpen) awayMs = Math.min(awayMs, link.downMs(this.#links.now()));
    }
    return Math.max(1, awayMs);
  }

  /** Whoever asks while it is asked waits for the same answer. */
  #ask(space: OwnedSpace, awayMs: number): Promise<void> {
    const asking = this.#asking.get(space.spaceId) ?? this.#read(space, Math.min(awayMs, MANIFEST_FRESH_MS));
    this.#asking.set(space.spaceId, asking);
    return asking;
  }

  async #read(space: OwnedSpace, maxAgeMs: number): Promise<void> {
    const { name, owner, spaceId } = space;
    const signal = timeLimit(MANIFEST_READ_LIMIT_MS);
    const manifest = await this.#directory.freshManifest(name, { owner, maxAgeMs, signal });
    this.#asking.delete(spaceId);
    if (manifest !== undefined) space.learn({ manifest: manifest.bytes, members: [], points: [] });
  }
}
