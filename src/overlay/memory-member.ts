import type { InterestChange } from './advertised-interest.js';
import { AdvertisedInterest } from './advertised-interest.js';
import { exchangeType } from './exchange-types.js';
import { InterestTable } from './interest-table.js';
import type { Outward } from './local-point.js';
import { LocalPoint } from './local-point.js';
import type { OutgoingMessage } from './message.js';
import type { ParticipantStatus, Pattern, PointDefinition, PointStatus } from './space.js';

/** A point as its members see it. Within one process, one table of interest serves all publishers. */
export class MemoryPoint {
  readonly definition: PointDefinition;
  /** By node. */
  readonly members = new Map<string, MemoryMember>();
  readonly interest: InterestTable<MemoryMember>;
  readonly #emptied: () => void;

  /** `emptied` is called when the last member is gone, or all are. */
  constructor(definition: PointDefinition, emptied: () => void) {
    this.definition = definition;
    this.interest = new InterestTable(exchangeType(definition.type));
    this.#emptied = emptied;
  }

  remove(node: string, member: MemoryMember): void {
    this.interest.clear(member);
    this.members.delete(node);
    if (this.members.size === 0) this.#emptied();
  }

  /** Ends the sessions of all members. */
  delete(reason: string): void {
    const members = [...this.members.values()];
    // First, so that who joins again from within `deleted` gets a new point.
    this.members.clear();
    this.#emptied();
    for (const member of members) member.local.deleted(reason);
  }
}

/** How many messages went each way between a member and another one. */
interface Traffic {
  sent: number;
  received: number;
}

/** One node's part in a point: all that an implementation does, less the network between. */
export class MemoryMember implements Outward {
  readonly local: LocalPoint;
  readonly #node: string;
  readonly #point: MemoryPoint;
  readonly #advertised: AdvertisedInterest;
  readonly #traffic = new WeakMap<MemoryMember, Traffic>();

  constructor(node: string, point: MemoryPoint) {
    this.#node = node;
    this.#point = point;
    this.#advertised = new AdvertisedInterest(exchangeType(point.definition.type));
    this.local = new LocalPoint(point.definition, this);
    point.members.set(node, this);
  }

  publish(message: OutgoingMessage): undefined {
    for (const member of this.#point.interest.match(message)) {
      if (member === this) continue;
      this.#trafficWith(member).sent++;
      member.#trafficWith(this).received++;
      member.local.receive(message);
    }
  }

  async interestAdded(pattern: Pattern): Promise<void> {
    this.#tell(this.#advertised.add(pattern));
  }

  interestRemoved(pattern: Pattern): void {
    this.#tell(this.#advertised.remove(pattern));
  }

  async left(): Promise<void> {
    this.#point.remove(this.#node, this);
  }

  async delete(): Promise<void> {
    this.#point.delete(`exchange point '${this.#point.definition.name}' was deleted by '${this.#node}'`);
  }

  status(): Pick<PointStatus, 'participants'> {
    const others = [...this.#point.members].filter(([, member]) => member !== this);
    return { participants: others.map(([node, member]) => this.#statusOf(node, member)) };
  }

  #tell(change: InterestChange): void {
    for (const interest of change.removed) this.#point.interest.remove(this, interest);
    for (const interest of change.added) this.#point.interest.add(this, interest);
  }

  #statusOf(node: string, member: MemoryMember): ParticipantStatus {
    const { sent, received } = this.#trafficWith(member);
    return {
      id: node,
      linked: true,
      interest: this.#point.interest.count(member),
      sentMessages: sent,
      receivedMessages: received,
      outboxBytes: 0,
      droppedMessages: 0,
    };
  }

  #trafficWith(member: MemoryMember): Traffic {
    let traffic = this.#traffic.get(member);
    if (traffic === undefined) {
      traffic = { sent: 0, received: 0 };
      this.#traffic.set(member, traffic);
    }
    return traffic;
  }
}
