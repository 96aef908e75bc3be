import type { Logger } from '../overlay/index.js';
import { ANTI_ENTROPY_INTERVAL_MS, CONTROL_PART_BYTES, MEMBER_VALIDITY_MS, RUMOUR_FANOUT } from './limits.js';
import type { Link } from './link.js';
import type { LinkSession } from './link-session.js';
import type { Links } from './links.js';
import { Membership } from './membership.js';
import type { OverlayNode } from './node.js';
import { inParts } from './parts.js';
import type { MemberRecord, Sealed } from './records.js';
import { openIfUsable, RecordError, seal, spaceIdToBytes } from './records.js';
import type { RefusalCause } from './refusals.js';
import type { SpaceGrants } from './space-grants.js';
import type { Members as MembersMessage } from './wire/control.js';

/** A record is renewed when this much of its validity is left. */
const RENEWAL_MS = MEMBER_VALIDITY_MS / 2;
const NO_GRANTS: readonly string[] = [];

/** The space that the members belong to. */
export interface MembersHost {
  readonly name: string;
  /** A member turned out to be linked already, for another space or before it said so. */
  linked(link: Link): void;
  /** Is told of points that a member takes no part in any more. */
  readonly deserted: { left(points: readonly string[]): void };
  /** A newer record of a member was taken in: it may show other grants. */
  renewed(peer: string): void;
  readonly grants: SpaceGrants;
}

/**
 * The members of one space, kept the same at all of them: a member tells all that it is linked to of its changes, who
 * hears news hands it on to some, and from time to time two compare all they know.
 */
export class Members {
  readonly #spaceId: string;
  readonly #node: OverlayNode;
  readonly #links: Links;
  readonly #logger: Logger;
  readonly #membership: Membership;
  readonly #host: MembersHost;
  #sequence = 0;
  #own: Sealed<MemberRecord> | undefined;
  #points: readonly string[] = [];
  #comparedMs = 0;

  constructor(
    spaceId: string,
    environment: { node: OverlayNode; links: Links; logger: Logger },
    host: MembersHost,
  ) {
    this.#spaceId = spaceId;
    this.#host = host;
    this.#node = environment.node;
    this.#links = environment.links;
    this.#logger = environment.logger;
    this.#membership = new Membership(spaceId);
  }

  /** Every record known, as signed: what a newcomer gets. */
  get records(): readonly Uint8Array[] {
    return this.#membership.difference([], this.#links.now()).newer.map(({ bytes }) => bytes);
  }

  /** Live members other than this node. */
  get others(): readonly MemberRecord[] {
    return this.#membership.members(this.#links.now()).filter(({ peer }) => peer !== this.#node.id);
  }

  has(peer: string): boolean {
    return this.#membership.get(peer, this.#links.now()) !== undefined;
  }

  /** What the peer shows to be a member. */
  grantsOf(peer: string): readonly string[] {
    return this.#membership.get(peer, this.#links.now())?.grants ?? NO_GRANTS;
  }

  addresses(peer: string): readonly string[] {
    return this.#membership.get(peer, this.#links.now())?.addresses ?? [];
  }

  /**
   * Tells all members that this node takes part in these points of the space.
   *
   * @throws RecordError when there are more than a member record takes
   */
  tell(points: readonly string[]): void {
    this.#renew(points, false);
  }

  /** Tells all members that this node is one no more. */
  leave(): void {
    this.#renew([], true);
    for (const { peer } of this.others) this.#links.unshare(peer, this.#spaceId);
  }

  /** Tells anew, with other grants. */
  retell(): void {
    this.#renew(this.#points, false);
  }

  /** Shuts a peer out until it shows something better; this node, of what all others tell. */
  shutOut(peer: string, reason: string): void {
    this.#logger.warn({ peer, space: this.#host.name, reason }, 'shut out of a granted space');
    if (peer === this.#node.id) for (const other of this.others) this.#unlink(other.peer, reason);
    else {
      this.#membership.forget(peer);
      this.#unlink(peer, reason);
    }
  }

  /** Shares the space with the peer no more: its interest goes, and the link unless it is needed elsewhere. */
  #unlink(peer: string, reason: string): void {
    this.#links.unshare(peer, this.#spaceId);
    const link = this.#links.get(peer);
    if (link?.spaces.size !== 0) return;
    link.session?.abort(new Error(reason));
    // It is not to have what it did not get in time, if it comes back.
    link.outgoing.clear();
  }

  /** Shares the space with all members again. */
  relink(): void {
    for (const { peer } of this.others) this.#share(peer);
  }

  /** Starts a session's exchange: this node's record, and all it knows in short. */
  syncWith(session: LinkSession): void {
    this.#send(session, { records: this.#own === undefined ? [] : [this.#own.bytes], compare: true });
  }

  /** Answers what a member asks. */
  answer(session: LinkSession, message: MembersMessage): void {
    if (message.digest.length === 0 && message.wanted.length === 0) return;
    const wanted = new Set(message.wanted);
    const nowMs = this.#links.now();
    const compared = message.digest.length > 0;
    const difference = this.#membership.difference(message.digest, nowMs);
    const records = difference.newer.filter(({ record }) => compared || wanted.has(record.peer));
    if (records.length === 0 && (!compared || difference.wanted.length === 0)) return;
    this.#send(session, {
      records: records.map(({ bytes }) => bytes),
      wanted: compared ? difference.wanted : [],
    });
  }

  /**
   * Takes in signed records, links to new members and hands the news on.
   *
   * @param by peer id of who handed them over, where it was not over its link
   * @throws RecordError
   */
  learn(records: readonly Uint8Array[], from?: Link, by: string | undefined = from?.peer): void {
    const news = records.filter((bytes) => this.#learnOne(bytes, from, by));
    if (news.length === 0) return;
    const others = this.#sessions().filter(({ link }) => link !== from);
    for (const { session } of this.#someOf(others)) this.#send(session, { records: news });
  }

  /** News spreads by rumour: who has it new hands it to a few; comparing from time to time finds whom it missed. */
  #someOf<T>(all: readonly T[]): readonly T[] {
    const rest = [...all];
    const some: T[] = [];
    while (rest.length > 0 && some.length < RUMOUR_FANOUT) {
      some.push(...rest.splice(Math.floor(this.#links.random() * rest.length), 1));
    }
    return some;
  }

  /** A linked member fell silent. */
  dead(peer: string): void {
    this.#membership.markDead(peer, this.#links.now());
  }

  /** A member that fell silent is linked again: so may be others, which are tried at once. */
  alive(peer: string): void {
    if (!this.#membership.markAlive(peer, this.#links.now())) return;
    for (const link of this.#links) {
      if (link.kind === 'dead' && link.spaces.has(this.#spaceId)) link.moved();
    }
  }

  /** Whether this node is the one to act where one member has to: the same one at all that see the same members. */
  get isFirst(): boolean {
    return this.others.every(({ peer }) => this.#node.id < peer);
  }

  tick(nowMs: number): void {
    const own = this.#own?.record;
    if (own?.left === false && (own.expiresMs - nowMs < RENEWAL_MS || this.#hasMoved(own))) {
      this.#renew(this.#points, false);
    }
    for (const peer of this.#membership.expire(nowMs)) {
      this.#logger.info({ peer, space: this.#spaceId }, 'member record has expired');
      if (this.#links.get(peer)?.session === undefined) this.#links.unshare(peer, this.#spaceId);
    }
    if (nowMs - this.#comparedMs < ANTI_ENTROPY_INTERVAL_MS) return;
    this.#comparedMs = nowMs;
    const sessions = this.#sessions();
    const one = sessions[Math.floor(this.#links.random() * sessions.length)];
    if (one !== undefined) this.#send(one.session, { records: [], compare: true });
  }

  /** Addresses through relays come and go. */
  #hasMoved(own: MemberRecord): boolean {
    return own.addresses.join() !== this.#node.addresses().join();
  }

  #learnOne(bytes: Uint8Array, from: Link | undefined, by: string | undefined): boolean {
    // Most records come again by other ways: verifying costs far more than comparing.
    if (this.#membership.holds(bytes)) return false;
    const nowMs = this.#links.now();
    const sealed = openIfUsable('member-record', bytes, nowMs, by);
    if (sealed === undefined) return false;
    const { peer, spaceId } = sealed.record;
    if (spaceId !== this.#spaceId) throw new RecordError('foreign', 'a member record of another space');
    if (peer === this.#node.id) return this.#onOwn(sealed.record);
    // Whoever is known may leave, also when its grants have ended meanwhile.
    if (!(sealed.record.left && this.has(peer)) && !this.#host.grants.admits(sealed.record)) return false;
    const known = this.#membership.get(peer, nowMs);
    const before = known?.points ?? [];
    const applied = this.#membership.apply(sealed, nowMs);
    switch (applied) {
      case 'new':
      case 'changed':
        this.#host.renewed(peer);
        this.#share(peer);
        if (known?.addresses.join() !== sealed.record.addresses.join()) this.#links.get(peer)?.moved();
        this.#host.deserted.left(before.filter((point) => !sealed.record.points.includes(point)));
        return true;
      case 'left':
        this.#links.unshare(peer, this.#spaceId);
        this.#host.deserted.left(before);
        return true;
      case 'full':
        this.#refuse('flood', from?.peer ?? peer, `${peer} is no member: there are too many`);
        return false;
      case 'stale':
        if (from?.peer === peer && sealed.record.left) this.#retell(peer);
        else if (from !== undefined)
          this.#refuse('outdated', from.peer, `the record of ${peer}: a later one is known`);
        return false;
      case 'known':
        return false;
      default:
        return applied satisfies never;
    }
  }

  /**
   * A member left and came back, and others were faster to tell of its return than it was to tell of both: it has
   * forgotten all that it was told, and is told it anew.
   */
  #retell(peer: string): void {
    if (this.#membership.get(peer, this.#links.now()) === undefined) return;
    this.#links.unshare(peer, this.#spaceId);
    this.#share(peer);
  }

  #share(peer: string): void {
    const link = this.#links.share(peer, this.#spaceId);
    if (link?.session !== undefined) this.#host.linked(link);
  }

  #refuse(refused: RefusalCause, peer: string, cause: string): void {
    this.#host.grants.refusals.add(refused, { peer, cause });
  }

  /** Others remember this node from an earlier start: only a later sequence takes precedence. */
  #onOwn(record: MemberRecord): boolean {
    if (record.epoch !== this.#links.epoch && record.sequence >= this.#sequence) {
      this.#sequence = record.sequence;
      this.#renew(this.#points, this.#own?.record.left ?? false);
    }
    return false;
  }

  #renew(points: readonly string[], left: boolean): void {
    const nowMs = this.#links.now();
    // Whenever this node left or was started before: the clock is ahead of what it said then.
    this.#sequence = Math.max(this.#sequence + 1, nowMs);
    this.#own = seal(
      {
        kind: 'member-record',
        spaceId: this.#spaceId,
        peer: this.#node.id,
        epoch: this.#links.epoch,
        sequence: this.#sequence,
        addresses: this.#node.addresses(),
        points,
        expiresMs: nowMs + MEMBER_VALIDITY_MS,
        left,
        ...(this.#host.grants.own.length > 0 && { grants: this.#host.grants.own }),
      },
      this.#node.privateKey,
    );
    this.#points = points;
    this.#membership.apply(this.#own, nowMs);
    for (const { session } of this.#sessions()) this.#send(session, { records: [this.#own.bytes] });
  }

  #send(
    session: LinkSession,
    {
      records,
      wanted = [],
      compare = false,
    }: { records: readonly Uint8Array[]; wanted?: readonly string[]; compare?: boolean },
  ): void {
    const spaceId = spaceIdToBytes(this.#spaceId);
    const parts = inParts(records, ({ length }) => length, CONTROL_PART_BYTES);
    const last = parts.pop() ?? [];
    for (const part of parts) {
      session.control.send({ members: { spaceId, records: part, digest: [], wanted: [] } });
    }
    const digest = compare ? [...this.#membership.digest(this.#links.now())] : [];
    session.control.send({ members: { spaceId, records: last, digest, wanted: [...wanted] } });
  }

  #sessions(): { readonly link: Link; readonly session: LinkSession }[] {
    const sessions = [];
    for (const link of this.#links) {
      const { session } = link;
      if (session !== undefined && link.spaces.has(this.#spaceId)) sessions.push({ link, session });
    }
    return sessions;
  }
}
