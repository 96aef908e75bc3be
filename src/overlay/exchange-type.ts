import type { Routable } from './message.js';
import type { Pattern, PointType } from './space.js';

/**
 * The bindings of one exchange, or the interest in one point: patterns, each with a target, and the targets
 * that a message matches. The same pair is held once.
 */
export interface PatternTable<T> {
  /** False when this pair was there already. */
  add(pattern: Pattern, target: T): boolean;
  /** False when there was no such pair. */
  remove(pattern: Pattern, target: T): boolean;
  /** Adds the matching targets to `found`. */
  match(message: Routable, found: Set<T>): void;
}

/**
 * How messages and patterns meet: one of the exchange types of AMQP 0-9-1 §3.1.3. Broker exchanges and points use
 * the same ones; the composition root hands them to the broker.
 */
export interface ExchangeType {
  readonly name: PointType;
  /** Whether matching looks at the headers; if not, equal routing keys have equal results, which can be cached. */
  readonly readsHeaders: boolean;
  createTable<T>(): PatternTable<T>;
  /**
   * What is wrong with a pattern, as a text for its author; undefined when it is well formed. Tables take only
   * well-formed patterns.
   */
  problemWith(pattern: Pattern): string | undefined;
}
