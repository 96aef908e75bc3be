import type { Claim } from './claims.js';
import { mergeClaims, POINT_CLAIMS } from './claims.js';
import { MAX_POINT_TOMBSTONES, MAX_POINTS_PER_SPACE } from './limits.js';
import type { PointRecord } from './records.js';
import { isLive } from './records.js';

export type PointClaim = Claim<'point-record'>;

/**
 * All that is known of the points of one space, without I/O or clock. Of each name it keeps all claims, also those that
 * do not hold: so members that have seen the same records, in any order, hold the same.
 */
export class PointClaims {
  /** By name: the claim that holds first, the deletion of what was before them last. */
  readonly #claims = new Map<string, readonly PointClaim[]>();
  /** What holds since lately, by name. */
  readonly #changed = new Map<string, PointClaim>();

  get all(): readonly PointClaim[] {
    return [...this.#claims.values()].flat();
  }

  /** What holds for its name since this was asked last. */
  takeChanged(): readonly PointClaim[] {
    const changed = [...this.#changed.values()];
    this.#changed.clear();
    return changed;
  }

  /** Definitions that hold, and deletions. */
  get inForce(): readonly PointRecord[] {
    return [...this.#claims.values()].flatMap((claims) => {
      const records = claims.map(({ record }) => record);
      return records.filter(({ closed, deleted }, index) => deleted || (index === 0 && !closed));
    });
  }

  of(name: string): readonly PointClaim[] {
    return this.#claims.get(name) ?? [];
  }

  holding(name: string): PointRecord | undefined {
    return this.#claims.get(name)?.[0]?.record;
  }

  /** When the name was deleted last; undefined: never, as far as is known. */
  deletedMs(name: string): number | undefined {
    const last = this.of(name).at(-1)?.record;
    return last?.deleted ? last.createdMs : undefined;
  }

  /** False for what says nothing new, or is over the limits. */
  add(claim: PointClaim): boolean {
    const { name, deleted } = claim.record;
    const before = this.of(name);
    const after = mergeClaims(POINT_CLAIMS, [...before, claim]);
    if (!after.includes(claim) || !(deleted || before.some(isPoint) || this.#hasRoom())) return false;
    this.#replace(name, after);
    if (deleted) this.#forgetTombstones();
    return this.of(name).includes(claim);
  }

  remove(claim: PointClaim): void {
    const { name } = claim.record;
    const rest = this.of(name).filter((other) => other !== claim);
    this.#replace(name, rest);
  }

  /** Forgets what has run out; `isKept`: what holds for the name goes on all the same. */
  expire(nowMs: number, isKept: (name: string) => boolean): void {
    for (const [name, claims] of this.#claims) {
      if (claims.every(({ record }) => isLive(record, nowMs))) continue;
      const kept = isKept(name) ? claims[0] : undefined;
      this.#replace(
        name,
        claims.filter((claim) => claim === kept || isLive(claim.record, nowMs)),
      );
    }
  }

  #replace(name: string, after: readonly PointClaim[]): void {
    const [before] = this.of(name);
    const [holding] = after;
    if (holding === undefined) this.#claims.delete(name);
    else this.#claims.set(name, after);
    if (holding !== undefined && holding !== before) this.#changed.set(name, holding);
  }

  /** Deletions are no points: they have a limit of their own. */
  #hasRoom(): boolean {
    if (this.#claims.size < MAX_POINTS_PER_SPACE) return true;
    return [...this.#claims.values()].filter((claims) => claims.some(isPoint)).length < MAX_POINTS_PER_SPACE;
  }

  /** Those of the longest ago, which are the same ones at all members. */
  #forgetTombstones(): void {
    if (this.#claims.size <= MAX_POINT_TOMBSTONES) return;
    const tombstones = this.all.filter(({ record }) => record.deleted);
    tombstones.sort(
      ({ record: a }, { record: b }) => b.createdMs - a.createdMs || (a.name < b.name ? -1 : 1),
    );
    for (const tombstone of tombstones.slice(MAX_POINT_TOMBSTONES)) this.remove(tombstone);
  }
}

function isPoint({ record }: PointClaim): boolean {
  return !record.deleted;
}
