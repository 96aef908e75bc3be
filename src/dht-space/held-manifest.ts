import type { Sealed, SpaceManifest } from './records.js';
import { openIfUsable, RecordError, spaceIdOf } from './records.js';

/** What the owner of a space has signed last, as far as a member knows. */
export class HeldManifest {
  readonly #spaceId: string;
  readonly #changed: () => void;
  #sealed: Sealed<SpaceManifest>;

  /** `changed`: there is a newer one. */
  constructor(sealed: Sealed<SpaceManifest>, changed: () => void) {
    this.#sealed = sealed;
    this.#spaceId = spaceIdOf(sealed.record.space, sealed.record.owner);
    this.#changed = changed;
  }

  get sealed(): Sealed<SpaceManifest> {
    return this.#sealed;
  }

  /** The owner's word that the space was deleted; undefined: it was not. */
  get tombstone(): Sealed<SpaceManifest> | undefined {
    return this.#sealed.record.deleted ? this.#sealed : undefined;
  }

  /** @throws RecordError when it is no signed manifest of this space */
  learn(bytes: Uint8Array, nowMs: number): void {
    if (Buffer.compare(this.#sealed.bytes, bytes) === 0) return;
    const sealed = openIfUsable('space-manifest', bytes, nowMs);
    if (sealed === undefined) return;
    const { space, owner } = sealed.record;
    if (spaceIdOf(space, owner) !== this.#spaceId)
      throw new RecordError('malformed', 'a manifest of another space');
    this.replace(sealed);
  }

  /** One that is no newer changes nothing. */
  replace(sealed: Sealed<SpaceManifest>): void {
    if (sealed.record.sequence <= this.#sealed.record.sequence) return;
    this.#sealed = sealed;
    this.#changed();
  }
}
