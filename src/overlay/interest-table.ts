import type { ExchangeType, PatternTable } from './exchange-type.js';
import type { Interest } from './interest.js';
import { EVERYTHING, interestKey } from './interest.js';
import { MAX_CACHED_ROUTING_KEYS, MAX_PATTERNS_PER_PARTICIPANT } from './limits.js';
import type { OutgoingMessage, Routable } from './message.js';

const NOBODY: readonly never[] = [];

/**
 * What the other participants of a point want, as its publisher knows it: decides who gets a message.
 *
 * A participant that tells of more patterns than there may be, against the rule, is taken to want everything until it is
 * cleared: it loses nothing, and the table stays bounded.
 */
export class InterestTable<P extends object> {
  readonly #type: ExchangeType;
  readonly #patterns: PatternTable<P>;
  readonly #wantEverything = new Set<P>();
  readonly #told = new Map<P, Map<string, Interest>>();
  readonly #overflowed = new Set<P>();
  readonly #cache = new Map<string, readonly P[]>();
  /** Used within one match and empty between. */
  readonly #found = new Set<P>();
  readonly #limit: number;

  constructor(type: ExchangeType, limit = MAX_PATTERNS_PER_PARTICIPANT) {
    this.#limit = limit;
    this.#type = type;
    this.#patterns = type.createTable();
  }

  /** False when the participant has told of this already. */
  add(participant: P, interest: Interest): boolean {
    if (this.#overflowed.has(participant)) return false;
    const key = interestKey(interest);
    let told = this.#told.get(participant);
    if (told === undefined) {
      told = new Map();
      this.#told.set(participant, told);
    }
    if (told.has(key)) return false;
    if (told.size >= this.#limit) {
      this.#overflow(participant);
      return true;
    }
    told.set(key, interest);
    this.#enter(participant, interest);
    return true;
  }

  /** False when the participant has not told of this. */
  remove(participant: P, interest: Interest): boolean {
    if (this.#overflowed.has(participant)) return false;
    const told = this.#told.get(participant);
    if (!told?.delete(interestKey(interest))) return false;
    if (told.size === 0) this.#told.delete(participant);
    this.#withdraw(participant, interest);
    return true;
  }

  /** Forgets all that the participant told of. */
  clear(participant: P): void {
    const told = this.#told.get(participant);
    if (told === undefined) return;
    for (const interest of told.values()) this.#withdraw(participant, interest);
    this.#told.delete(participant);
    this.#overflowed.delete(participant);
  }

  /** How much the participant has told of; wanting everything counts as one. */
  count(participant: P): number {
    return this.#told.get(participant)?.size ?? 0;
  }

  /**
   * Those who want the message, each once. The list is shared: it is valid until the next change, and not to be
   * changed.
   */
  match(message: Routable & Pick<OutgoingMessage, 'alsoTo'>): readonly P[] {
    return message.alsoTo === undefined ? this.#matchOne(message) : this.#matchEach(message, message.alsoTo);
  }

  #matchOne(message: Routable): readonly P[] {
    return this.#cache.get(message.routingKey) ?? this.#matchAnew(message);
  }

  #matchEach(message: Routable, alsoTo: readonly string[]): readonly P[] {
    const found = new Set(this.#matchOne(message));
    for (const routingKey of alsoTo) {
      for (const participant of this.#matchOne({ routingKey, headers: () => message.headers() })) {
        found.add(participant);
      }
    }
    return [...found];
  }

  #matchAnew(message: Routable): readonly P[] {
    if (this.#told.size === 0) return NOBODY;
    this.#patterns.match(message, this.#found);
    for (const participant of this.#wantEverything) this.#found.add(participant);
    const targets = this.#found.size === 0 ? NOBODY : [...this.#found];
    this.#found.clear();
    if (this.#type.readsHeaders) return targets;
    if (this.#cache.size >= MAX_CACHED_ROUTING_KEYS) this.#cache.clear();
    this.#cache.set(message.routingKey, targets);
    return targets;
  }

  #overflow(participant: P): void {
    this.clear(participant);
    this.#overflowed.add(participant);
    this.#told.set(participant, new Map([[interestKey(EVERYTHING), EVERYTHING]]));
    this.#enter(participant, EVERYTHING);
  }

  #enter(participant: P, interest: Interest): void {
    if (interest === EVERYTHING) this.#wantEverything.add(participant);
    else this.#patterns.add(interest, participant);
    this.#cache.clear();
  }

  #withdraw(participant: P, interest: Interest): void {
    if (interest === EVERYTHING) this.#wantEverything.delete(participant);
    else this.#patterns.remove(interest, participant);
    this.#cache.clear();
  }
}
