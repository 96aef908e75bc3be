import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import type { FieldTable, Pattern, PointType, Routable } from '../../src/overlay/index.js';
import { exchangeType, exchangeTypes, patternKey, SpaceError } from '../../src/overlay/index.js';
import { Random, seed } from '../support/random.js';
import { pattern, routable } from './messages.js';

/** Each type's rule for one pattern and one message, as plainly as it can be said. */
const rules: Record<PointType, (pattern: Pattern, message: Routable) => boolean> = {
  direct: (pattern, message) => pattern.routingKey === message.routingKey,
  fanout: () => true,
  topic: (pattern, message) => topicExpression(pattern.routingKey).test(dotted(message.routingKey)),
  headers: ({ arguments: wanted }, message) => {
    const headers = message.headers();
    const meets = (name: string): boolean =>
      name in headers && (wanted[name] === null || wanted[name] === headers[name]);
    const names = Object.keys(wanted).filter((name) => name !== 'x-match');
    return wanted['x-match'] === 'any' ? names.some(meets) : names.every(meets);
  },
};

/** Every word with a dot in front: then '#' is any number of those, and the empty key is none. */
const dotted = (key: string): string => (key === '' ? '' : `.${key}`);

function topicExpression(routingKey: string): RegExp {
  const word: Record<string, string> = { '*': '\\.[^.]*', '#': '(\\.[^.]*)*' };
  const words = routingKey === '' ? [] : routingKey.split('.');
  return new RegExp(`^${words.map((each) => word[each] ?? `\\.${each}`).join('')}$`);
}

function matched(table: { match(message: Routable, found: Set<string>): void }, message: Routable): string[] {
  const found = new Set<string>();
  table.match(message, found);
  return [...found].sort();
}

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

function heapBytes(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

describe.each(exchangeTypes.map((type) => [type.name, type] as const))('a table of type %s', (name, type) => {
  it(`finds what its rule says, whatever was added and removed before (SEED=${seed})`, () => {
    const random = new Random(seed);
    const key = (words: readonly string[]): string => random.list(3, () => random.pick(words)).join('.');
    const values = (): FieldTable =>
      Object.fromEntries(random.list(2, () => [random.pick(['k', 'l']), random.pick([1, 'x', null])]));
    const randomPattern = (): Pattern =>
      pattern(key(['a', 'b', '*', '#']), { ...values(), ...random.pick([{}, { 'x-match': 'any' }]) });

    const table = type.createTable<string>();
    const held = new Map<string, { pattern: Pattern; target: string }>();
    for (let round = 0; round < 3_000; round++) {
      const target = random.pick(['p', 'q', 'r']);
      const pair = { pattern: randomPattern(), target };
      const pairKey = target + patternKey(pair.pattern);
      if (random.int(2) === 0) {
        expect(table.add(pair.pattern, target)).toBe(!held.has(pairKey));
        held.set(pairKey, pair);
      } else {
        expect(table.remove(pair.pattern, target)).toBe(held.delete(pairKey));
      }
      const message = routable(key(['a', 'b']), values());
      const expected = [...held.values()]
        .filter((each) => rules[name](each.pattern, message))
        .map((each) => each.target);
      expect(matched(table, message)).toEqual([...new Set(expected)].sort());
    }
  });

  it('holds a target until the last of its patterns that differ only in what the type ignores is removed', () => {
    const table = type.createTable<string>();
    const same = name === 'headers' ? pattern('other', { a: 1 }) : pattern('key', { a: 2 });
    const third = name === 'headers' ? pattern('third', { a: 1 }) : pattern('key', { a: 3 });
    for (const each of [pattern('key', { a: 1 }), same, third]) expect(table.add(each, 't')).toBe(true);
    expect(table.add(same, 't')).toBe(false);
    const message = routable('key', { a: 1 });
    expect(table.remove(pattern('key', { a: 1 }), 't')).toBe(true);
    expect(table.remove(same, 't')).toBe(true);
    expect(matched(table, message)).toEqual(['t']);
    expect(table.remove(third, 't')).toBe(true);
    expect(table.remove(third, 't')).toBe(false);
    expect(matched(table, message)).toEqual([]);
  });

  it('frees what removed patterns held', () => {
    const table = type.createTable<number>();
    const patternAt = (i: number): Pattern => {
      const long = `${i}.${'x'.repeat(1_000)}`;
      return pattern(long, { long });
    };
    const before = heapBytes();
    for (let i = 0; i < 10_000; i++) table.add(patternAt(i), i);
    expect(heapBytes() - before).toBeGreaterThan(10_000_000);
    for (let i = 0; i < 10_000; i++) table.remove(patternAt(i), i);
    expect(heapBytes() - before).toBeLessThan(2_000_000);
    expect(table.remove(patternAt(0), 0)).toBe(false);
  });

  it('refuses arguments that nest too deep, and takes all others', () => {
    let deep: FieldTable = {};
    for (let level = 0; level < 100; level++) deep = { deep };
    expect(type.problemWith(pattern('a', deep))).toBe('arguments nest deeper than 32 levels');
    expect(type.problemWith(pattern('a', { b: [1n, null, { c: new Date(0) }] }))).toBeUndefined();
  });
});

describe('exchangeType', () => {
  it('finds each of the four types by name', () => {
    expect(exchangeTypes.map(({ name }) => exchangeType(name).name)).toEqual([
      'direct',
      'fanout',
      'topic',
      'headers',
    ]);
  });

  it('names the unknown type and the known ones', () => {
    const unknown = 'x-random' as PointType;
    expect(() => exchangeType(unknown)).toThrow(SpaceError);
    expect(() => exchangeType(unknown)).toThrow(
      "exchange type 'x-random' is not one of direct, fanout, topic, headers",
    );
  });
});
