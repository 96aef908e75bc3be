import { MAX_TOMBSTONES } from './limits.js';
import type { Sealed, SpaceManifest } from './records.js';
import { isLive } from './records.js';

/**
 * Spaces that were deleted while this node was in them. Whoever was cut off at that moment comes back as a member, and
 * is shown what its owner has signed.
 */
export class Tombstones {
  /** By space id, the newest last. */
  readonly #manifests = new Map<string, Sealed<SpaceManifest>>();

  /** With too many, the oldest goes. */
  keep(spaceId: string, manifest: Sealed<SpaceManifest>): void {
    this.#manifests.delete(spaceId);
    this.#manifests.set(spaceId, manifest);
    for (const oldest of this.#manifests.keys()) {
      if (this.#manifests.size <= MAX_TOMBSTONES) return;
      this.#manifests.delete(oldest);
    }
  }

  /** The owner's word that there is no such space any more; undefined: none that counts today. */
  find(spaceId: string, nowMs: number): Sealed<SpaceManifest> | undefined {
    const manifest = this.#manifests.get(spaceId);
    return manifest !== undefined && isLive(manifest.record, nowMs) ? manifest : undefined;
  }

  /** The space is there again. */
  lift(spaceId: string): void {
    this.#manifests.delete(spaceId);
  }
}
