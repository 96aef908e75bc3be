import { describe, expect, it } from 'vitest';
import { TopicTrie } from '../../src/overlay/topic-trie.js';
import { Random, seed } from '../support/random.js';

function trieOf(patterns: readonly string[]): TopicTrie<string> {
  const trie = new TopicTrie<string>();
  for (const pattern of patterns) trie.set(pattern, pattern);
  return trie;
}

function matched(trie: TopicTrie<string>, routingKey: string): string[] {
  const found: string[] = [];
  trie.match(routingKey, found);
  return found.sort();
}

const split = (key: string): string[] => (key === '' ? [] : key.split('.'));

/** The rule of AMQP 0-9-1 §3.1.3.3 as it is written: slow, and easy to believe. */
function matchesByTheRule(pattern: readonly string[], words: readonly string[]): boolean {
  const [first, ...rest] = pattern;
  if (first === undefined) return words.length === 0;
  if (first === '#')
    return words.some((_, i) => matchesByTheRule(rest, words.slice(i))) || matchesByTheRule(rest, []);
  if (words.length === 0) return false;
  return (first === '*' || first === words[0]) && matchesByTheRule(rest, words.slice(1));
}

describe('a topic trie', () => {
  it.each([
    // pattern, keys that match, keys that do not
    ['usd.stock', ['usd.stock'], ['usd', 'usd.stock.db', 'USD.stock', '']],
    ['*.stock.#', ['usd.stock', 'eur.stock.db', '.stock'], ['stock.nasdaq', 'a.b.stock']],
    ['*', ['a', '*', '#'], ['', 'a.b', '.']],
    ['#', ['', 'a', '.', 'a.b.c', '*'], []],
    ['', [''], ['a', '.']],
    ['a.*', ['a.', 'a.b'], ['a', 'a.b.c']],
    ['a.#', ['a', 'a.', 'a.b.c'], ['', 'ab', 'b.a']],
    ['#.a', ['a', 'b.a', 'a.a'], ['a.b', '']],
    ['#.a.#.b.#', ['a.b', 'x.a.y.b.z', 'a.a.b.b'], ['b.a', 'a', 'b']],
    ['#.*', ['a', 'a.b'], ['']],
    ['*.#.*', ['a.b', 'a.b.c'], ['a', '']],
    ['a..b', ['a..b'], ['a.b', 'a.x.b']],
    ['a*', ['a*'], ['ab', 'a']],
  ])('matches %j with exactly the keys that RabbitMQ matches', (pattern, matching, others) => {
    const trie = trieOf([pattern]);
    expect(matching.filter((key) => matched(trie, key).length !== 1)).toEqual([]);
    expect(others.filter((key) => matched(trie, key).length !== 0)).toEqual([]);
  });

  it(`matches as the rule says, whatever was set and deleted before (SEED=${seed})`, () => {
    const random = new Random(seed);
    const patternWords = ['a', 'b', '', '*', '#', '#'];
    const trie = new TopicTrie<string>();
    const held = new Set<string>();
    for (let round = 0; round < 5_000; round++) {
      const pattern = random.list(5, () => random.pick(patternWords)).join('.');
      if (random.int(3) === 0) {
        const victim = random.pick([pattern, ...held]);
        trie.delete(victim);
        held.delete(victim);
      } else {
        trie.set(pattern, pattern);
        held.add(pattern);
      }
      const key = random.list(6, () => random.pick(['a', 'b', ''])).join('.');
      const expected = [...held].filter((each) => matchesByTheRule(split(each), split(key)));
      expect(matched(trie, key), `key '${key}'`).toEqual(expected.sort());
    }
  });

  it(`never calls a pattern covered that matches more (SEED=${seed})`, () => {
    const random = new Random(seed);
    const word = (): string => random.pick(['a', 'b', '*', '#']);
    const keys = Array.from({ length: 400 }, () =>
      random.list(6, () => random.pick(['a', 'b', 'c'])).join('.'),
    );
    let covered = 0;
    for (let round = 0; round < 2_000; round++) {
      const wide = random.list(4, word).join('.');
      const narrow = random.list(4, word).join('.');
      if (!trieOf([wide]).covers(narrow)) continue;
      covered++;
      const beyond = keys.filter(
        (key) => matchesByTheRule(split(narrow), split(key)) && !matchesByTheRule(split(wide), split(key)),
      );
      expect(beyond, `'${wide}' over '${narrow}'`).toEqual([]);
    }
    expect(covered).toBeGreaterThan(100);
  });

  it.each([
    ['#', ''],
    ['#', '#'],
    ['#', '*.a.#'],
    ['a.#', 'a'],
    ['a.#', 'a.#'],
    ['a.#', 'a.*.b'],
    ['a.*', 'a.*'],
    ['a.*', 'a.b'],
    ['#.b', 'a.*.b'],
    ['#.#', '#'],
  ])('knows that %j covers %j', (wide, narrow) => {
    expect(trieOf([wide]).covers(narrow)).toBe(true);
  });

  it.each([
    ['*', '#'],
    ['a', '*'],
    ['a.*', 'a.#'],
    ['*.#', '#'],
    ['#.a', 'a.#'],
  ])('knows that %j does not cover %j', (narrow, wide) => {
    expect(trieOf([narrow]).covers(wide)).toBe(false);
  });

  it('frees all nodes when all patterns are deleted, in any order', () => {
    const random = new Random(seed);
    const patterns = new Set(
      Array.from({ length: 1_000 }, () =>
        random.list(6, () => random.pick(['a', 'b', 'c', '*', '#'])).join('.'),
      ),
    );
    const trie = trieOf([...patterns]);
    expect(trie.nodes).toBeGreaterThan(patterns.size / 2);
    for (const pattern of [...patterns].sort(() => random.int(3) - 1)) trie.delete(pattern);
    expect(trie.nodes).toBe(1);
  });

  it('keeps the nodes that another pattern needs', () => {
    const trie = trieOf(['a.b', 'a.b.c.d', 'a.*']);
    trie.delete('a.b.c.d');
    trie.delete('a.b.x');
    expect(trie.nodes).toBe(4);
    expect(matched(trie, 'a.b')).toEqual(['a.*', 'a.b']);
  });

  it('matches 32 hashes against 60 words within 10 ms', () => {
    const pattern = Array.from({ length: 32 }, () => '#').join('.a.');
    const trie = trieOf([pattern, `${pattern}.z`, '#.#.#.b']);
    const key = Array.from({ length: 60 }, () => 'a').join('.');
    const startMs = performance.now();
    expect(matched(trie, key)).toEqual([pattern]);
    expect(performance.now() - startMs).toBeLessThan(10);
  });

  it('costs at most three times as much per match with 100,000 patterns as with 10', () => {
    const patternAt = (i: number): string =>
      [`stock.nyse.k${i}.x${i}`, `stock.*.k${i}.#`, `#.x${i}`, `a.b.c${i}`][i % 4] as string;
    const [few, many] = [10, 100_000].map((count) =>
      trieOf(Array.from({ length: count }, (_, i) => patternAt(i))),
    );
    const matchMany = (trie: TopicTrie<string> | undefined): number => {
      const found: string[] = [];
      const startMs = performance.now();
      for (let i = 0; i < 5_000; i++) trie?.match(`stock.nyse.k${i % 10}.x${i % 50}`, found);
      return performance.now() - startMs;
    };
    // The fastest of several runs, taken in turns, is little disturbed by whatever else the machine does.
    const runs = Array.from({ length: 15 }, () => [matchMany(few), matchMany(many)] as const);
    const fewMs = Math.min(...runs.map(([ms]) => ms));
    const manyMs = Math.min(...runs.map(([, ms]) => ms));
    expect(manyMs / fewMs).toBeLessThan(3);
  });
});
