import { randomBytes } from 'node:crypto';
import type { Logger, MemoryPressure, PointDefinition } from '../overlay/index.js';
import { SpaceError } from '../overlay/index.js';
import { plainAddress, problemWithAdvertised } from './advertised.js';
import type { Endpoint, HomeBroker, RelayAccess } from './home-broker.js';
import { GRACE_MS } from './limits.js';
import { PrototypePoint } from './point.js';
import type { ParticipantRecord, TrackerEvent } from './protocol.js';
import { RelayLink } from './relay-link.js';
import { relayPassword } from './relay-password.js';
import type { TrackerAddress } from './settings.js';
import type { Ask } from './tracker-client.js';
import { TrackerClient } from './tracker-client.js';
import type { Answer } from './tracker-session.js';

export interface MembershipOptions {
  readonly address: TrackerAddress;
  readonly space: string;
  /** Tells the members of one process from those of an earlier one at the same address. */
  readonly instance: string;
  readonly home: HomeBroker;
  readonly logger: Logger;
  readonly memory: MemoryPressure;
  readonly random: () => number;
  /** Who may have signed certificates of other brokers, in PEM. */
  readonly tlsCa?: string | undefined;
}

interface Peer {
  readonly link: RelayLink;
  endpoint: Endpoint;
}

/**
 * This node's part in one space of one tracker, as one AMQP user: what it tells the tracker, and what it makes of
 * what the tracker tells. Links and points do not end with the tracker's connection: what is known of the others holds
 * until they are known to be gone.
 */
export class Membership {
  /** Drawn anew for each membership. */
  readonly #id = randomBytes(16).toString('hex');
  readonly #options: MembershipOptions;
  readonly #tracker: TrackerClient;
  readonly #points = new Map<string, PrototypePoint>();
  /** Other members, by their ids. */
  readonly #peers = new Map<string, Peer>();
  /** Members that are gone, until the relay key is another one than they have a password of. */
  readonly #gone = new Set<string>();
  /** Timers of members that a new tracker does not know yet. */
  readonly #missing = new Map<string, NodeJS.Timeout>();
  #relayKey = createRelayKey();
  #access: Promise<RelayAccess> | undefined;
  #open: RelayAccess | undefined;
  /** Joins under way: without points and without them, the membership is over. */
  #joining = 0;
  #state: 'active' | 'over' = 'active';

  constructor(options: MembershipOptions) {
    this.#options = options;
    const { address, space, tlsCa, logger, random } = options;
    this.#tracker = new TrackerClient({
      address,
      space,
      tlsCa,
      logger,
      random,
      member: this.#id,
      statement: (localAddress) => this.#statement(localAddress),
      registered: (answer) => this.#registered(answer),
      conflicted: (point, reason) => this.#conflicted(point, reason),
      learned: (points) => this.#learn(points),
      event: (event) => this.#told(event),
      renew: () => this.#renew(),
      refused: (reason) => this.#refused(reason),
    });
  }

  /** The last point was left: who joins next needs a new membership. */
  get over(): boolean {
    return this.#state === 'over';
  }

  point(name: string): PrototypePoint | undefined {
    return this.#points.get(name);
  }

  /**
   * Joins a point that this node is not in.
   *
   * @throws SpaceError `conflict`: it has another type or other arguments; `refused`, `not-found`: of the space
   */
  async join(definition: PointDefinition): Promise<PrototypePoint> {
    this.#joining += 1;
    let point: PrototypePoint | undefined;
    try {
      this.#access ??= this.#openAccess();
      const access = await this.#access;
      await this.#tracker.connected();
      point = new PrototypePoint(definition, access, {
        left: (left) => this.#left(left),
        deleteEverywhere: (deleted) => this.#deleteEverywhere(deleted),
      });
      // First: the tracker's news of the point may come together with its answer.
      this.#points.set(definition.name, point);
      const { offer } = point;
      if (offer !== undefined) await this.#tracker.ask({ request: 'join', point: offer });
      return point;
    } catch (error) {
      // The tracker may have taken it, and its answer be lost.
      if (point !== undefined && this.#remove(point)) {
        void this.#tracker.tell({ request: 'leave', point: definition.name });
      }
      throw error;
    } finally {
      this.#joining -= 1;
      this.#endIfUnused();
    }
  }

  /** The node stops: the others are told, as far as that goes in a short time. */
  async close(): Promise<void> {
    await Promise.all([...this.#points.values()].map((point) => point.local.leave()));
    this.#end();
  }

  async #openAccess(): Promise<RelayAccess> {
    const access = await this.#options.home.openRelayAccess({
      member: this.#id,
      passwordOf: (relay) => (this.#gone.has(relay) ? undefined : relayPassword(this.#relayKey, relay)),
    });
    if (this.#state === 'over') {
      access.close();
      throw new SpaceError('not-found', 'the node has stopped');
    }
    this.#open = access;
    return access;
  }

  // --- what the tracker is told ---

  #statement(localAddress: string | undefined): Ask {
    if (this.#open === undefined)
      throw new SpaceError('not-found', `exchange space '${this.#options.space}' was left`);
    const { endpoint } = this.#open;
    const host = endpoint.host ?? (localAddress === undefined ? 'localhost' : plainAddress(localAddress));
    const problem = problemWithAdvertised(host, localAddress);
    if (problem !== undefined) this.#options.logger.warn({ space: this.#options.space }, problem);
    return {
      request: 'register',
      instance: this.#options.instance,
      endpoint: { ...endpoint, host },
      relayKey: this.#relayKey,
      points: [...this.#points.values()].flatMap(({ offer }) => offer ?? []),
    };
  }

  /** Where somebody is gone, the relay key becomes another one: from the answer on the old passwords are of no use. */
  async #renew(): Promise<void> {
    if (this.#gone.size === 0) {
      await this.#tracker.ask({ request: 'renew' });
      return;
    }
    const gone = [...this.#gone];
    const relayKey = createRelayKey();
    await this.#tracker.ask({ request: 'renew', relayKey });
    this.#relayKey = relayKey;
    for (const member of gone) this.#gone.delete(member);
  }

  // --- what the tracker tells ---

  #told(event: TrackerEvent): void {
    switch (event.event) {
      case 'joined':
        this.#participantJoined(event.point, event.participant);
        return;
      case 'left':
        this.#points.get(event.point)?.participantLeft(event.member);
        this.#closeIfIdle(event.member);
        return;
      case 'gone':
        this.#options.logger.info({ space: this.#options.space, ...event }, 'a member is gone');
        this.#memberGone(event.member);
        return;
      case 'password':
        this.#newPassword(event.member, event.password);
        return;
      case 'point-deleted':
        this.#deleted(event.point, event.reason);
        return;
      case 'space-deleted':
        for (const name of [...this.#points.keys()]) this.#deleted(name, event.reason);
        return;
      case 'dropped':
        void this.#tracker.dropped(event.reason);
        return;
      default:
        event satisfies never;
    }
  }

  #learn(points: NonNullable<Answer['points']>): void {
    for (const { point, participants } of points) {
      for (const participant of participants) this.#participantJoined(point, participant);
    }
  }

  /**
   * A tracker that lost what it knew learns of its members one by one: who is missing after a new registration has some
   * time to come back to it. A participant that is only missing in one point has left that.
   */
  #registered({ points = [] }: Answer): void {
    const present = new Set(points.flatMap(({ participants }) => participants.map(({ member }) => member)));
    for (const member of this.#peers.keys()) {
      if (present.has(member) || this.#missing.has(member)) continue;
      this.#missing.set(
        member,
        setTimeout(() => this.#memberGone(member), GRACE_MS),
      );
    }
    for (const { point: name, participants } of points) {
      const there = new Set(participants.map(({ member }) => member));
      const point = this.#points.get(name);
      for (const member of point?.participants ?? []) {
        if (!there.has(member) && present.has(member)) point?.participantLeft(member);
      }
    }
  }

  /** While the tracker was away, others have defined the point otherwise. */
  #conflicted(name: string, reason: string): boolean {
    const point = this.#points.get(name);
    if (point?.offer === undefined) return false;
    this.#options.logger.warn(
      { space: this.#options.space, reason },
      'an exchange point is defined otherwise by others',
    );
    const members = point.participants;
    point.conflicted(reason);
    for (const member of members) this.#closeIfIdle(member);
    return true;
  }

  #participantJoined(name: string, { member, endpoint, password, outlet }: ParticipantRecord): void {
    const point = this.#points.get(name);
    if (point === undefined || member === this.#id) return;
    this.#found(member);
    this.#gone.delete(member);
    const peer = this.#peers.get(member) ?? { link: this.#newLink(member), endpoint };
    this.#peers.set(member, peer);
    peer.endpoint = endpoint;
    peer.link.update(endpoint, password);
    point.participantJoined(member, outlet, peer.link);
  }

  #newLink(peer: string): RelayLink {
    const { logger, memory, random, tlsCa } = this.#options;
    return new RelayLink({
      self: this.#id,
      peer,
      logger,
      memory,
      random,
      ...(tlsCa && { tls: { ca: tlsCa } }),
    });
  }

  #newPassword(member: string, password: string): void {
    const peer = this.#peers.get(member);
    peer?.link.update(peer.endpoint, password);
  }

  /** It has left the space, has died, or may not be in it any more: neither side reads from the other. */
  #memberGone(member: string): void {
    this.#found(member);
    this.#gone.add(member);
    for (const point of this.#points.values()) point.participantLeft(member);
    this.#closeIfIdle(member);
    this.#open?.dismiss(member);
  }

  #found(member: string): void {
    clearTimeout(this.#missing.get(member));
    this.#missing.delete(member);
  }

  #closeIfIdle(member: string): void {
    for (const point of this.#points.values()) if (point.has(member)) return;
    void this.#peers.get(member)?.link.close();
    this.#peers.delete(member);
    this.#found(member);
  }

  /** The points stay, alone, and the tracker is asked again and again. */
  #refused(reason: string): void {
    const { space, logger } = this.#options;
    if (this.#peers.size > 0) logger.warn({ space, reason }, 'no member any more; all links are closed');
    for (const member of [...this.#peers.keys()]) this.#memberGone(member);
  }

  #deleted(name: string, reason: string): void {
    const point = this.#points.get(name);
    if (point === undefined) return;
    this.#remove(point);
    point.local.deleted(reason);
    this.#endIfUnused();
  }

  // --- leaving ---

  async #left(point: PrototypePoint): Promise<void> {
    if (!this.#remove(point)) return;
    const isLast = this.#points.size === 0 && this.#joining === 0;
    await this.#tracker.tell(
      isLast ? { request: 'unregister' } : { request: 'leave', point: point.definition.name },
    );
    this.#endIfUnused();
  }

  async #deleteEverywhere(point: PrototypePoint): Promise<void> {
    const { name } = point.definition;
    await this.#tracker.ask({ request: 'delete-point', point: name });
    this.#deleted(name, `exchange point '${name}' was deleted`);
  }

  /** False when it was removed before. */
  #remove(point: PrototypePoint): boolean {
    const members = point.participants;
    point.withdraw();
    const { name } = point.definition;
    if (this.#points.get(name) !== point) return false;
    this.#points.delete(name);
    for (const member of members) this.#closeIfIdle(member);
    return true;
  }

  #endIfUnused(): void {
    if (this.#points.size === 0 && this.#joining === 0) this.#end();
  }

  #end(): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    for (const timer of this.#missing.values()) clearTimeout(timer);
    this.#missing.clear();
    for (const { link } of this.#peers.values()) void link.close();
    this.#peers.clear();
    this.#open?.close();
    void this.#tracker.close();
  }
}

function createRelayKey(): string {
  return randomBytes(32).toString('hex');
}
