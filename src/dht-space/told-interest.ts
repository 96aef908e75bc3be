import type { Interest, InterestChange } from '../overlay/index.js';
import { interestKey } from '../overlay/index.js';
import { MAX_TOLD_PATTERNS } from './limits.js';
import { inParts } from './parts.js';
import type { Interest as InterestMessage, Pattern } from './wire/control.js';

/** What a message about interest holds besides the numbers of change and point. */
export type InterestPart = Pick<InterestMessage, 'snapshot' | 'added' | 'removed' | 'digest'>;

/** One item of interest, ready to be told. */
export interface ToldItem {
  readonly pattern: Pattern;
  /** Its part in the digest. */
  readonly digest: bigint;
}

/** What an encoded pattern takes besides its text. */
const PATTERN_OVERHEAD_BYTES = 16;

/** What this node tells of its interest in one point. Each item is encoded once, to however many it is told. */
export class ToldInterest {
  readonly #items = new Map<string, ToldItem>();
  readonly #encode: (interest: Interest) => ToldItem;
  readonly #limitBytes: number;
  #digest = 0n;

  /** @param limitBytes what is larger comes in several parts */
  constructor(encode: (interest: Interest) => ToldItem, limitBytes: number) {
    this.#encode = encode;
    this.#limitBytes = limitBytes;
  }

  /** For somebody new: all there is. */
  snapshot(): InterestPart[] {
    return this.#parts([...this.#items.values()], 'added', 0n).map((part, index) => ({
      ...part,
      snapshot: index === 0,
    }));
  }

  /**
   * For those who know the rest. One part, so that no message falls between what goes and what comes; where that is
   * too large, what comes is told first.
   */
  change({ removed, added }: InterestChange): InterestPart[] {
    const before = this.#digest;
    const gone = removed.flatMap((interest) => this.#take(interest));
    const news = added.map((interest) => this.#put(interest));
    if (this.#inParts([...news, ...gone]).length === 1) {
      return [{ snapshot: false, added: patterns(news), removed: patterns(gone), digest: this.#digest }];
    }
    const between = news.reduce((digest, item) => digest ^ item.digest, before);
    return [...this.#parts(news, 'added', before), ...this.#parts(gone, 'removed', between)];
  }

  /** How many items there are. */
  get size(): number {
    return this.#items.size;
  }

  #inParts(items: readonly ToldItem[]): ToldItem[][] {
    return inParts(items, bytesOf, this.#limitBytes, MAX_TOLD_PATTERNS);
  }

  #put(interest: Interest): ToldItem {
    const item = this.#encode(interest);
    this.#items.set(interestKey(interest), item);
    this.#digest ^= item.digest;
    return item;
  }

  #take(interest: Interest): ToldItem[] {
    const key = interestKey(interest);
    const item = this.#items.get(key);
    if (item === undefined) return [];
    this.#items.delete(key);
    this.#digest ^= item.digest;
    return [item];
  }

  #parts(items: readonly ToldItem[], as: 'added' | 'removed', before: bigint): InterestPart[] {
    let digest = before;
    return this.#inParts(items).map((part) => {
      for (const item of part) digest ^= item.digest;
      return { snapshot: false, added: [], removed: [], [as]: patterns(part), digest };
    });
  }
}

function patterns(items: readonly ToldItem[]): Pattern[] {
  return items.map(({ pattern }) => pattern);
}

/** A UTF-16 code unit takes at most three octets. */
function bytesOf({ pattern }: ToldItem): number {
  const units = pattern.routingKey.length + pattern.arguments.length;
  return 3 * units + pattern.token.length + PATTERN_OVERHEAD_BYTES;
}
