import type {
  Content,
  InterestChange,
  OutgoingMessage,
  Outward,
  ParticipantStatus,
  Pattern,
  PointDefinition,
} from '../overlay/index.js';
import {
  AdvertisedInterest,
  canonicalTable,
  exchangeType,
  LocalPoint,
  SpaceError,
} from '../overlay/index.js';
import { drained } from './drained.js';
import type { Outlet, RelayAccess } from './home-broker.js';
import { MAX_CONTENT_BYTES, SETTLE_TIMEOUT_MS } from './limits.js';
import type { OutletOffer, PointOffer } from './protocol.js';
import type { RelayLink, RelayReader } from './relay-link.js';

/** The membership that a point is in, as the point needs it. */
export interface PointHost {
  /** The last local session has left the point. */
  left(point: PrototypePoint): Promise<void>;
  deleteEverywhere(point: PrototypePoint): Promise<void>;
}

/** Another member in the point. */
interface Participant {
  readonly outlet: OutletOffer;
  readonly reader: RelayReader;
}

/**
 * This node's part in a point of a `prototype` space. What its apps publish goes to the outlet, where the other members'
 * relays have bound what they want; what the others publish is read from their outlets, by the links of this node.
 */
export class PrototypePoint implements Outward {
  readonly definition: PointDefinition;
  readonly local: LocalPoint;
  readonly #host: PointHost;
  readonly #outlet: Outlet;
  /** By member id. */
  readonly #participants = new Map<string, Participant>();
  readonly #advertised: AdvertisedInterest;
  readonly #waiting = new Set<() => void>();
  #state: 'active' | 'withdrawn' = 'active';
  #leaving: Promise<void> | undefined;

  constructor(definition: PointDefinition, access: RelayAccess, host: PointHost) {
    this.definition = definition;
    this.#host = host;
    this.#advertised = new AdvertisedInterest(exchangeType(definition.type));
    this.local = new LocalPoint(definition, this);
    this.#outlet = access.openOutlet(definition.type, () => this.#changed());
  }

  /** What the tracker is told; undefined: this node takes no part in it any more. */
  get offer(): PointOffer | undefined {
    if (this.#state === 'withdrawn') return undefined;
    const { name, type } = this.definition;
    const { number, exchange, everything } = this.#outlet;
    const outlet = { number, exchange, everything };
    return { name, type, arguments: canonicalTable(this.definition.arguments), outlet };
  }

  /** The members that are in the point. */
  get participants(): readonly string[] {
    return [...this.#participants.keys()];
  }

  has(member: string): boolean {
    return this.#participants.has(member);
  }

  // --- messages ---

  publish(message: OutgoingMessage): Promise<void> | undefined {
    assertFits(message);
    return this.#outlet.publish(message);
  }

  // --- the others ---

  /** A member is in the point, or has come back to it with another outlet. */
  participantJoined(member: string, outlet: OutletOffer, link: RelayLink): void {
    if (this.#state === 'withdrawn') return;
    const known = this.#participants.get(member);
    if (known?.outlet.exchange === outlet.exchange) return;
    known?.reader.close();
    const reader = link.open({
      outlet,
      interest: () => this.#advertised.told,
      receive: (content: Content) => this.local.receive(content),
      changed: () => this.#changed(),
    });
    this.#participants.set(member, { outlet, reader });
  }

  participantLeft(member: string): void {
    this.#participants.get(member)?.reader.close();
    this.#participants.delete(member);
    this.#changed();
  }

  /** Resolves when all that are known to be in the point are linked or cannot be reached, or at the limit. */
  async linked(limitMs: number): Promise<void> {
    if (this.#allSettled()) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, limitMs);
      this.#waiting.add(done);
    });
  }

  // --- what this node wants ---

  async interestAdded(pattern: Pattern): Promise<void> {
    const bound = this.#change(this.#advertised.add(pattern));
    if (bound.length === 0) return;
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, SETTLE_TIMEOUT_MS);
    });
    await Promise.race([Promise.all(bound), limit]);
    clearTimeout(timer);
  }

  interestRemoved(pattern: Pattern): void {
    this.#change(this.#advertised.remove(pattern));
  }

  /** What is new first, so that nothing falls between: a queue gets a message once, whatever it is bound by. */
  #change({ added, removed }: InterestChange): readonly Promise<void>[] {
    const bound: Promise<void>[] = [];
    for (const { reader } of this.#participants.values()) {
      for (const interest of added) bound.push(reader.bind(interest));
      for (const interest of removed) reader.unbind(interest);
    }
    return bound;
  }

  // --- leaving ---

  left(): Promise<void> {
    this.#leaving = drained(() => this.#waitingBytes()).then(() => this.#host.left(this));
    return this.#leaving;
  }

  /** Set when the last session has left, until that is done: who joins meanwhile has to wait. */
  get leaving(): Promise<void> | undefined {
    return this.#leaving;
  }

  #waitingBytes(): number {
    return this.participants.reduce((sum, member) => sum + (this.#outlet.reader(member)?.bytes ?? 0), 0);
  }

  /** The sessions stay where the tracker does not permit it. */
  delete(): Promise<void> {
    return this.#host.deleteEverywhere(this);
  }

  /** Another definition of the name holds: no more traffic. */
  conflicted(reason: string): void {
    this.withdraw();
    this.local.conflicted(reason);
  }

  /** Ends its part in all traffic. */
  withdraw(): void {
    if (this.#state === 'withdrawn') return;
    this.#state = 'withdrawn';
    for (const { reader } of this.#participants.values()) reader.close();
    this.#participants.clear();
    this.#outlet.close();
    this.#changed();
  }

  #changed(): void {
    if (this.#waiting.size === 0 || !this.#allSettled()) return;
    for (const done of [...this.#waiting]) done();
  }

  #allSettled(): boolean {
    for (const [member, participant] of this.#participants) {
      if (!this.#isLinked(member, participant) && !participant.reader.failing) return false;
    }
    return true;
  }

  /** Both ways. */
  #isLinked(member: string, { reader }: Participant): boolean {
    return reader.state === 'linked' && this.#outlet.reader(member) !== undefined;
  }

  status(): { participants: readonly ParticipantStatus[] } {
    return {
      participants: [...this.#participants].map(([id, participant]) => this.#statusOf(id, participant)),
    };
  }

  #statusOf(id: string, participant: Participant): ParticipantStatus {
    const sent = this.#outlet.reader(id);
    return {
      id,
      linked: this.#isLinked(id, participant),
      interest: sent?.bindings ?? 0,
      sentMessages: sent?.messages ?? 0,
      receivedMessages: participant.reader.receivedMessages,
      outboxBytes: sent?.bytes ?? 0,
      droppedMessages: sent?.droppedMessages ?? 0,
    };
  }
}

/** @throws SpaceError */
function assertFits({ headerStart, headerEnd, bodyStart, bodyEnd }: OutgoingMessage): void {
  const bytes = headerEnd - headerStart + bodyEnd - bodyStart;
  if (bytes <= MAX_CONTENT_BYTES) return;
  const text = `header and body of ${bytes} octets, the limit of exchange points is ${MAX_CONTENT_BYTES}`;
  throw new SpaceError('too-large', text);
}
