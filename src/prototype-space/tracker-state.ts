import type { Permits } from './home-broker.js';
import { LEASE_MS } from './limits.js';
import type {
  ParticipantRecord,
  PointOffer,
  TrackerEvent,
  TrackerReply,
  TrackerRequest,
} from './protocol.js';
import { relayPassword } from './relay-password.js';
import { refusal, TrackerChecks } from './tracker-checks.js';
import type { Member, Registration } from './tracker-registry.js';
import { newMember, TrackerRegistry } from './tracker-registry.js';
import type { StoredMember } from './tracker-snapshot.js';

/** The sender of a request, as the broker vouches for it. */
export interface Sender {
  readonly user: string;
  readonly permits: Permits;
  /** Where this request is answered, and where its member is told what happens from now on. */
  readonly replyTo: string;
}

/** An event for one member. */
export interface Told {
  readonly to: string;
  readonly event: TrackerEvent;
}

export interface Outcome {
  readonly reply: TrackerReply;
  readonly events: readonly Told[];
}

const OK: TrackerReply = { reply: 'ok' };

/**
 * What a tracker knows of one space, and its rules. No clock and no network: whoever asks says what time it is, and
 * sends what comes back. What is refused has changed nothing but the sequence, the lease and the address of the member.
 */
export class TrackerState {
  readonly #space: string;
  readonly #registry = new TrackerRegistry();
  readonly #checks: TrackerChecks;
  #events: Told[] = [];
  /** Made for the request at hand, by relay key and by who is told: one for all points that two members share. */
  readonly #passwords = new Map<string, string>();
  #version = 0;

  constructor({ space, virtualHost }: { readonly space: string; readonly virtualHost: string }) {
    this.#space = space;
    this.#checks = new TrackerChecks(space, virtualHost, this.#registry);
  }

  /** Another one after each change that a restarted tracker should know of; renewed leases are none. */
  get version(): number {
    return this.#version;
  }

  get memberCount(): number {
    return this.#registry.memberCount;
  }

  handle(request: TrackerRequest, sender: Sender, nowMs: number): Outcome {
    const reply = this.#handle(request, sender, nowMs);
    return { reply, events: this.#takeEvents() };
  }

  /** Drops members whose lease has run out, or whose user may not be in the space any more. */
  sweep(nowMs: number, permits: (user: string) => Permits): readonly Told[] {
    const problems = new Map<string, string | undefined>();
    for (const member of this.#registry.members()) {
      const { user } = member;
      if (!problems.has(user)) problems.set(user, this.#checks.missingPermission(user, permits(user)));
      const problem =
        problems.get(user) ?? (member.leaseEndsMs <= nowMs ? 'its lease has run out' : undefined);
      if (problem !== undefined) this.#drop(member, problem);
    }
    return this.#takeEvents();
  }

  /** All leases start anew: it was not the members that were not there. */
  extendLeases(nowMs: number): void {
    for (const member of this.#registry.members()) member.leaseEndsMs = nowMs + LEASE_MS;
  }

  /** What members were told may not have reached them: each has to register before anything else, and learns all anew. */
  awaitRegistrations(nowMs: number): void {
    this.extendLeases(nowMs);
    for (const member of this.#registry.members()) member.replyTo = undefined;
  }

  /** Forgets everything, and tells everybody. */
  deleteSpace(reason: string): readonly Told[] {
    for (const member of this.#registry.members()) this.#tell(member, { event: 'space-deleted', reason });
    this.#registry.clear();
    this.#version += 1;
    return this.#takeEvents();
  }

  snapshot(): readonly StoredMember[] {
    return this.#registry.members().map(({ id, user, sequence, instance, endpoint, relayKey, offers }) => ({
      user,
      member: id,
      sequence,
      ...(instance !== undefined && { instance }),
      endpoint,
      relayKey,
      points: [...offers.values()],
    }));
  }

  /**
   * Knows what an earlier tracker did, and nothing else. Its members have a lease to register again.
   *
   * @throws SpaceError `conflict` when two members do not agree about a point; then nothing is known
   */
  restore(members: readonly StoredMember[], nowMs: number): void {
    this.#registry.clear();
    try {
      for (const stored of members) {
        const member = newMember(stored, stored.user);
        this.#registry.add(member);
        for (const offer of stored.points) {
          this.#registry.assertFits(this.#space, offer, []);
          this.#registry.join(member, offer);
        }
      }
    } catch (error) {
      this.#registry.clear();
      throw error;
    }
    this.extendLeases(nowMs);
  }

  // --- requests ---

  #handle(request: TrackerRequest, sender: Sender, nowMs: number): TrackerReply {
    const { user, permits, replyTo } = sender;
    const missing = this.#checks.missingPermission(user, permits);
    if (missing !== undefined) return refusal('refused', missing);
    const member = this.#registry.find(request.member);
    const forged = member && this.#checks.notFrom(member, request, user);
    if (forged !== undefined) return forged;
    if (request.request === 'register') return this.#register(request, member, sender, nowMs);
    const unheard = member?.replyTo === undefined && request.request !== 'unregister';
    if (member === undefined || unheard) {
      return refusal(
        'unknown-member',
        `member '${request.member}' is not registered, or has to register again`,
      );
    }
    hear(member, request, replyTo, nowMs);
    return this.#handleOf(member, request, sender);
  }

  #handleOf(
    member: Member,
    request: Exclude<TrackerRequest, Registration>,
    { user, permits }: Sender,
  ): TrackerReply {
    switch (request.request) {
      case 'renew':
        if (request.relayKey !== undefined) this.#rotate(member, request.relayKey);
        return OK;
      case 'join':
        return this.#join(member, request.point);
      case 'leave':
        this.#leave(member, request.point);
        return OK;
      case 'unregister':
        this.#remove(member, 'it has left the space');
        return OK;
      case 'delete-point':
        if (!permits.configure) return refusal('refused', this.#checks.noPermission(user, 'configure'));
        this.#deletePoint(member, request.point);
        return OK;
      default:
        return request satisfies never;
    }
  }

  #register(
    request: Registration,
    known: Member | undefined,
    { user, replyTo }: Sender,
    nowMs: number,
  ): TrackerReply {
    const replaced = this.#registry.members().filter((other) => isReplaced(other, request, user));
    if (known !== undefined) hear(known, request, known.replyTo, nowMs);
    const problem = this.#checks.registration(request, known, replaced);
    if (problem !== undefined) return problem;

    const { host, port } = request.endpoint;
    const reason = `another member of user '${user}' has registered with the same endpoint, ${host}:${port}`;
    for (const other of replaced) this.#drop(other, reason);
    const member = known ?? newMember(request, user);
    if (known === undefined) this.#registry.add(member);
    if (known === undefined || member.instance !== request.instance) this.#version += 1;
    member.instance = request.instance;
    hear(member, request, replyTo, nowMs);
    this.#state(member, request);
    return this.#participants(
      member,
      request.points.map(({ name }) => name),
    );
  }

  /** Makes what is registered of a member what it says: the others hear of the differences. */
  #state(member: Member, { endpoint, relayKey, points }: Registration): void {
    const named = new Set(points.map(({ name }) => name));
    for (const point of [...member.offers.keys()]) if (!named.has(point)) this.#leave(member, point);
    const moved = member.relayKey !== relayKey || !same(member.endpoint, endpoint);
    if (moved) {
      this.#registry.move(member, endpoint);
      member.relayKey = relayKey;
      this.#version += 1;
    }
    for (const offer of points) this.#offer(member, offer, moved);
  }

  #join(member: Member, offer: PointOffer): TrackerReply {
    const problem = this.#checks.join(member, offer);
    if (problem !== undefined) return problem;
    this.#offer(member, offer, false);
    return this.#participants(member, [offer.name]);
  }

  /** Nothing to tell where it is known, and the member has not moved. */
  #offer(member: Member, offer: PointOffer, moved: boolean): void {
    const known = same(member.offers.get(offer.name), offer);
    if (!known) {
      this.#registry.join(member, offer);
      this.#version += 1;
    } else if (!moved) return;
    for (const other of this.#registry.others(offer.name, member)) {
      this.#tell(other, {
        event: 'joined',
        point: offer.name,
        participant: this.#recordFor(other, member, offer),
      });
    }
  }

  #leave(member: Member, point: string): void {
    if (!this.#registry.leave(point, member)) return;
    this.#version += 1;
    for (const other of this.#registry.others(point, member)) {
      this.#tell(other, { event: 'left', point, member: member.id });
    }
  }

  #rotate(member: Member, relayKey: string): void {
    if (member.relayKey === relayKey) return;
    member.relayKey = relayKey;
    this.#version += 1;
    for (const peer of this.#registry.peers(member)) {
      this.#tell(peer, { event: 'password', member: member.id, password: relayPassword(relayKey, peer.id) });
    }
  }

  #deletePoint(deleter: Member, point: string): void {
    const reason = `user '${deleter.user}' has deleted exchange point '${point}' of space '${this.#space}'`;
    const others = this.#registry.others(point, deleter);
    if (this.#registry.hasPoint(point)) this.#version += 1;
    for (const member of [...others, deleter]) this.#registry.leave(point, member);
    for (const other of others) this.#tell(other, { event: 'point-deleted', point, reason });
  }

  #drop(member: Member, reason: string): void {
    this.#tell(member, { event: 'dropped', reason });
    this.#remove(member, reason);
  }

  #remove(member: Member, reason: string): void {
    for (const peer of this.#registry.peers(member)) {
      this.#tell(peer, { event: 'gone', member: member.id, reason });
    }
    this.#registry.remove(member);
    this.#version += 1;
  }

  // --- what is told ---

  #participants(member: Member, points: readonly string[]): TrackerReply {
    return {
      reply: 'ok',
      points: points.map((point) => ({
        point,
        participants: this.#registry.others(point, member).flatMap((other) => {
          const offer = other.offers.get(point);
          return offer === undefined ? [] : [this.#recordFor(member, other, offer)];
        }),
      })),
    };
  }

  /** Of a member that offers this, for the eyes of `told`. */
  #recordFor(told: Member, { id, endpoint, relayKey }: Member, { outlet }: PointOffer): ParticipantRecord {
    const pair = `${relayKey}${told.id}`;
    let password = this.#passwords.get(pair);
    if (password === undefined) {
      password = relayPassword(relayKey, told.id);
      this.#passwords.set(pair, password);
    }
    return { member: id, endpoint, password, outlet };
  }

  #tell(member: Member, event: TrackerEvent): void {
    if (member.replyTo !== undefined) this.#events.push({ to: member.replyTo, event });
  }

  #takeEvents(): readonly Told[] {
    const events = this.#events;
    this.#events = [];
    this.#passwords.clear();
    return events;
  }
}

/** What every request does that its member may make, whatever becomes of it. */
function hear(
  member: Member,
  { sequence }: TrackerRequest,
  replyTo: string | undefined,
  nowMs: number,
): void {
  member.sequence = sequence;
  member.replyTo = replyTo;
  member.leaseEndsMs = nowMs + LEASE_MS;
}

/** A node that was restarted registers again as another member, before the lease of the one it was has run out. */
function isReplaced(other: Member, { member, endpoint, instance }: Registration, user: string): boolean {
  if (other.id === member || other.user !== user || !same(other.endpoint, endpoint)) return false;
  return instance === undefined || other.instance !== instance;
}

/** What was parsed has its fields in one order. */
function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
