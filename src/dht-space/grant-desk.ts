import type { Ed25519PrivateKey } from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import type { Grant } from './grant.js';
import { assertInForce, readGrant } from './grant.js';
import { GrantBook } from './grant-book.js';
import { GrantError } from './grant-claims.js';
import type { GrantTerms } from './grant-issue.js';
import { delegateGrant, issueGrant, redeem } from './grant-issue.js';
import { loadIdentity } from './identity.js';
import { MAX_REVOCATIONS } from './limits.js';
import type { Revocation } from './records.js';

/** A grant as a list shows it. */
export interface ListedGrant {
  readonly id: string;
  readonly space: string;
  readonly owner: string;
  readonly to: string;
  readonly points: readonly string[];
  readonly rights: readonly string[];
  readonly routingKeys: readonly string[];
  readonly expiresMs: number;
  readonly delegable: number;
  /** Whether this node has signed it, or holds it. */
  readonly origin: 'issued' | 'held';
  readonly state: 'valid' | 'expired' | 'revoked' | 'not-yet-valid';
}

export interface GrantDeskOptions {
  readonly key: Ed25519PrivateKey;
  readonly book: GrantBook;
  readonly now: () => number;
  /** A grant of a space that this node owns counts no more. */
  readonly revoked: (space: string) => Promise<void>;
}

/** The grants of a node that does not run. */
export async function openGrantDesk(files: {
  readonly identityFile: string;
  readonly grantsFile: string;
}): Promise<GrantDesk> {
  const [key, book] = await Promise.all([loadIdentity(files.identityFile), GrantBook.open(files.grantsFile)]);
  // Members hear of it when the node declares the space again.
  return new GrantDesk({ key, book, now: Date.now, revoked: async () => {} });
}

/** What a node's administrator does with grants. Everything here throws GrantError, with a text for that person. */
export class GrantDesk {
  readonly #options: GrantDeskOptions;
  readonly #self: string;

  constructor(options: GrantDeskOptions) {
    this.#options = options;
    this.#self = peerIdFromPrivateKey(options.key).toString();
  }

  /** Signs a grant as owner, or hands down one that this node holds for the space. */
  async create(request: GrantTerms & { readonly space: string; readonly owner?: string }): Promise<string> {
    const { space, owner, ...terms } = request;
    const { book, key, now } = this.#options;
    const nowMs = now();
    if (terms.expiresMs <= nowMs) throw new GrantError('expired', 'expires: expected a time to come');
    const from = owner === this.#self ? undefined : this.#delegable(space, owner);
    const grant = await (from === undefined
      ? issueGrant({ ...terms, space, nowMs }, key)
      : delegateGrant(await redeem(from, this.#self), { ...terms, nowMs }, key));
    await book.enterIssued(grant);
    return grant.token;
  }

  list(): readonly ListedGrant[] {
    const { issued, held } = this.#options.book;
    return [
      ...issued.map((grant) => this.#listed(grant, 'issued')),
      ...held.map((grant) => this.#listed(grant, 'held')),
    ];
  }

  /** Holds a grant, for joins that give none. */
  async import(token: string): Promise<void> {
    const grant = readGrant(token);
    await redeem(grant, this.#self);
    assertInForce(grant, this.#options.now(), () => false);
    await this.#options.book.enterHeld(grant);
  }

  /** @param what a grant, or the id of one that this node has signed */
  async revoke(what: string): Promise<void> {
    const { book, revoked } = this.#options;
    const { owner, space, id, expiresMs } = this.#meant(what).claims;
    if (owner !== this.#self) {
      throw new GrantError(
        'foreign',
        `only ${owner} can revoke it, who owns space '${space}'; this node is ${this.#self}`,
      );
    }
    if (!book.isRevoked(id) && book.revocations(space).length >= MAX_REVOCATIONS) {
      const text = `${MAX_REVOCATIONS} grants of space '${space}' are revoked, and no more can be before some of them expire`;
      throw new GrantError('too-narrow', text);
    }
    await book.enterRevoked({ space, grant: id, expiresMs });
    await revoked(space);
  }

  /** What this node can show for a space: held grants as its own, those in force first. */
  async held(space: string, owner: string | undefined): Promise<readonly Grant[]> {
    const { book, now } = this.#options;
    const nowMs = now();
    const all = book.held.filter(
      ({ claims }) => claims.space === space && (owner === undefined || claims.owner === owner),
    );
    const lastsMs = ({ claims }: Grant) => Math.sign(claims.expiresMs - nowMs);
    const grants = await Promise.all(all.map((grant) => redeem(grant, this.#self)));
    return grants.sort((a, b) => lastsMs(b) - lastsMs(a));
  }

  revocations(space: string): readonly Revocation[] {
    return this.#options.book.revocations(space);
  }

  /** The held grant to hand down from; undefined where there is none, and the node speaks for itself. */
  #delegable(space: string, owner: string | undefined): Grant | undefined {
    const ofSpace = this.#options.book.held.filter(({ claims }) => claims.space === space);
    const held = ofSpace.filter(({ claims }) => owner === undefined || claims.owner === owner);
    const owners = new Set(held.map(({ claims }) => claims.owner));
    if (owners.size > 1) {
      throw new GrantError(
        'foreign',
        `owner: this node holds grants for '${space}' of ${[...owners].join(' and ')}`,
      );
    }
    const [first] = [...held].sort((a, b) => b.claims.delegable - a.claims.delegable);
    if (first === undefined && owner !== undefined) {
      throw new GrantError('missing', `owner: this node holds no grant for '${space}' of ${owner}`);
    }
    return first;
  }

  #meant(what: string): Grant {
    const { issued } = this.#options.book;
    const known = issued.find(({ claims }) => claims.id === what);
    if (known !== undefined) return known;
    if (what.includes('.')) return readGrant(what);
    throw new GrantError(
      'missing',
      `no grant of this node has the id '${what.slice(0, 64)}': give the grant itself`,
    );
  }

  #listed(grant: Grant, origin: ListedGrant['origin']): ListedGrant {
    const { id, space, owner, subject: to, points, rights, routingKeys, expiresMs, delegable } = grant.claims;
    return {
      id,
      space,
      owner,
      to,
      points,
      rights,
      routingKeys,
      expiresMs,
      delegable,
      origin,
      state: this.#state(grant),
    };
  }

  #state(grant: Grant): ListedGrant['state'] {
    const { book, now } = this.#options;
    try {
      assertInForce(grant, now(), (id) => book.isRevoked(id));
      return 'valid';
    } catch (error) {
      const code = error instanceof GrantError ? error.code : undefined;
      return code === 'revoked' || code === 'not-yet-valid' ? code : 'expired';
    }
  }
}
