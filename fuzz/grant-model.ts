/** What docs/grants.md says, once more and as simply as possible: slow, without tables, and with nothing kept. */

export interface GrantLink {
  /** Who signs it, and whom it is for: numbers of keys. */
  readonly by: number;
  readonly to: number;
  readonly points: readonly string[];
  readonly rights: readonly string[];
  readonly keys: readonly string[];
  /** Seconds since 1970. */
  readonly iat: number;
  readonly exp: number;
  readonly delegable: number;
  readonly space: string;
}

/** Where a grant would be used. */
export interface Probe {
  readonly point: string;
  readonly key: string;
}

const MAX_CHAIN = 5;
/** More words of `#` than any pattern of the cases has words, and how many `#` are tried with all numbers of words. */
const MANY_WORDS = 9;
const MAX_EXPANDED = 2;
/** Stands for any name or word that no pattern spells out. */
const FRESH = '\u0001';

/** Whether the pattern stands for the name, by the definition of its asterisks. */
export function nameMatches(pattern: string, name: string): boolean {
  return matches([...pattern], [...name], { any: '*' });
}

/** Whether the topic pattern matches the routing key. */
export function keyMatches(pattern: string, key: string): boolean {
  return matches(words(pattern), words(key), { any: '#', one: '*' });
}

/** Whether all names that one pattern stands for are such of the other. */
export function nameCovers(wide: string, narrow: string): boolean {
  return nameMatches(wide, narrow.replaceAll('*', FRESH));
}

/** Whether all routing keys that one pattern matches are matched by the other, as far as it can be found by trying. */
export function keyCovers(wide: string, narrow: string): boolean {
  return expanded(words(narrow)).every((key) => matches(words(wide), key, { any: '#', one: '*' }));
}

/** Whether it gives the right there, by what it says alone. */
export function gives({ rights, points, keys }: GrantLink, right: string, { point, key }: Probe): boolean {
  const isAtPoint = points.some((pattern) => nameMatches(pattern, point));
  return rights.includes(right) && isAtPoint && keys.some((pattern) => keyMatches(pattern, key));
}

/** Whether each is no wider than the one before, and the first one is the owner's, who has the key 0. */
export function isSound(chain: readonly GrantLink[]): boolean {
  return isChain(chain, (wide, narrow) => wide.some((one) => keyCovers(one, narrow)));
}

/** The same, where nobody needs to think about it: such a chain has to be accepted. */
export function isPlain(chain: readonly GrantLink[]): boolean {
  return isChain(chain, (wide, narrow) => wide.includes('#') || wide.includes(narrow));
}

function isChain(
  chain: readonly GrantLink[],
  coversKey: (wide: readonly string[], narrow: string) => boolean,
): boolean {
  if (chain.length > MAX_CHAIN || chain[0]?.by !== 0) return false;
  return chain.slice(1).every((narrow, index) => {
    const wide = chain[index] as GrantLink;
    return (
      narrow.by === wide.to &&
      narrow.space === wide.space &&
      narrow.delegable < wide.delegable &&
      narrow.iat >= wide.iat &&
      narrow.exp <= wide.exp &&
      narrow.rights.every((right) => wide.rights.includes(right)) &&
      narrow.points.every((point) => wide.points.some((one) => nameCovers(one, point))) &&
      narrow.keys.every((key) => coversKey(wide.keys, key))
    );
  });
}

/** Whether the items are what the pattern says, of which one item stands for any number of them, and one for any single one. */
function matches(
  pattern: readonly string[],
  items: readonly string[],
  { any, one }: { readonly any: string; readonly one?: string },
): boolean {
  // How many of the items the pattern so far can take in.
  let taken = new Set([0]);
  for (const part of pattern) {
    const next = new Set<number>();
    if (part === any) {
      for (let count = Math.min(...taken); count <= items.length; count += 1) next.add(count);
    } else {
      for (const count of taken) {
        if (count < items.length && (part === one || part === items[count])) next.add(count + 1);
      }
    }
    taken = next;
  }
  return taken.has(items.length);
}

/** Keys that the pattern matches, made of words that no pattern spells out; all kinds of them, if it has few `#`. */
function expanded(pattern: readonly string[]): readonly (readonly string[])[] {
  const hashes = pattern.filter((word) => word === '#').length;
  const counts = Array.from({ length: MANY_WORDS + 1 }, (_, count) => count);
  let numbers: readonly (readonly number[])[] = [[]];
  if (hashes > MAX_EXPANDED) numbers = [0, 1].map((count) => Array<number>(hashes).fill(count));
  else
    for (let hash = 0; hash < hashes; hash += 1)
      numbers = numbers.flatMap((some) => counts.map((count) => [...some, count]));
  return numbers.map((some) => {
    let hash = 0;
    return pattern.flatMap((word) => {
      if (word === '#') return Array<string>(some[hash++] ?? 0).fill(FRESH);
      return word === '*' ? [FRESH] : [word];
    });
  });
}

function words(key: string): readonly string[] {
  return key === '' ? [] : key.split('.');
}
