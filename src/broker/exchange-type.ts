import type { FieldTable, Routable } from './message.js';

/** What a binding asks for: its routing key and its arguments, read by the rules of the exchange type. */
export interface Pattern {
  readonly routingKey: string;
  readonly arguments: FieldTable;
}

/** Patterns, each with a target, and the targets that a message matches. */
export interface PatternTable<T> {
  /** False when this pair was there already. */
  add(pattern: Pattern, target: T): boolean;
  /** False when there was no such pair. */
  remove(pattern: Pattern, target: T): boolean;
  /** Adds the matching targets to `found`. */
  match(message: Routable, found: Set<T>): void;
}

/** How messages and bindings meet. The broker has none of its own: it is given a registry of them. */
export interface ExchangeType {
  readonly name: string;
  /**
   * Whether matching looks at the headers; if not, equal routing keys have equal results, which can be cached.
   */
  readonly readsHeaders: boolean;
  createTable<T>(): PatternTable<T>;
  /** What is wrong with a pattern, as a text for its author; undefined when it is well formed. */
  problemWith(pattern: Pattern): string | undefined;
}
