import type { Grant } from './grant.js';
import { assertInForce, readGrant } from './grant.js';
import type { GrantErrorCode } from './grant-claims.js';
import { GrantError } from './grant-claims.js';
import {
  GRANT_CLOCK_SKEW_MS,
  MAX_GRANTS_PER_MEMBER,
  MAX_POINTS_PER_LINK,
  MAX_READ_GRANTS,
  MAX_REVOCATIONS,
} from './limits.js';
import { PointAccess } from './point-access.js';
import type { PointRecord, Revocation } from './records.js';

/** What one holder shows, and what of it is in force. */
interface Holder {
  readonly tokens: readonly string[];
  readonly grants: readonly Grant[];
  readonly points: Map<string, PointAccess>;
}

/** What a grant has to be for. */
export interface GrantedSpace {
  readonly name: string;
  /** Peer id. */
  readonly owner: string;
}

/** Who may do what in a granted space: decided offline, by what members show and what the owner has revoked. */
export class Authority {
  readonly #space: GrantedSpace;
  readonly #now: () => number;
  /** By token: verifying costs far more than looking up. */
  readonly #read = new Map<string, Grant>();
  /** When each would have ended. */
  readonly #revoked = new Map<string, number>();
  readonly #isRevoked = (id: string) => this.#revoked.has(id);
  readonly #holders = new Map<string, Holder>();

  constructor(space: GrantedSpace, now: () => number) {
    this.#space = space;
    this.#now = now;
  }

  get revocations(): readonly Revocation[] {
    return [...this.#revoked].map(([grant, expiresMs]) => ({ grant, expiresMs }));
  }

  /** The owner's word: grants that count no more. False when there is nothing new. */
  revoke(revocations: readonly Revocation[]): boolean {
    const before = this.#revoked.size;
    for (const { grant, expiresMs } of revocations) {
      if (this.#revoked.size < MAX_REVOCATIONS) this.#revoked.set(grant, expiresMs);
    }
    return this.#revoked.size > before;
  }

  /**
   * The grant, if this peer may use it in this space now.
   *
   * @throws GrantError
   */
  check(token: string, peer: string): Grant {
    const known = this.#read.get(token);
    const grant = known ?? readGrant(token);
    const { id, space, owner, subject } = grant.claims;
    if (space !== this.#space.name || owner !== this.#space.owner) {
      const text = `grant ${id} is for space '${space}' of ${owner}, not for '${this.#space.name}' of ${this.#space.owner}`;
      throw new GrantError('foreign', text);
    }
    if (known === undefined) this.#keep(grant);
    if (subject !== peer)
      throw new GrantError('other-holder', `grant ${id} is for ${subject}, not for ${peer}`);
    assertInForce(grant, this.#now(), this.#isRevoked);
    return grant;
  }

  counts(token: string, peer: string): boolean {
    try {
      this.check(token, peer);
      return true;
    } catch {
      return false;
    }
  }

  /** Whether any of the grants lets the peer be a member. */
  admits(tokens: readonly string[], peer: string): boolean {
    return peer === this.#space.owner || this.#holder(tokens, peer).grants.length > 0;
  }

  /** What the peer may do at the point with these grants. */
  access(tokens: readonly string[], peer: string, point: string): PointAccess {
    if (peer === this.#space.owner) return PointAccess.everything;
    const { grants, points } = this.#holder(tokens, peer);
    const known = points.get(point);
    if (known !== undefined) return known;
    const access = PointAccess.of(grants, point);
    if (points.size >= MAX_POINTS_PER_LINK) points.clear();
    points.set(point, access);
    return access;
  }

  /** Why none of the grants gives what is asked for, for people. `wanted`: a point, and what is to be done there. */
  problem(tokens: readonly string[], peer: string, wanted?: { point: string; what: string }): GrantError {
    const codes = new Map<GrantErrorCode, GrantError>();
    for (const token of tokens) {
      try {
        const { claims } = this.check(token, peer);
        if (wanted === undefined) continue;
        codes.set('too-narrow', new GrantError('too-narrow', tooNarrow(claims, wanted)));
      } catch (error) {
        if (error instanceof GrantError) codes.set(error.code, error);
      }
    }
    const [first] = [codes.get('too-narrow'), ...codes.values()].filter((error) => error !== undefined);
    const missing = `space '${this.#space.name}' of ${this.#space.owner} is granted, and no grant for it was given`;
    return first ?? new GrantError('missing', missing);
  }

  /** Whether the author of a definition may say what it says. */
  mayDefine({ author, grant, name, deleted }: PointRecord): boolean {
    if (author === this.#space.owner) return true;
    if (grant === undefined) return false;
    try {
      const access = PointAccess.of([this.check(grant, author)], name);
      return deleted ? access.mayAdminister : access.mayDefine;
    } catch {
      return false;
    }
  }

  /** The one of the grants that lets its holder define the point, or delete it. */
  toDefine(tokens: readonly string[], peer: string, record: PointRecord): string | undefined {
    return tokens.find((token) => this.mayDefine({ ...record, author: peer, grant: token }));
  }

  /** Those whose grants in force are others than before: some have expired, were revoked, or their time has come. */
  review(): readonly string[] {
    const nowMs = this.#now();
    for (const [id, expiresMs] of this.#revoked) {
      if (nowMs > expiresMs + 2 * GRANT_CLOCK_SKEW_MS) this.#revoked.delete(id);
    }
    const changed: string[] = [];
    for (const [peer, { tokens, grants }] of this.#holders) {
      const now = this.#inForce(tokens, peer);
      if (now.length === grants.length && now.every((grant, index) => grant === grants[index])) continue;
      this.#holders.set(peer, { tokens, grants: now, points: new Map() });
      changed.push(peer);
    }
    return changed;
  }

  forget(peer: string): void {
    this.#holders.delete(peer);
  }

  #holder(tokens: readonly string[], peer: string): Holder {
    const known = this.#holders.get(peer);
    if (known?.tokens === tokens) return known;
    const holder = { tokens, grants: this.#inForce(tokens, peer), points: new Map() };
    // Strangers are not remembered.
    if (holder.grants.length > 0) this.#holders.set(peer, holder);
    return holder;
  }

  #inForce(tokens: readonly string[], peer: string): readonly Grant[] {
    return tokens.slice(0, MAX_GRANTS_PER_MEMBER).flatMap((token) => {
      try {
        return [this.check(token, peer)];
      } catch {
        return [];
      }
    });
  }

  /** Only what the owner has signed in the end is kept: nobody else can fill the table. */
  #keep(grant: Grant): void {
    for (const earliest of this.#read.keys()) {
      if (this.#read.size < MAX_READ_GRANTS) break;
      this.#read.delete(earliest);
    }
    this.#read.set(grant.token, grant);
  }
}

function tooNarrow(
  { id, points, rights, routingKeys }: Grant['claims'],
  { point, what }: { readonly point: string; readonly what: string },
): string {
  const gives = `${rights.join(', ')} at ${points.join(', ')}, routing keys ${routingKeys.join(', ')}`;
  return `grant ${id} is too narrow to ${what} at point '${point}': it gives ${gives}`;
}
