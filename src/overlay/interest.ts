import { canonicalTable } from './canonical.js';
import type { FieldTable } from './message.js';
import type { Pattern, PointType } from './space.js';

const NO_ARGUMENTS: FieldTable = Object.freeze(Object.create(null));

/**
 * Interest in all messages of a point, whatever its type. A participant with too many patterns tells of this
 * instead: a direct point has no pattern that matches everything, so it is no pattern.
 */
export const EVERYTHING = 'everything';

/** What one participant tells the others that it wants: one item of possibly many. */
export type Interest = Pattern | typeof EVERYTHING;

/** Equal for equal patterns and for no others. */
export function patternKey(pattern: Pattern): string {
  // The first part ends where its braces do, so the two cannot run into each other.
  return canonicalTable(pattern.arguments) + pattern.routingKey;
}

/** {@link patternKey} for interest; no pattern's key is this short. */
export function interestKey(interest: Interest): string {
  return interest === EVERYTHING ? '' : patternKey(interest);
}

/**
 * The pattern without what its type does not look at. Bindings that differ only in the rest want the same
 * messages: a broker tells them apart, other participants need not know.
 */
export function essentialPattern(type: PointType, pattern: Pattern): Pattern {
  switch (type) {
    case 'direct':
    case 'topic':
      return { routingKey: pattern.routingKey, arguments: NO_ARGUMENTS };
    case 'headers':
      return { routingKey: '', arguments: pattern.arguments };
    case 'fanout':
      return { routingKey: '', arguments: NO_ARGUMENTS };
    default:
      return type satisfies never;
  }
}
