import { peerIdFromString } from '@libp2p/peer-id';
import type { Logger } from '../overlay/index.js';
import { SpaceError } from '../overlay/index.js';
import type { Directory } from './directory.js';
import type { Grant } from './grant.js';
import { assertInForce, readGrant } from './grant.js';
import { GrantError, RIGHTS } from './grant-claims.js';
import type { GrantDesk } from './grant-desk.js';
import { issueGrant, redeem } from './grant-issue.js';
import { MAX_CLOCK_SKEW_MS, MAX_LOOKUP_BYTES } from './limits.js';
import type { Answer, Located } from './locate.js';
import { locate } from './locate.js';
import { lookUp } from './lookup.js';
import type { OverlayNode } from './node.js';
import type { Sealed, SpaceManifest } from './records.js';
import { compareManifests, open } from './records.js';
import { openGrant, sealGrant } from './sealed-grant.js';
import type { JoinSettings } from './settings.js';
import type { DhtSpace } from './space.js';
import type { FoundSpace, LookupReply, LookupRequest } from './wire/control.js';

/** Peer ids of as many fit into AMQP's reply text, beside a name. */
const MAX_NAMED_OWNERS = 2;

/** How full a reply to a lookup may get: its own framing takes some of it. */
const LOOKUP_SHARE = 0.9;
const OWNERS_GRANT_VALIDITY_MS = 600_000;

export interface SpaceFinderOptions {
  readonly node: OverlayNode;
  readonly directory: Directory;
  readonly grants: GrantDesk;
  readonly logger: Logger;
  readonly now: () => number;
  /** Peer ids of seeds, and of members of the space from before. */
  readonly knownPeers: (space: string, owner: string | undefined) => readonly string[];
  /** Those that this node is in. */
  readonly spaces: () => Iterable<DhtSpace>;
  /** Resolves when this node knows who may hear of the space; undefined: it does. */
  readonly informed: (space: DhtSpace) => Promise<void> | undefined;
}

/** What was found of one space. */
interface Found {
  readonly owner: string;
  readonly answers: readonly Answer[];
  readonly manifest: Sealed<SpaceManifest>;
}

/**
 * Finds spaces for this node, and this node's spaces for others. Open spaces go by name; of granted ones, only members
 * understand what they are asked, and they answer who shows a grant.
 */
export class SpaceFinder {
  readonly #node: OverlayNode;
  readonly #directory: Directory;
  readonly #grants: GrantDesk;
  readonly #logger: Logger;
  readonly #now: () => number;
  readonly #knownPeers: SpaceFinderOptions['knownPeers'];
  readonly #spaces: () => Iterable<DhtSpace>;
  readonly #informed: (space: DhtSpace) => Promise<void> | undefined;

  constructor(options: SpaceFinderOptions) {
    this.#node = options.node;
    this.#directory = options.directory;
    this.#grants = options.grants;
    this.#logger = options.logger;
    this.#now = options.now;
    this.#knownPeers = options.knownPeers;
    this.#spaces = options.spaces;
    this.#informed = options.informed;
  }

  // --- what this node shows ---

  /**
   * What this node shows to join: the grant given, or those that it holds.
   *
   * @throws SpaceError `invalid-argument` for what is no grant, `refused` for one that is not for this
   */
  async ownGrants(space: string, { grant: token, owner }: JoinSettings): Promise<readonly Grant[]> {
    if (token === undefined) return this.#grants.held(space, owner);
    const grant = await refusing(() => this.#redeemed(token));
    const { claims } = grant;
    if (claims.space === space && (owner ?? claims.owner) === claims.owner) return [grant];
    const of = owner === undefined ? '' : ` of ${owner}`;
    const text = `grant ${claims.id} is for space '${claims.space}' of ${claims.owner}, not for '${space}'${of}`;
    throw new SpaceError('refused', `exchangespace.grant: ${text}`);
  }

  /** Where the clocks are too far apart, nothing else that is signed would count either, and the reason would be lost. */
  async #redeemed(token: string): Promise<Grant> {
    const grant = await redeem(readGrant(token), this.#node.id);
    assertInForce(grant, this.#now(), () => false);
    return grant;
  }

  /** What the owner shows to those who cannot know better: everything, for as long as a lookup takes. */
  ownersGrant(space: string): Promise<Grant> {
    const nowMs = this.#now();
    const terms = { points: ['*'], rights: RIGHTS, routingKeys: ['#'], delegable: 0 };
    const expiresMs = nowMs + OWNERS_GRANT_VALIDITY_MS;
    return issueGrant({ space, to: this.#node.id, ...terms, nowMs, expiresMs }, this.#node.privateKey);
  }

  /** What this node shows for the space; undefined where nothing is needed. */
  async #shown({ name, owner, grants }: DhtSpace): Promise<Grant | undefined> {
    if (!grants.isGranted) return undefined;
    if (owner === this.#node.id) return this.ownersGrant(name);
    const token = grants.own.at(-1);
    return token === undefined ? undefined : readGrant(token);
  }

  // --- asking ---

  async find(
    name: string,
    pinned: string | undefined,
    grant: Grant | undefined,
    signal: AbortSignal,
  ): Promise<Found> {
    const { byOwner, claims, ahead } = await this.locate(name, pinned, signal, { grant });
    if (byOwner.size > 1) {
      const owners = [...byOwner.keys()].sort();
      const further = owners.splice(MAX_NAMED_OWNERS).length;
      const others = further > 0 ? ` and ${further} more` : '';
      throw new SpaceError(
        'conflict',
        `space '${name}' is claimed by ${owners.join(' and ')}${others}: pin one with exchangespace.owner`,
      );
    }
    for (const [owner, answers] of byOwner) {
      return { owner, answers, manifest: this.#newest([...answers, ...(claims.get(owner) ?? [])]) };
    }
    if (ahead !== undefined) {
      const minutes = MAX_CLOCK_SKEW_MS / 60_000;
      const text = `the clocks of this node and ${ahead}, which knows space '${name}', are over ${minutes} minutes apart`;
      throw new SpaceError('refused', text);
    }
    const by = pinned === undefined ? '' : ` owned by ${pinned}`;
    throw new SpaceError(
      'not-found',
      `no space '${name}'${by}; nodes known to this one: ${this.#node.knows()}`,
    );
  }

  /**
   * What is known of a space of this node's own that it is about to declare, and what it shows there.
   *
   * @param known owners of spaces of the name that this node is or was in
   * @throws SpaceError `conflict` when others are in a space of the name, and this node has none
   */
  async findOwn(
    name: string,
    access: SpaceManifest['access'],
    known: readonly (string | undefined)[],
    signal: AbortSignal,
  ): Promise<{ readonly grant: Grant | undefined; readonly own: readonly Answer[] }> {
    const self = this.#node.id;
    const { byOwner, claims, isAlive } = await this.locate(name, undefined, signal, { retryMs: [] });
    const other = [known[0], ...byOwner.keys()].find((owner) => owner !== undefined && owner !== self);
    // Nobody keeps an owner from its own space by claiming the name.
    const isOwn = byOwner.has(self) || claims.has(self) || known.includes(self);
    if (other !== undefined && isAlive && !isOwn) {
      throw new SpaceError('conflict', `space '${name}' is owned by ${other}; this node is ${self}`);
    }
    if (other !== undefined) {
      const text = isAlive
        ? 'another owner claims it too'
        : 'it was claimed before, by a space that nobody is in';
      this.#logger.warn({ space: name, owner: other }, `the name of a space of this node: ${text}`);
    }
    const grant = access === 'granted' ? await this.ownersGrant(name) : undefined;
    // Members of a granted space answer nobody else.
    const answers =
      grant === undefined
        ? byOwner.get(self)
        : (await this.locate(name, self, signal, { grant, retryMs: [] })).byOwner.get(self);
    return { grant, own: [...(answers ?? []), ...(claims.get(self) ?? [])] };
  }

  locate(
    space: string,
    owner: string | undefined,
    signal: AbortSignal,
    { grant, retryMs }: { grant?: Grant | undefined; retryMs?: readonly number[] },
  ): Promise<Located> {
    return locate({
      node: this.#node,
      directory: this.#directory,
      known: this.#knownPeers(space, owner),
      ...{ space, owner, signal },
      meetingPlace: grant?.claims.rendezvous ?? space,
      requestTo: (peer) => this.#requestTo(peer, { space, owner: owner ?? '' }, grant),
      now: this.#now,
      ...(retryMs === undefined ? {} : { retryMs }),
    });
  }

  /** Asks one peer for a space that this node is in. @throws Error when it does not answer */
  async ask(peer: string, space: DhtSpace, signal: AbortSignal): Promise<readonly Answer[]> {
    const of = { space: space.name, owner: space.owner };
    const request = this.#requestTo(peer, of, await this.#shown(space));
    const { spaces } = await lookUp(this.#node, peerIdFromString(peer), request, { signal });
    return spaces.map((found) => ({ ...found, from: peer }));
  }

  /** Whichever knows most of what was revoked. */
  #newest(found: readonly FoundSpace[]): Sealed<SpaceManifest> {
    const all = found.map(({ manifest }) => open('space-manifest', manifest, this.#now()));
    return all.reduce((a, b) => (compareManifests(b.record, a.record) < 0 ? b : a));
  }

  /** Whoever has a grant does not show to strangers which space it asks for. */
  #requestTo(peer: string, of: { space: string; owner: string }, grant: Grant | undefined): LookupRequest {
    if (grant === undefined) return { ...of, grant: new Uint8Array(0) };
    const sealed = sealGrant(grant.token, grant.claims.rendezvous, this.#node.id, peer);
    return { space: '', owner: '', grant: sealed };
  }

  // --- answering ---

  async answer({ space: name, owner, grant }: LookupRequest, asker: string): Promise<LookupReply> {
    if (grant.length > 0) return { spaces: await this.#foundBy(grant, asker) };
    const known = [...this.#spaces()].filter(
      (space) => space.name === name && (owner === '' || space.owner === owner),
    );
    const open = known.filter((space) => !space.grants.isGranted);
    for (const { grants } of known) {
      if (grants.isGranted) grants.refusals.add('lookup', { peer: asker, cause: 'no grant' });
    }
    return { spaces: open.map((space) => space.found(LOOKUP_SHARE * (MAX_LOOKUP_BYTES / open.length))) };
  }

  /** The granted space that the grant lets into, if it is known here. */
  async #foundBy(sealed: Uint8Array, asker: string): Promise<FoundSpace[]> {
    for (const space of this.#spaces()) {
      const { rendezvous } = space.grants;
      const token = rendezvous && openGrant(sealed, rendezvous, asker, this.#node.id);
      if (token === undefined || token === '') continue;
      await this.#informed(space);
      try {
        space.grants.check(token, asker);
        return [space.found(LOOKUP_SHARE * MAX_LOOKUP_BYTES)];
      } catch (error) {
        if (!(error instanceof GrantError)) throw error;
        space.grants.refusals.add('lookup', { peer: asker, cause: error.message });
        // Whose grant was revoked or has expired may know why; the manifest is no secret.
        return [{ manifest: space.manifest.bytes, members: [], points: [] }];
      }
    }
    return [];
  }
}

/** A member that hands over what is not right is no reason not to join. */
export function learnFrom(found: Answer, space: DhtSpace): void {
  try {
    if (!space.gone) space.learn(found);
  } catch (err) {
    space.grants.refusals.addFault(err, found.from ?? 'unknown');
  }
}

/** Grants as apps hear of them: what is none is a wrong argument, what does not count is refused. */
export function refusing<T>(check: () => T): T {
  const translated = (error: unknown): unknown => {
    if (!(error instanceof GrantError)) return error;
    const code = error.code === 'malformed' ? 'invalid-argument' : 'refused';
    return new SpaceError(code, `exchangespace.grant: ${error.message}`, { cause: error });
  };
  try {
    const result = check();
    if (!(result instanceof Promise)) return result;
    return result.catch((error: unknown) => Promise.reject(translated(error))) as T;
  } catch (error) {
    throw translated(error);
  }
}
