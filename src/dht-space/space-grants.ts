import { SpaceError } from '../overlay/index.js';
import { Authority } from './authority.js';
import type { Grant } from './grant.js';
import { MAX_GRANTS_PER_MEMBER } from './limits.js';
import { PointAccess } from './point-access.js';
import type { MemberRecord, PointRecord, Revocation, SpaceManifest } from './records.js';
import type { Refusals } from './refusals.js';

export interface SpaceGrantsOptions {
  /** This node's peer id. */
  readonly self: string;
  readonly now: () => number;
  readonly refusals: Refusals;
  /** What another member shows. */
  readonly tokensOf: (peer: string) => readonly string[];
}

/** Somebody whose grants in force have changed, and why nothing is left of them. */
export interface Reviewed {
  readonly peer: string;
  readonly shutOut: string | undefined;
}

/** What this node and its peers may do in one space. In an open one that is everything, and costs nothing. */
export class SpaceGrants {
  readonly refusals: Refusals;
  readonly #owner: string;
  readonly #self: string;
  readonly #authority: Authority | undefined;
  readonly #tokensOf: (peer: string) => readonly string[];
  /** What this node shows. */
  #own: readonly string[] = [];
  #rendezvous: string | undefined;

  constructor({ space, owner, access, revocations = [] }: SpaceManifest, options: SpaceGrantsOptions) {
    this.refusals = options.refusals;
    this.#owner = owner;
    this.#self = options.self;
    this.#tokensOf = options.tokensOf;
    if (access === 'open') return;
    this.#authority = new Authority({ name: space, owner }, options.now);
    this.#authority.revoke(revocations);
  }

  /** Whether there is anything to check. */
  get isGranted(): boolean {
    return this.#authority !== undefined;
  }

  /** What this node shows to the other members; the owner needs nothing. */
  get own(): readonly string[] {
    return this.#own;
  }

  /** The secret of the members, which this node has from its grant; undefined in open spaces. */
  get rendezvous(): string | undefined {
    return this.#rendezvous;
  }

  get revocations(): readonly Revocation[] {
    return this.#authority?.revocations ?? [];
  }

  /** False when that is nothing new. */
  revoke(revocations: readonly Revocation[]): boolean {
    return this.#authority?.revoke(revocations) ?? false;
  }

  /**
   * Shows a grant from now on. False when it was shown before, or need not be.
   *
   * @throws GrantError when there is none, or it does not count in this space
   */
  present(grant: Grant | undefined): boolean {
    if (this.#authority === undefined) return false;
    if (grant === undefined) throw this.#authority.problem(this.#own, this.#self);
    const { token, claims } = grant;
    this.#authority.check(token, this.#self);
    this.#rendezvous = claims.rendezvous;
    if (this.#owner === this.#self || this.#own.includes(token)) return false;
    const before = this.#own.filter((one) => this.#authority?.counts(one, this.#self));
    this.#own = [...before, token].slice(-MAX_GRANTS_PER_MEMBER);
    return true;
  }

  /** Whether this node could show the grant. */
  counts({ token, claims }: Grant): boolean {
    return this.#authority?.counts(token, claims.subject) ?? false;
  }

  /** @throws GrantError when the peer is not let in by it */
  check(token: string, peer: string): void {
    this.#authority?.check(token, peer);
  }

  /** Whether this may be the record of a member. */
  admits({ peer, grants = [] }: MemberRecord): boolean {
    if (this.#authority === undefined || this.#authority.admits(grants, peer)) return true;
    this.refusals.add('member', { peer, cause: this.#authority.problem(grants, peer).message });
    return false;
  }

  /** Whether the member, by what it shows, may be told what goes on in the space. */
  isOpenTo(peer: string): boolean {
    return this.#authority?.admits(this.#tokensOf(peer), peer) ?? true;
  }

  accessOf(peer: string, point: string): PointAccess {
    return this.#authority?.access(this.#shownBy(peer), peer, point) ?? PointAccess.everything;
  }

  /** Why this node may not do something at the point. */
  refusal(point: string, what: string): SpaceError {
    const problem = this.#authority?.problem(this.#own, this.#self, { point, what });
    return new SpaceError('refused', problem?.message ?? `point '${point}': this node may not ${what}`);
  }

  /** Whether the author of a definition may say what it says. */
  mayDefine(record: PointRecord): boolean {
    if (this.#authority === undefined || this.#authority.mayDefine(record)) return true;
    const { author: peer, name: point, deleted } = record;
    const cause = `no grant that counts to ${deleted ? 'delete' : 'define'} it`;
    this.refusals.add('definition', { peer, point, cause });
    return false;
  }

  /** The same of one that was taken in before. */
  stillDefines(record: PointRecord): boolean {
    return this.#authority?.mayDefine(record) ?? true;
  }

  /** Whether this node's word is to take the place of the author's, who may lose its right: that of the owner lasts. */
  outlasts({ deleted, author }: PointRecord): boolean {
    return this.isGranted && deleted && this.#owner === this.#self && author !== this.#self;
  }

  /** A definition with what lets this node sign it; undefined where it may not. */
  authorised({ grant: _, ...record }: PointRecord): PointRecord | undefined {
    if (this.#authority === undefined || this.#owner === this.#self) return record;
    const grant = this.#authority.toDefine(this.#own, this.#self, record);
    return grant === undefined ? undefined : { ...record, grant };
  }

  /** Whose grants in force are others than before. */
  review(): readonly Reviewed[] {
    const authority = this.#authority;
    if (authority === undefined) return [];
    return authority.review().map((peer) => {
      const tokens = this.#shownBy(peer);
      if (authority.admits(tokens, peer)) return { peer, shutOut: undefined };
      authority.forget(peer);
      return { peer, shutOut: authority.problem(tokens, peer).message };
    });
  }

  #shownBy(peer: string): readonly string[] {
    return peer === this.#self ? this.#own : this.#tokensOf(peer);
  }
}
