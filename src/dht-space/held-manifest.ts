import type { Ed25519PrivateKey } from '@libp2p/interface';
import { MANIFEST_VALIDITY_MS } from './limits.js';
import type { Sealed, SpaceManifest } from './records.js';
import { openIfUsable, RecordError, seal, spaceIdOf } from './records.js';

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

  /** The owner says something else from now on. */
  restate(
    changes: Partial<Pick<SpaceManifest, 'deleted' | 'revocations'>>,
    nowMs: number,
    key: Ed25519PrivateKey,
  ): Sealed<SpaceManifest> {
    const { record } = this.#sealed;
    const times = { sequence: record.sequence + 1, expiresMs: nowMs + MANIFEST_VALIDITY_MS };
    const sealed = seal({ ...record, ...times, ...changes }, key);
    this.replace(sealed);
    return sealed;
  }

  /** One that is no newer changes nothing. */
  replace(sealed: Sealed<SpaceManifest>): void {
    if (sealed.record.sequence <= this.#sealed.record.sequence) return;
    this.#sealed = sealed;
    this.#changed();
  }
}
