import type {
  Content,
  Interest,
  InterestChange,
  MessageIdentity,
  OutgoingMessage,
  Outward,
  ParticipantStatus,
  Pattern,
  PointDefinition,
} from '../overlay/index.js';
import {
  AdvertisedInterest,
  EVERYTHING,
  exchangeType,
  InterestTable,
  LocalPoint,
  SeenMessages,
  SpaceError,
} from '../overlay/index.js';
import { encodeInterest, interestDigest, routingKeyToken, toldInterest } from './interest-wire.js';
import { CONTROL_PART_BYTES, MAX_CONTENT_BYTES, MAX_SECRET_KEYS, SETTLE_TIMEOUT_MS } from './limits.js';
import type { Link } from './link.js';
import type { LinkSession } from './link-session.js';
import type { Participant } from './participant.js';
import { PointAccess } from './point-access.js';
import { spaceIdToBytes } from './records.js';
import type { RefusalCause } from './refusals.js';
import { secretDirect } from './secret-table.js';
import type { SpaceGrants } from './space-grants.js';
import type { InterestPart, ToldItem } from './told-interest.js';
import { ToldInterest } from './told-interest.js';

/** The space that a point is in, as the point needs it. */
export interface PointHost {
  readonly spaceId: string;
  /** This node's peer id. */
  readonly self: string;
  /** The last local session has left the point. */
  left(point: DhtPoint): Promise<void>;
  deleteEverywhere(point: DhtPoint): Promise<void>;
  readonly grants: SpaceGrants;
}

type State =
  | { readonly name: 'active' | 'withdrawn' }
  /** Lost against another definition. */
  | { readonly name: 'conflicted'; readonly reason: string };

/** This node's part in a point of a `dht` space: what it wants, told to the others; what they want, kept to. */
export class DhtPoint implements Outward {
  readonly definition: PointDefinition;
  /** Names the point on this node's links. */
  readonly number: number;
  readonly local: LocalPoint;
  readonly #host: PointHost;
  readonly #participants = new Set<Participant>();
  readonly #wanted: InterestTable<Participant>;
  readonly #advertised: AdvertisedInterest;
  readonly #told: ToldInterest;
  #state: State = { name: 'active' };
  /** Sessions in which this node has attached to the point. */
  readonly #attached = new Map<Link, LinkSession>();
  readonly #seen = new SeenMessages();
  /** What this node may do at the point. */
  #access: PointAccess;
  /**
   * Goes on above what this node used when it took part before: a clock that is never set back, and faster than anybody
   * publishes.
   */
  #sequence = Math.floor((performance.timeOrigin + performance.now()) * 1000);

  constructor(definition: PointDefinition, number: number, host: PointHost) {
    this.definition = definition;
    this.number = number;
    this.#host = host;
    this.#access = host.grants.accessOf(host.self, definition.name);
    this.local = new LocalPoint(definition, this);
    const type = exchangeType(definition.type);
    const isSecret = type.name === 'direct';
    // Keys that are told one by one are never more than fit: neither table ever widens what it has.
    this.#wanted = isSecret
      ? new InterestTable(secretDirect(host.spaceId, definition.name), MAX_SECRET_KEYS)
      : new InterestTable(type);
    this.#advertised = new AdvertisedInterest(type, ...(isSecret ? [MAX_SECRET_KEYS] : []));
    this.#told = new ToldInterest((interest) => this.#encode(interest), CONTROL_PART_BYTES);
  }

  /** Why this node takes no part in it any more, although its aliases are there; undefined: it does. */
  get conflict(): string | undefined {
    return this.#state.name === 'conflicted' ? this.#state.reason : undefined;
  }

  // --- messages ---

  publish(message: OutgoingMessage): Promise<void> | undefined {
    // Whether anybody wants it or not: it is the publisher's mistake, and would end the link of whoever does.
    assertFits(message);
    const { routingKey } = message;
    this.#assertMayPublish(routingKey);
    if (!this.#access.publishesEverything)
      for (const key of message.alsoTo ?? []) this.#assertMayPublish(key);
    const participants = this.#wanted.match(message);
    if (participants.length === 0) return undefined;
    this.#sequence += 1;
    let pause: Promise<unknown> | undefined;
    for (const participant of participants) {
      if (!participant.access.maySubscribe(routingKey)) continue;
      const full = participant.link.send(this.number, participant, this.#sequence, message);
      if (full !== undefined) pause = pause === undefined ? full : Promise.all([pause, full]);
    }
    return pause as Promise<void> | undefined;
  }

  /** @throws SpaceError `refused` */
  #assertMayPublish(routingKey: string): void {
    if (this.#access.mayPublish(routingKey)) return;
    throw this.#host.grants.refusal(this.definition.name, `publish with routing key '${routingKey}'`);
  }

  /** False when the message was taken in before. */
  takeIn(identity: MessageIdentity, content: Content): boolean {
    if (!this.#seen.accept(identity)) return false;
    this.local.receive(content);
    return true;
  }

  // --- what the participants want ---

  /** The other side of a link takes part in the point. */
  admit(participant: Participant): void {
    if (this.#state.name !== 'active') return;
    const { peer } = participant.link;
    participant.access = this.#host.grants.accessOf(peer, this.definition.name);
    if (!participant.access.mayAttach) {
      this.#refuse('attach', participant, 'no grant for the point');
      this.dismiss(participant);
    } else if (!this.#participants.has(participant)) {
      this.#participants.add(participant);
      participant.point = this;
    }
  }

  /** What this node may do has changed. */
  review(): void {
    this.#access = this.#host.grants.accessOf(this.#host.self, this.definition.name);
  }

  /** It means another point by the name, or its link was given up. */
  dismiss(participant: Participant): void {
    if (!this.#participants.delete(participant)) return;
    this.#wanted.clear(participant);
    participant.point = undefined;
    participant.access = PointAccess.nothing;
  }

  learnInterest(participant: Participant, interest: Interest): void {
    // What was summarised may go beyond the grant: messages are held back one by one, so that what is granted gets through.
    if (!covers(participant.access, this.definition, interest)) {
      this.#refuse('interest', participant, 'wider than the grant: what is beyond it is not sent');
    }
    this.#wanted.add(participant, interest);
  }

  unlearnInterest(participant: Participant, interest: Interest): void {
    this.#wanted.remove(participant, interest);
  }

  forgetInterest(participant: Participant): void {
    this.#wanted.clear(participant);
  }

  // --- what this node wants ---

  /** Tells the other side of the link that this node takes part, and what it wants. */
  attachTo(link: Link, session: LinkSession): void {
    if (this.#state.name !== 'active') return;
    for (const [other, ended] of this.#attached) if (other.session !== ended) this.#attached.delete(other);
    this.#attached.set(link, session);
    const { name: point, type } = this.definition;
    session.sendChange((number) => ({
      attach: { number, id: this.number, spaceId: spaceIdToBytes(this.#host.spaceId), point, type },
    }));
    this.#tell(session, this.#told.snapshot());
  }

  async interestAdded(pattern: Pattern): Promise<void> {
    if (!covers(this.#access, this.definition, pattern)) {
      throw this.#host.grants.refusal(
        this.definition.name,
        `subscribe with routing key '${pattern.routingKey}'`,
      );
    }
    if (this.definition.type === 'direct' && this.#told.size >= MAX_SECRET_KEYS) {
      const text = `point '${this.definition.name}' has bindings with ${MAX_SECRET_KEYS} routing keys at this node, which is the limit`;
      throw new SpaceError('too-many', text);
    }
    this.#change(this.#advertised.add(pattern));
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, SETTLE_TIMEOUT_MS);
    });
    await Promise.race([this.settled(), limit]);
    clearTimeout(timer);
  }

  interestRemoved(pattern: Pattern): void {
    this.#change(this.#advertised.remove(pattern));
  }

  /** Resolves when the participants linked now have acknowledged all that they were told. */
  async settled(): Promise<void> {
    await Promise.all([...this.#attached.values()].map((session) => session.settlement.settled()));
  }

  #change(change: InterestChange): void {
    if (change.added.length === 0 && change.removed.length === 0) return;
    const parts = this.#told.change(change);
    for (const [link, session] of this.#attached) {
      if (link.session === session) this.#tell(session, parts);
      else this.#attached.delete(link);
    }
  }

  #tell(session: LinkSession, parts: readonly InterestPart[]): void {
    for (const part of parts) {
      session.sendChange((number) => ({ interest: { ...part, number, id: this.number } }));
    }
  }

  #encode(interest: Interest): ToldItem {
    const { name, type } = this.definition;
    const { spaceId, self } = this.#host;
    const told = toldInterest(type, interest, (key) => routingKeyToken(key, spaceId, name, self));
    return { pattern: encodeInterest(type, told), digest: interestDigest(told) };
  }

  // --- what is refused ---

  /** The other side published what its grant does not let it. */
  refuseMessage(participant: Participant, { routingKey }: Content): void {
    this.#refuse('message', participant, `no grant to publish with routing key '${routingKey}'`);
  }

  #refuse(refused: RefusalCause, { link }: Participant, cause: string): void {
    this.#host.grants.refusals.add(refused, { peer: link.peer, point: this.definition.name, cause });
  }

  // --- leaving ---

  async left(): Promise<void> {
    this.#withdraw();
    await this.#host.left(this);
  }

  async delete(): Promise<void> {
    if (!this.#access.mayAdminister) throw this.#host.grants.refusal(this.definition.name, 'administer');
    this.#withdraw();
    await this.#host.deleteEverywhere(this);
  }

  /** Another definition of the name has won: no more traffic. */
  conflicted(reason: string): void {
    this.#withdraw();
    this.#state = { name: 'conflicted', reason };
    this.local.conflicted(reason);
  }

  /** The point was deleted elsewhere. */
  deleted(reason: string): void {
    this.#withdraw();
    this.local.deleted(reason);
  }

  #withdraw(): void {
    this.#state = { name: 'withdrawn' };
    for (const [link, session] of this.#attached) {
      if (link.session === session) session.sendChange((number) => ({ detach: { number, id: this.number } }));
    }
    this.#attached.clear();
    for (const participant of this.#participants) this.dismiss(participant);
  }

  status(): { participants: readonly ParticipantStatus[] } {
    const present = [...this.#participants].filter((participant) => participant.type !== undefined);
    return {
      participants: present.map((participant) => ({
        id: participant.link.peer,
        linked: participant.link.session !== undefined,
        interest: this.#wanted.count(participant),
        sentMessages: participant.sentMessages,
        receivedMessages: participant.receivedMessages,
        outboxBytes: participant.link.outgoing.heldBytes,
        droppedMessages: participant.link.outgoing.droppedMessages,
      })),
    };
  }
}

/** Only the patterns of a topic say beforehand which routing keys they match. */
function covers(access: PointAccess, { type }: PointDefinition, interest: Interest): boolean {
  return type === 'topic' && interest !== EVERYTHING
    ? access.coversPattern(interest.routingKey)
    : access.subscribes;
}

/** @throws SpaceError */
function assertFits({ headerStart, headerEnd, bodyStart, bodyEnd }: OutgoingMessage): void {
  const bytes = headerEnd - headerStart + bodyEnd - bodyStart;
  if (bytes <= MAX_CONTENT_BYTES) return;
  const text = `header and body of ${bytes} octets, the limit of exchange points is ${MAX_CONTENT_BYTES}`;
  throw new SpaceError('too-large', text);
}
