import { MAX_ORIGINS, MAX_PAST_EPOCHS } from './limits.js';
import type { MessageIdentity } from './message.js';
import { RangeSet } from './range-set.js';

interface Origin {
  epoch: bigint;
  /** The epochs before this one, oldest first. */
  readonly pastEpochs: bigint[];
  sequences: RangeSet;
  lastUse: number;
}

/**
 * The messages of one point that were taken in, so that each is taken in once over reconnects and over any
 * number of paths. A new epoch means that the origin has started again: its numbers begin anew, and what may
 * still be on the way from an epoch before is refused, since it would arrive out of order.
 *
 * At most {@link MAX_ORIGINS} origins are remembered, and {@link MAX_PAST_EPOCHS} past epochs of each.
 */
export class SeenMessages {
  readonly #origins = new Map<string, Origin>();
  #uses = 0;

  /** False for a message that was taken in before. */
  accept(identity: MessageIdentity): boolean {
    const origin = this.#origins.get(identity.origin) ?? this.#remember(identity);
    origin.lastUse = ++this.#uses;
    if (origin.epoch !== identity.epoch) {
      if (origin.pastEpochs.includes(identity.epoch)) return false;
      beginEpoch(origin, identity.epoch);
    }
    return origin.sequences.add(identity.sequence);
  }

  /** For an origin that has left the point: if it comes back, its numbers may begin anew. */
  forget(origin: string): void {
    this.#origins.delete(origin);
  }

  #remember(identity: MessageIdentity): Origin {
    if (this.#origins.size >= MAX_ORIGINS) this.#forgetLeastRecent();
    const origin = { epoch: identity.epoch, pastEpochs: [], sequences: new RangeSet(), lastUse: 0 };
    this.#origins.set(identity.origin, origin);
    return origin;
  }

  #forgetLeastRecent(): void {
    let oldest: string | undefined;
    let oldestUse = Number.POSITIVE_INFINITY;
    for (const [name, origin] of this.#origins) {
      if (origin.lastUse >= oldestUse) continue;
      oldest = name;
      oldestUse = origin.lastUse;
    }
    if (oldest !== undefined) this.#origins.delete(oldest);
  }
}

function beginEpoch(origin: Origin, epoch: bigint): void {
  origin.pastEpochs.push(origin.epoch);
  if (origin.pastEpochs.length > MAX_PAST_EPOCHS) origin.pastEpochs.shift();
  origin.epoch = epoch;
  origin.sequences = new RangeSet();
}
