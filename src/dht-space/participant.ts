import type { Interest, PointType } from '../overlay/index.js';
import { interestKey } from '../overlay/index.js';
import type { ReceivedContent } from './inbox.js';
import { interestDigest } from './interest-wire.js';
import { MAX_SECRET_KEYS, MAX_TOLD_PATTERNS } from './limits.js';
import type { Link } from './link.js';
import type { LinkSession } from './link-session.js';
import type { DhtPoint } from './point.js';
import { PointAccess } from './point-access.js';
import { PeerFault } from './refusals.js';

type ParticipantState =
  | { readonly kind: 'absent' }
  | { readonly kind: 'attached'; readonly session: LinkSession; readonly type: PointType };

export interface InterestUpdate {
  /** Earlier interest is forgotten. */
  readonly snapshot: boolean;
  readonly added: readonly Interest[];
  readonly removed: readonly Interest[];
  /** Of the interest after this change. */
  readonly digest: bigint;
}

/** What a pattern takes in memory besides its text, in round numbers. */
const PATTERN_BYTES = 256;

/**
 * The other side of a link as a participant of one point: what it wants of the point, and what it sent. It is kept
 * while the link is, also where this node does not take part in the point (yet).
 */
export class Participant {
  readonly link: Link;
  readonly spaceId: string;
  readonly name: string;
  sentMessages = 0;
  receivedMessages = 0;
  /** What the other side may do at the point; the point sees to it that this is right. */
  access = PointAccess.nothing;
  #state: ParticipantState = { kind: 'absent' };
  readonly #interest = new Map<string, Interest>();
  #digest = 0n;
  #point: DhtPoint | undefined;
  /** Reused for every message, so that looking one up allocates nothing. */
  readonly #identity: { origin: string; epoch: bigint; sequence: number };

  constructor(link: Link, spaceId: string, name: string) {
    this.link = link;
    this.spaceId = spaceId;
    this.name = name;
    this.#identity = { origin: link.peer, epoch: 0n, sequence: 0 };
  }

  get interest(): Iterable<Interest> {
    return this.#interest.values();
  }

  /** What the other side says the point's type is; undefined while it does not take part. */
  get type(): PointType | undefined {
    return this.#state.kind === 'attached' ? this.#state.type : undefined;
  }

  /** The session in which the other side attached last: it is not this one while it has not told all anew. */
  get attachedIn(): LinkSession | undefined {
    return this.#state.kind === 'attached' ? this.#state.session : undefined;
  }

  /** The other side takes part. Interest stays until the snapshot that follows. */
  attach(session: LinkSession, type: PointType): void {
    if (this.type !== undefined && this.type !== type) this.#clearInterest();
    this.#state = { kind: 'attached', session, type };
  }

  /** The other side takes no part (any more). */
  detach(): void {
    this.#state = { kind: 'absent' };
    this.#clearInterest();
  }

  /** The other side is given up, as a participant of this point. */
  dismiss(): void {
    this.detach();
    this.#point?.dismiss(this);
  }

  /** This node takes part in the point from now on, or no more. */
  set point(point: DhtPoint | undefined) {
    this.#point = point;
    if (point !== undefined)
      for (const interest of this.#interest.values()) point.learnInterest(this, interest);
  }

  /** A message that the other side published to the point. False where it is not let in, or this node takes no part. */
  receive(sequence: number, content: ReceivedContent): boolean {
    const point = this.#point;
    if (point === undefined) return false;
    if (!this.access.mayPublish(content.routingKey)) {
      point.refuseMessage(this, content);
      return true;
    }
    this.#identity.epoch = this.link.remoteEpoch;
    this.#identity.sequence = sequence;
    // The keys of CC are in the header, which nobody here reads.
    content.keyAlone = !this.access.publishesEverything;
    if (point.takeIn(this.#identity, content)) this.receivedMessages += 1;
    return true;
  }

  /** Replaces or changes the interest. @throws Error when the result is not what the other side says it is */
  changeInterest(change: InterestUpdate): void {
    if (change.snapshot) this.#clearInterest();
    for (const interest of change.removed) this.#remove(interest);
    for (const interest of change.added) this.#add(interest);
    if (this.#digest !== change.digest) {
      throw new Error(
        `interest in point '${this.name}' has digest ${this.#digest}, not ${change.digest} as told`,
      );
    }
  }

  #clearInterest(): void {
    for (const key of this.#interest.keys()) this.link.points.holdInterest(-sizeOf(key));
    this.#interest.clear();
    this.#digest = 0n;
    this.#point?.forgetInterest(this);
  }

  #add(interest: Interest): void {
    const key = interestKey(interest);
    if (this.#interest.has(key)) return;
    const limit = this.type === 'direct' ? MAX_SECRET_KEYS : MAX_TOLD_PATTERNS;
    if (this.#interest.size >= limit) throw new PeerFault('flood', `more than ${limit} patterns`);
    this.link.points.holdInterest(sizeOf(key));
    this.#interest.set(key, interest);
    this.#digest ^= interestDigest(interest);
    this.#point?.learnInterest(this, interest);
  }

  #remove(interest: Interest): void {
    const key = interestKey(interest);
    if (!this.#interest.delete(key)) return;
    this.link.points.holdInterest(-sizeOf(key));
    this.#digest ^= interestDigest(interest);
    this.#point?.unlearnInterest(this, interest);
  }
}

/** A pattern is held as a key, as a value, and in the table of the point. */
function sizeOf(key: string): number {
  return 3 * key.length + PATTERN_BYTES;
}
