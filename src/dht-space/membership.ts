import { MAX_DEPARTED, MAX_MEMBERS } from './limits.js';
import type { MemberRecord, Sealed } from './records.js';
import { isLive } from './records.js';

/**
 * What a record was to those that are known:
 * - `new`: a member joined or came back
 * - `changed`: a newer record of a member known
 * - `left`: a member says that it left
 * - `known`: the record that is known already
 * - `stale`: a newer one is known, or it has expired
 * - `full`: there are MAX_MEMBERS live members, and this one is not taken in
 */
export type Applied = 'new' | 'changed' | 'left' | 'known' | 'stale' | 'full';

/** How new the record of a member is. */
export interface MemberVersion {
  readonly peer: string;
  readonly epoch: bigint;
  readonly sequence: number;
}

export interface Difference {
  /** Records that the other side lacks, those of members that left included. */
  readonly newer: readonly Sealed<MemberRecord>[];
  /** Peers of which the other side has a newer record. */
  readonly wanted: readonly string[];
}

/**
 * The members of one space as this node knows them: decisions only, without I/O or clock.
 *
 * Of two records of a peer the one with the higher sequence is newer, whatever the epoch: a member that starts again
 * goes on above the sequence that others remember of it. With equal sequences the higher epoch is newer. So two nodes
 * that have seen the same records, in any order, know the same.
 *
 * Whoever is gone is remembered until its record expires, so that an older record on its way does not bring it back.
 */
export class Membership {
  readonly #spaceId: string;
  readonly #live = new Map<string, Sealed<MemberRecord>>();
  /** Those that left, and those that this node found dead, the longest gone first. */
  readonly #departed = new Map<string, Sealed<MemberRecord>>();

  constructor(spaceId: string) {
    this.#spaceId = spaceId;
  }

  /** Takes in a verified record. @throws TypeError when it is of another space */
  apply(sealed: Sealed<MemberRecord>, now: number): Applied {
    const { record } = sealed;
    if (record.spaceId !== this.#spaceId) throw new TypeError('a member record of another space');
    if (!isLive(record, now)) return 'stale';
    const known = this.#recordOf(record.peer);
    const order = known === undefined ? 1 : compareVersions(record, known);
    if (order <= 0) return order === 0 ? 'known' : 'stale';
    if (record.left) {
      this.#depart(record.peer, sealed);
      return 'left';
    }
    const wasLive = this.#live.has(record.peer);
    if (!wasLive && this.#live.size >= MAX_MEMBERS) return 'full';
    this.#departed.delete(record.peer);
    this.#live.set(record.peer, sealed);
    return wasLive ? 'changed' : 'new';
  }

  /** Whether these are the octets of a record known: nothing new, and verified before. */
  holds(bytes: Uint8Array): boolean {
    for (const records of [this.#live, this.#departed]) {
      for (const sealed of records.values()) if (Buffer.compare(sealed.bytes, bytes) === 0) return true;
    }
    return false;
  }

  /** The versions of all records known, for another member to compare. */
  digest(now: number): readonly MemberVersion[] {
    const known = [...this.#live.values(), ...this.#departed.values()].filter(({ record }) =>
      isLive(record, now),
    );
    return known.map(({ record: { peer, epoch, sequence } }) => ({ peer, epoch, sequence }));
  }

  /** What two members have to exchange, given the digest of the other one. */
  difference(digest: readonly MemberVersion[], now: number): Difference {
    const theirs = new Map(digest.map((version) => [version.peer, version]));
    const newer = this.#told(now).filter(({ record }) => {
      const version = theirs.get(record.peer);
      return version === undefined || compareVersions(record, version) > 0;
    });
    const wanted = [...theirs.values()].filter((version) => {
      const known = this.#recordOf(version.peer);
      return known === undefined || compareVersions(version, known) > 0;
    });
    return { newer, wanted: wanted.map(({ peer }) => peer) };
  }

  /** Forgets what has expired. The ids of those that were live members until now. */
  expire(now: number): readonly string[] {
    for (const [peer, { record }] of this.#departed) if (!isLive(record, now)) this.#departed.delete(peer);
    const gone = [...this.#live.values()].filter(({ record }) => !isLive(record, now));
    for (const { record } of gone) this.#live.delete(record.peer);
    return gone.map(({ record }) => record.peer);
  }

  /** A linked member fell silent: it is gone until a newer record of it arrives or `markAlive`. False when it was no live member. */
  markDead(peer: string, now: number): boolean {
    const sealed = this.#live.get(peer);
    if (sealed === undefined) return false;
    this.#depart(peer, sealed);
    return isLive(sealed.record, now);
  }

  /** As if the peer had never been known. */
  forget(peer: string): void {
    this.#live.delete(peer);
    this.#departed.delete(peer);
  }

  /** A link to a peer that fell silent is back: so is the member. False when it left, or is not known. */
  markAlive(peer: string, now: number): boolean {
    const sealed = this.#departed.get(peer);
    if (sealed === undefined || sealed.record.left || !isLive(sealed.record, now)) return false;
    if (this.#live.size >= MAX_MEMBERS) return false;
    this.#departed.delete(peer);
    this.#live.set(peer, sealed);
    return true;
  }

  /** The record of a live member. */
  get(peer: string, now: number): MemberRecord | undefined {
    const record = this.#live.get(peer)?.record;
    return record !== undefined && isLive(record, now) ? record : undefined;
  }

  members(now: number): readonly MemberRecord[] {
    return [...this.#live.values()].map(({ record }) => record).filter((record) => isLive(record, now));
  }

  withPoint(point: string, now: number): readonly MemberRecord[] {
    return this.members(now).filter(({ points }) => points.includes(point));
  }

  #depart(peer: string, sealed: Sealed<MemberRecord>): void {
    this.#live.delete(peer);
    this.#departed.delete(peer);
    this.#departed.set(peer, sealed);
    if (this.#departed.size <= MAX_DEPARTED) return;
    for (const longestGone of this.#departed.keys()) {
      this.#departed.delete(longestGone);
      break;
    }
  }

  /** What is handed on. Not the dead, or newcomers would dial them; who can still reach them tells of them. */
  #told(now: number): Sealed<MemberRecord>[] {
    const left = [...this.#departed.values()].filter(({ record }) => record.left);
    return [...this.#live.values(), ...left].filter(({ record }) => isLive(record, now));
  }

  #recordOf(peer: string): MemberRecord | undefined {
    return (this.#live.get(peer) ?? this.#departed.get(peer))?.record;
  }
}

function compareVersions(a: MemberVersion, b: MemberVersion): number {
  if (a.sequence !== b.sequence) return a.sequence - b.sequence;
  return a.epoch === b.epoch ? 0 : Number(a.epoch > b.epoch) * 2 - 1;
}
