import { patternKey } from './interest.js';
import type { Pattern } from './space.js';

/** Patterns that several ask for at once. Only the first and the last asking are news to anybody else. */
export class CountedInterest {
  readonly #held = new Map<string, { readonly pattern: Pattern; count: number }>();

  /** How many different patterns are asked for. */
  get size(): number {
    return this.#held.size;
  }

  /** True when nobody asked for the pattern before. */
  add(pattern: Pattern): boolean {
    const key = patternKey(pattern);
    const held = this.#held.get(key);
    if (held === undefined) {
      this.#held.set(key, { pattern, count: 1 });
      return true;
    }
    held.count++;
    return false;
  }

  /** True when nobody asks for the pattern any more. */
  remove(pattern: Pattern): boolean {
    const key = patternKey(pattern);
    const held = this.#held.get(key);
    if (held === undefined) return false;
    held.count--;
    return held.count === 0 && this.#held.delete(key);
  }

  /** Each pattern once. */
  *patterns(): Iterable<Pattern> {
    for (const { pattern } of this.#held.values()) yield pattern;
  }
}
