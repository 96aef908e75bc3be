import { TopicTrie } from '../overlay/index.js';

const ANY = '*';

/**
 * Whether the name, or each name that the other pattern stands for, is one that the pattern stands for: an asterisk of
 * the other one is a character that only an asterisk takes in.
 */
export function coversName(pattern: string, name: string): boolean {
  let at = 0;
  let inName = 0;
  /** Where to go on when the last asterisk has to take in one character more. */
  let afterAny = -1;
  let takenTo = 0;
  while (inName < name.length) {
    if (pattern[at] === ANY) {
      at += 1;
      afterAny = at;
      takenTo = inName;
    } else if (at < pattern.length && pattern[at] === name[inName]) {
      at += 1;
      inName += 1;
    } else if (afterAny >= 0) {
      at = afterAny;
      takenTo += 1;
      inName = takenTo;
    } else return false;
  }
  while (pattern[at] === ANY) at += 1;
  return at === pattern.length;
}

/** Topic patterns of which one has to match. */
export class RoutingKeys {
  readonly #trie = new TopicTrie<true>();
  readonly #found: true[] = [];
  /** Whether every routing key matches. */
  readonly isEverything: boolean;

  constructor(patterns: readonly string[]) {
    for (const pattern of patterns) this.#trie.set(pattern, true);
    this.isEverything = patterns.includes('#');
  }

  matches(routingKey: string): boolean {
    this.#found.length = 0;
    this.#trie.match(routingKey, this.#found);
    return this.#found.length > 0;
  }

  /** Whether one of the patterns matches all that this one matches. */
  covers(pattern: string): boolean {
    return this.#trie.covers(pattern);
  }
}
