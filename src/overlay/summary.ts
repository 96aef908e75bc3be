import type { ExchangeType } from './exchange-type.js';
import type { Interest } from './interest.js';
import { EVERYTHING, essentialPattern, patternKey } from './interest.js';
import type { Pattern, PointType } from './space.js';
import { TopicTrie } from './topic-trie.js';

/**
 * Interest that asks for all that the patterns ask for, and has at most `limit` items: the patterns themselves
 * if they are that few, else those of them that no other one covers, else everything.
 */
export function summarise(
  type: ExchangeType,
  patterns: Iterable<Pattern>,
  limit: number,
): readonly Interest[] {
  const all = [...patterns];
  if (all.length <= limit) return all;
  const distinct = distinctPatterns(type.name, all);
  const covering = type.name === 'topic' ? withoutCovered(distinct) : distinct;
  return covering.length <= limit ? covering : [EVERYTHING];
}

function distinctPatterns(type: PointType, patterns: readonly Pattern[]): Pattern[] {
  const distinct = new Map<string, Pattern>();
  for (const pattern of patterns) {
    const essential = essentialPattern(type, pattern);
    distinct.set(patternKey(essential), essential);
  }
  return [...distinct.values()];
}

/** Of two patterns that cover each other, the first pass drops one, so that one is left. */
function withoutCovered(patterns: readonly Pattern[]): Pattern[] {
  return withoutCoveredByEarlier(withoutCoveredByEarlier(patterns).reverse()).reverse();
}

function withoutCoveredByEarlier(patterns: readonly Pattern[]): Pattern[] {
  const kept = new TopicTrie<true>();
  return patterns.filter(({ routingKey }) => {
    if (kept.covers(routingKey)) return false;
    kept.set(routingKey, true);
    return true;
  });
}
