import type { Ed25519PrivateKey } from '@libp2p/interface';
import { MANIFEST_VALIDITY_MS } from './limits.js';
import type { Revocation, Sealed, SpaceManifest } from './records.js';
import { compareManifests, openIfUsable, RecordError, seal } from './records.js';

/** What the owner of a space has signed last, as far as a member knows. */
export class HeldManifest {
  readonly #changed: () => void;
  readonly #forgotten: (revocations: readonly Revocation[]) => void;
  #sealed: Sealed<SpaceManifest>;
  /** Of a later generation. */
  #successor: Sealed<SpaceManifest> | undefined;

  /**
   * `changed`: there is a newer one. `forgotten`: these were revoked in an older one, and are not in the one known: an owner
   * that started again may have lost them.
   */
  constructor(
    sealed: Sealed<SpaceManifest>,
    changed: () => void,
    forgotten: (revocations: readonly Revocation[]) => void,
  ) {
    this.#sealed = sealed;
    this.#changed = changed;
    this.#forgotten = forgotten;
  }

  get sealed(): Sealed<SpaceManifest> {
    return this.#sealed;
  }

  /** The owner's word that the space was deleted, or that there is another one by its name now; undefined: it was not. */
  get tombstone(): Sealed<SpaceManifest> | undefined {
    return this.#successor ?? (this.#sealed.record.deleted ? this.#sealed : undefined);
  }

  /**
   * False when it is of another generation: what else is said beside it is not about this space. `outdated` is called
   * when a later one is known.
   *
   * @throws RecordError when it is no signed manifest of a space of this name and owner
   */
  learn(bytes: Uint8Array, nowMs: number, outdated: () => void = () => {}): boolean {
    if (Buffer.compare(this.#sealed.bytes, bytes) === 0) return true;
    const sealed = openIfUsable('space-manifest', bytes, nowMs);
    if (sealed === undefined) return true;
    const { space, owner } = this.#sealed.record;
    if (sealed.record.space !== space || sealed.record.owner !== owner)
      throw new RecordError('foreign', 'a manifest of another space');
    if (!this.replace(sealed)) outdated();
    return sealed.record.generation === this.#sealed.record.generation;
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

  /** False for one that is older, which changes nothing, as one that says the same does. */
  replace(sealed: Sealed<SpaceManifest>): boolean {
    const known = this.#successor ?? this.#sealed;
    const order = compareManifests(sealed.record, known.record);
    if (order > 0) this.#compare(sealed.record, known.record);
    if (order >= 0) return order === 0;
    if (sealed.record.generation === this.#sealed.record.generation) this.#sealed = sealed;
    else this.#successor = sealed;
    this.#changed();
    return true;
  }

  #compare(older: SpaceManifest, known: SpaceManifest): void {
    if (older.generation !== known.generation) return;
    const still = new Set(known.revocations?.map(({ grant }) => grant));
    const forgotten = older.revocations?.filter(({ grant }) => !still.has(grant)) ?? [];
    if (forgotten.length > 0) this.#forgotten(forgotten);
  }
}
