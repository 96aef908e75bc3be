import { MAX_INTEREST_BYTES_PER_LINK, MAX_NAME_BYTES, MAX_POINTS_PER_LINK } from './limits.js';
import type { Link } from './link.js';
import { Participant } from './participant.js';
import { spaceIdFromBytes } from './records.js';
import { PeerFault } from './refusals.js';

/** The points of one peer, as far as it told of them: its part in each, and the numbers that its messages name them by. */
export class PeerPoints implements Iterable<Participant> {
  readonly #link: Link;
  /** By space id and name. */
  readonly #participants = new Map<string, Participant>();
  readonly #byNumber = new Map<number, Participant>();
  #interestBytes = 0;

  constructor(link: Link) {
    this.#link = link;
  }

  [Symbol.iterator](): Iterator<Participant> {
    return this.#participants.values();
  }

  get(spaceId: string, name: string): Participant | undefined {
    return this.#participants.get(spaceId + name);
  }

  /** The peer as a participant of a point. @throws Error when the name is too long, or there are too many points */
  obtain(spaceId: Uint8Array, name: string): Participant {
    const nameBytes = Buffer.byteLength(name);
    if (nameBytes > MAX_NAME_BYTES)
      throw new PeerFault('oversize', `the name of a point has ${nameBytes} bytes`);
    const id = spaceIdFromBytes(spaceId);
    const known = this.get(id, name);
    if (known !== undefined) return known;
    this.#makeRoom(this.#participants.size);
    const participant = new Participant(this.#link, id, name);
    this.#participants.set(id + name, participant);
    return participant;
  }

  /** The peer's messages name the point by this number from now on. @throws Error as `obtain` */
  number(number: number, spaceId: Uint8Array, name: string): void {
    const participant = this.obtain(spaceId, name);
    if (!this.#byNumber.has(number)) this.#makeRoom(this.#byNumber.size);
    this.#byNumber.set(number, participant);
  }

  byNumber(number: number): Participant | undefined {
    return this.#byNumber.get(number);
  }

  /** Books memory for interest; a negative number releases it. @throws Error when the peer tells of too much */
  holdInterest(bytes: number): void {
    if (this.#interestBytes + bytes > MAX_INTEREST_BYTES_PER_LINK) {
      throw new PeerFault('flood', `more than ${MAX_INTEREST_BYTES_PER_LINK} bytes of interest`);
    }
    this.#interestBytes += bytes;
  }

  /** The peer takes no part in any point (any more). What it numbered stays: messages may still be on their way. */
  detach(): void {
    for (const participant of this.#participants.values()) participant.detach();
  }

  /** The peer has started anew, or is given up. */
  clear(): void {
    for (const participant of this.#participants.values()) participant.dismiss();
    this.#participants.clear();
    this.#byNumber.clear();
  }

  /** Points come and go: those that the peer takes no part in any more make room. */
  #makeRoom(size: number): void {
    if (size < MAX_POINTS_PER_LINK) return;
    for (const [number, participant] of this.#byNumber) {
      if (participant.type === undefined) this.#byNumber.delete(number);
    }
    for (const [key, participant] of this.#participants) {
      if (participant.type !== undefined) continue;
      participant.dismiss();
      this.#participants.delete(key);
    }
    if (Math.max(this.#byNumber.size, this.#participants.size) >= MAX_POINTS_PER_LINK) {
      throw new PeerFault('flood', `more than ${MAX_POINTS_PER_LINK} points`);
    }
  }
}
