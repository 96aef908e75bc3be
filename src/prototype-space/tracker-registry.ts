import { assertSamePoint, parseCanonicalTable } from '../overlay/index.js';
import type { Endpoint } from './home-broker.js';
import type { PointOffer, TrackerRequest } from './protocol.js';

export type Registration = Extract<TrackerRequest, { readonly request: 'register' }>;

/** What a participant record has besides endpoint and outlet, generously. */
const RECORD_BYTES = 192;

/** A member as the tracker knows it. Only the registry changes its offers. */
export interface Member {
  readonly id: string;
  /** The AMQP user that registered it; requests of others for it are refused. */
  readonly user: string;
  instance: string | undefined;
  sequence: number;
  endpoint: Endpoint;
  relayKey: string;
  /** Where events go. Undefined: events may have been missed, so it has to register before anything else. */
  replyTo: string | undefined;
  leaseEndsMs: number;
  readonly offers: Map<string, PointOffer>;
  /** What its offers count for. */
  bytes: number;
}

export function newMember(
  { member, instance, sequence, endpoint, relayKey }: Omit<Registration, 'request'>,
  user: string,
): Member {
  return {
    id: member,
    user,
    instance,
    sequence,
    endpoint,
    relayKey,
    replyTo: undefined,
    leaseEndsMs: 0,
    offers: new Map(),
    bytes: 0,
  };
}

interface Point {
  type: PointOffer['type'];
  arguments: string;
  readonly participants: Set<Member>;
}

/** Who is in which point. A point is there while somebody is in it. */
export class TrackerRegistry {
  readonly #members = new Map<string, Member>();
  readonly #points = new Map<string, Point>();
  #bytes = 0;

  get memberCount(): number {
    return this.#members.size;
  }

  get pointCount(): number {
    return this.#points.size;
  }

  /** What all offers count for. */
  get bytes(): number {
    return this.#bytes;
  }

  find(id: string): Member | undefined {
    return this.#members.get(id);
  }

  /** As they are now: the registry may be changed while they are gone through. */
  members(): readonly Member[] {
    return [...this.#members.values()];
  }

  hasPoint(point: string): boolean {
    return this.#points.has(point);
  }

  /** The others in a point. */
  others(point: string, member: Member): Member[] {
    return [...(this.#points.get(point)?.participants ?? [])].filter((other) => other !== member);
  }

  /** All that are in a point with the member, each once. */
  peers(member: Member): Set<Member> {
    const peers = new Set<Member>();
    for (const point of member.offers.keys()) {
      for (const other of this.#points.get(point)?.participants ?? []) peers.add(other);
    }
    peers.delete(member);
    return peers;
  }

  /**
   * Asserts that an offer fits the point as it is for all but those in `without`.
   *
   * @throws SpaceError `conflict`
   */
  assertFits(space: string, { name, type, arguments: args }: PointOffer, without: readonly Member[]): void {
    const point = this.#points.get(name);
    if (point === undefined || (point.type === type && point.arguments === args)) return;
    if ([...point.participants].every((participant) => without.includes(participant))) return;
    const current = { name, type: point.type, arguments: parseCanonicalTable(point.arguments) };
    assertSamePoint(space, current, { name, type, arguments: parseCanonicalTable(args) });
  }

  add(member: Member): void {
    this.#members.set(member.id, member);
  }

  /** The member is in no point any more, and is no member. */
  remove(member: Member): void {
    for (const point of [...member.offers.keys()]) this.leave(point, member);
    this.#members.delete(member.id);
  }

  /** In place of what the member offered for this point before. */
  join(member: Member, offer: PointOffer): void {
    this.leave(offer.name, member);
    let point = this.#points.get(offer.name);
    if (point === undefined) {
      point = { type: offer.type, arguments: offer.arguments, participants: new Set() };
      this.#points.set(offer.name, point);
    }
    point.participants.add(member);
    member.offers.set(offer.name, offer);
    this.#count(member, offerBytes(member.endpoint, offer));
  }

  /** False when it was not in it. */
  leave(name: string, member: Member): boolean {
    const offer = member.offers.get(name);
    const point = this.#points.get(name);
    if (offer === undefined || point === undefined) return false;
    member.offers.delete(name);
    this.#count(member, -offerBytes(member.endpoint, offer));
    point.participants.delete(member);
    if (point.participants.size === 0) this.#points.delete(name);
    return true;
  }

  /** As the member has it from now on. Its offers count for as much as they do with it. */
  move(member: Member, endpoint: Endpoint): void {
    this.#count(member, -member.bytes);
    member.endpoint = endpoint;
    for (const offer of member.offers.values()) this.#count(member, offerBytes(endpoint, offer));
  }

  clear(): void {
    this.#members.clear();
    this.#points.clear();
    this.#bytes = 0;
  }

  #count(member: Member, bytes: number): void {
    member.bytes += bytes;
    this.#bytes += bytes;
  }
}

/** At least what an offer takes in the record that others get of it, and in the stored state. */
export function offerBytes(endpoint: Endpoint, offer: PointOffer): number {
  return (
    Buffer.byteLength(JSON.stringify(endpoint)) + Buffer.byteLength(JSON.stringify(offer)) + RECORD_BYTES
  );
}
