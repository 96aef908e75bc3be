import type { ExchangeType } from './exchange-type.js';
import type { Interest } from './interest.js';
import { EVERYTHING, interestKey, patternKey } from './interest.js';
import { MAX_PATTERNS_PER_PARTICIPANT } from './limits.js';
import type { Pattern } from './space.js';
import { summarise } from './summary.js';

/** What to tell the other participants. They take both parts at once, so that no message falls between. */
export interface InterestChange {
  readonly removed: readonly Interest[];
  readonly added: readonly Interest[];
}

const NO_CHANGE: InterestChange = { removed: [], added: [] };

/**
 * What a node tells the others of its interest in a point: the very patterns while there are at most `limit`, a
 * summary of them above.
 *
 * A summary may stand for more than is wanted, never for less. It is made with room for as many patterns again
 * and is given up only when the patterns have become half of `limit`, so that patterns which come and go around
 * the limit do not make it each time anew.
 */
export class AdvertisedInterest {
  readonly #type: ExchangeType;
  readonly #limit: number;
  readonly #own = new Map<string, Pattern>();
  #told = new Map<string, Interest>();
  #state: 'exact' | 'summarised' = 'exact';

  constructor(type: ExchangeType, limit = MAX_PATTERNS_PER_PARTICIPANT) {
    this.#type = type;
    this.#limit = limit;
  }

  /** All that has been told: what somebody who is new needs to know. */
  get told(): Iterable<Interest> {
    return this.#told.values();
  }

  /** For a pattern that nobody of this node asked for before. */
  add(pattern: Pattern): InterestChange {
    const key = patternKey(pattern);
    this.#own.set(key, pattern);
    if (this.#told.has(key) || this.#told.has(interestKey(EVERYTHING))) return NO_CHANGE;
    if (this.#told.size >= this.#limit) return this.#summarise();
    this.#told.set(key, pattern);
    return { removed: [], added: [pattern] };
  }

  /** For a pattern that nobody of this node asks for any more. */
  remove(pattern: Pattern): InterestChange {
    const key = patternKey(pattern);
    if (!this.#own.delete(key)) return NO_CHANGE;
    switch (this.#state) {
      case 'exact':
        this.#told.delete(key);
        return { removed: [pattern], added: [] };
      case 'summarised':
        if (this.#own.size > this.#limit / 2) return NO_CHANGE;
        this.#state = 'exact';
        return this.#tell([...this.#own.values()]);
      default:
        return this.#state satisfies never;
    }
  }

  #summarise(): InterestChange {
    this.#state = 'summarised';
    return this.#tell(summarise(this.#type, this.#own.values(), this.#limit / 2));
  }

  #tell(interests: readonly Interest[]): InterestChange {
    const before = this.#told;
    const now = new Map(interests.map((interest) => [interestKey(interest), interest]));
    this.#told = now;
    return {
      removed: [...before].filter(([key]) => !now.has(key)).map(([, interest]) => interest),
      added: [...now].filter(([key]) => !before.has(key)).map(([, interest]) => interest),
    };
  }
}
