import { describe, expect, it } from 'vitest';
import type { FieldTable } from '../../src/overlay/index.js';
import { canonicalTable, equalTables, parseCanonicalTable, SpaceError } from '../../src/overlay/index.js';
import { Random, seed } from '../support/random.js';

function randomTable(random: Random, depth: number): FieldTable {
  return Object.fromEntries(
    random.list(3, () => [random.pick(['a', 'b', '"', '__proto__', 'é']), randomValue(random, depth)]),
  );
}

function randomValue(random: Random, depth: number): unknown {
  const scalars = [
    0,
    -1,
    1.5,
    1e21,
    2 ** 60,
    5n,
    2n ** 60n,
    -(2n ** 64n),
    true,
    false,
    '',
    '\n"',
    'é',
    null,
    Number.NaN,
  ];
  const nested = [
    () => randomTable(random, depth - 1),
    () => random.list(3, () => randomValue(random, depth - 1)),
    () => new Date(random.int(3)),
    () => Uint8Array.from(random.list(2, () => random.int(3))),
  ];
  return depth > 0 && random.int(2) === 0 ? random.pick(nested)() : random.pick(scalars);
}

function nest(levels: number, wrap: (inner: unknown) => unknown): FieldTable {
  let value: unknown = 1;
  for (let level = 1; level < levels; level++) value = wrap(value);
  return { value };
}

describe('the canonical text of a table', () => {
  it.each<[FieldTable, string]>([
    [{}, '{}'],
    [{ b: 1, a: 'x', B: true }, '{"B":true,"a":"x","b":1}'],
    [{ '': null, 'a"\n': '\u0000é' }, '{"":null,"a\\"\\n":"\\u0000é"}'],
    [
      { n: [0, -0, 1e21, 1.5, 2 ** 53] },
      '{"n":["list",0,0,["integer","1000000000000000000000"],1.5,["integer","9007199254740992"]]}',
    ],
    [{ n: [5n, -(2n ** 63n)] }, '{"n":["list",5,["integer","-9223372036854775808"]]}'],
    [{ n: [Number.NaN, -Infinity] }, '{"n":["list",["number","NaN"],["number","-Infinity"]]}'],
    [{ at: new Date(1700000000000) }, '{"at":["date",1700000000000]}'],
    [{ b: new Uint8Array([0, 255]) }, '{"b":["bytes","00ff"]}'],
    [{ t: { z: [], y: {} } }, '{"t":{"y":{},"z":["list"]}}'],
  ])('of %o is %s', (table, text) => {
    expect(canonicalTable(table)).toBe(text);
    expect(canonicalTable(parseCanonicalTable(text))).toBe(text);
  });

  it('treats undefined as no value, and a value as another thing than none', () => {
    expect(canonicalTable({ a: undefined })).toBe(canonicalTable({ a: null }));
    expect(equalTables({ a: undefined }, { a: null })).toBe(true);
    expect(equalTables({ a: undefined }, {})).toBe(false);
  });

  it(`is equal exactly for tables that are equal (SEED=${seed})`, () => {
    const random = new Random(seed);
    let equal = 0;
    for (let round = 0; round < 20_000; round++) {
      const [a, b] = [randomTable(random, 2), randomTable(random, 2)];
      expect(equalTables(a, b), `${canonicalTable(a)} and ${canonicalTable(b)}`).toBe(
        canonicalTable(a) === canonicalTable(b),
      );
      expect(equalTables(a, parseCanonicalTable(canonicalTable(a)))).toBe(true);
      if (equalTables(a, b)) equal++;
    }
    expect(equal).toBeGreaterThan(100);
  });

  it('takes 32 levels and refuses 33, of tables and of lists, in both directions', () => {
    for (const wrap of [(inner: unknown) => ({ value: inner }), (inner: unknown) => [inner]]) {
      const text = canonicalTable(nest(32, wrap));
      expect(canonicalTable(parseCanonicalTable(text))).toBe(text);
      expect(() => canonicalTable(nest(33, wrap))).toThrow('arguments nest deeper than 32 levels');
    }
    expect(() => parseCanonicalTable(`${'{"a":'.repeat(33)}1${'}'.repeat(33)}`)).toThrow(
      'deeper than 32 levels',
    );
    expect(() => parseCanonicalTable(`{"a":${'["list",'.repeat(33)}1${']'.repeat(33)}}`)).toThrow(
      'deeper than 32 levels',
    );
  });

  it('ends with an error for a table that holds itself many times over', () => {
    const knot: { [name: string]: unknown } = {};
    for (const name of ['a', 'b', 'c']) knot[name] = knot;
    expect(() => canonicalTable(knot)).toThrow(SpaceError);
    const wide: unknown[] = [];
    for (let i = 0; i < 30; i++) wide.push(wide);
    expect(() => canonicalTable({ wide })).toThrow(SpaceError);
  });

  it('refuses a table that is too large, in both directions', () => {
    const large = { text: 'x'.repeat(70_000) };
    expect(() => canonicalTable(large)).toThrow('arguments are larger than 65536 characters of text');
    expect(() => parseCanonicalTable(JSON.stringify(large))).toThrow('arguments are larger than 65536');
  });

  it('names the argument that is no value', () => {
    expect(() => canonicalTable({ a: { callback: () => {} } })).toThrow("argument 'callback' is a function");
    expect(() => canonicalTable({ at: new Date(Number.NaN) })).toThrow("argument 'at' holds an invalid date");
  });

  it.each([
    '',
    'nonsense',
    'null',
    '1',
    '"a"',
    '[]',
    '{"a":1',
    '{"b":1,"a":1}',
    '{"a":1,"a":1}',
    '{ "a":1}',
    '{"a":1.0}',
    '{"a":1e2}',
    '{"a":12345678901234567890}',
    '{"a":[]}',
    '{"a":[1]}',
    '{"a":["list",[]]}',
    '{"a":["integer","5"]}',
    '{"a":["integer","99999999999999999999x"]}',
    `{"a":["integer","${'9'.repeat(500)}"]}`,
    '{"a":["integer",12345678901234567890]}',
    '{"a":["number","5"]}',
    '{"a":["number","nan"]}',
    '{"a":["date","1700000000000"]}',
    '{"a":["date",1e99]}',
    '{"a":["date",1,2]}',
    '{"a":["bytes","0F"]}',
    '{"a":["bytes","0"]}',
    '{"a":["bytes",{}]}',
    '{"a":["unknown",1]}',
    '{"a":"\\u0061"}',
    '['.repeat(60_000),
  ])('is never %s', (text) => {
    expect(() => parseCanonicalTable(text)).toThrow(SpaceError);
  });

  it('is read into tables without a prototype, so that any name is only a name', () => {
    const table = parseCanonicalTable('{"__proto__":{"x":1}}');
    expect(Object.getPrototypeOf(table)).toBeNull();
    expect(Object.keys(table)).toEqual(['__proto__']);
    expect(canonicalTable(table)).toBe('{"__proto__":{"x":1}}');
  });
});
