import { describe, expect, it } from 'vitest';
import type { FieldTable, FieldValue } from '../../src/amqp-codec/index.js';
import { CodecError, Decimal, decodeTable, encodeTable } from '../../src/amqp-codec/index.js';
import { MAX_ENCODED_BYTES, MAX_TABLE_DEPTH, MAX_TABLE_VALUES } from '../../src/amqp-codec/limits.js';
import { Random, seed } from '../support/random.js';
import { nestedEntry, octets } from './octets.js';
import { RandomValues } from './random-values.js';

const decoded = (bytes: Buffer) => decodeTable(bytes, 0, bytes.length);
/** The octets of a value with its type, as the table { v: … } has them. */
const decodedValue = (hex: string) => decoded(octets(`01 76 ${hex}`)).v;
const encodedValue = (v: FieldValue) => encodeTable({ v }).subarray(2).toString('hex');

const refused = (code: string, text: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(text) });

/** Types that are written for the values beside them. */
const BOTH_WAYS: readonly (readonly [FieldValue, string])[] = [
  [true, '74 01'],
  [false, '74 00'],
  [0, '49 00000000'],
  [-1, '49 ffffffff'],
  [2_147_483_647, '49 7fffffff'],
  [-2_147_483_648, '49 80000000'],
  [2_147_483_648, '6c 0000000080000000'],
  [-2_147_483_649, '6c ffffffff7fffffff'],
  [Number.MAX_SAFE_INTEGER, '6c 001fffffffffffff'],
  [Number.MIN_SAFE_INTEGER, '6c ffe0000000000001'],
  [2n ** 53n, '6c 0020000000000000'],
  [2n ** 63n - 1n, '6c 7fffffffffffffff'],
  [-(2n ** 63n), '6c 8000000000000000'],
  [1.5, '64 3ff8000000000000'],
  [-0, '64 8000000000000000'],
  [Number.NaN, '64 7ff8000000000000'],
  [Number.NEGATIVE_INFINITY, '64 fff0000000000000'],
  [new Decimal(2, 12_345), '44 02 00003039'],
  ['', '53 00000000'],
  ['Zoë', '53 00000004 5a6fc3ab'],
  [Buffer.of(0, 255), '78 00000002 00ff'],
  [new Date('2009-02-13T23:31:30Z'), '54 00000000499602d2'],
  [null, '56'],
  [[], '41 00000000'],
  [[1, [null]], '41 0000000b 49 00000001 41 00000001 56'],
  [{}, '46 00000000'],
  [{ a: { b: null } }, '46 0000000a 01 61 46 00000003 01 62 56'],
];

/** Types that are only read. */
const DECODED_ONLY: readonly (readonly [FieldValue, string])[] = [
  [true, '74 ff'],
  [-128, '62 80'],
  [128, '42 80'],
  [-32_768, '73 8000'],
  [32_768, '75 8000'],
  [2_147_483_648, '69 80000000'],
  [-2, '4c fffffffffffffffe'],
  [1, '6c 0000000000000001'],
  [1.5, '66 3fc00000'],
];

describe('field tables', () => {
  it.each(BOTH_WAYS)('%o is encoded and decoded as %s', (value, hex) => {
    expect(encodedValue(value)).toBe(hex.replaceAll(' ', ''));
    expect(decodedValue(hex)).toEqual(value);
  });

  it.each(DECODED_ONLY)('%o is decoded from %s', (value, hex) => {
    expect(decodedValue(hex)).toEqual(value);
  });

  it(`come back as they went (SEED=${seed})`, () => {
    const values = new RandomValues(new Random(seed));
    for (let round = 0; round < 2000; round++) {
      const table = values.table();
      expect(decoded(encodeTable(table))).toEqual(table);
    }
  });

  it('are decoded from the given range of a buffer', () => {
    expect(decodeTable(octets('ffff 01 61 56 ffff'), 2, 5)).toEqual({ a: null });
  });

  it('keep the last of several values with one name', () => {
    expect(decoded(octets('01 61 42 01 01 61 42 02'))).toEqual({ a: 2 });
  });

  it('take names that mean something to JavaScript as mere names', () => {
    const names = ['__proto__', 'constructor', 'hasOwnProperty', 'toString'];
    const table = decoded(Buffer.concat(names.map((name) => nestedEntry(name, 'F', octets('01 61 56')))));
    expect(Object.keys(table)).toEqual(names);
    expect(Object.getPrototypeOf(table)).toBeNull();
    expect(Object.getPrototypeOf(table.constructor)).toBeNull();
    expect(({} as FieldTable).a).toBeUndefined();
    expect(decoded(encodeTable(table))).toEqual(table);
  });

  it('own their octets, since what they were decoded from is only lent', () => {
    const bytes = octets('01 76 78 00000002 0102');
    const table = decoded(bytes);
    bytes.fill(0);
    expect(table).toEqual({ v: Buffer.of(1, 2) });
  });

  it('take a timestamp beyond what a Date can hold as the last moment that it can', () => {
    const last = new Date(8_640_000_000_000_000);
    expect(decodedValue('54 ffffffffffffffff')).toEqual(last);
    expect(decodedValue(encodedValue(last))).toEqual(last);
  });

  it('carry names and strings of any octets unchanged', () => {
    const bytes = octets('03 61ff62 53 00000005 80 c3a9 eda0');
    expect(encodeTable(decoded(bytes))).toEqual(bytes);
  });
});

describe('limits of field tables', () => {
  it.each([
    ['a name beyond the table', '05 61'],
    ['a name without a value', '01 61'],
    ['a number beyond the table', '01 61 49 000000'],
    ['a string beyond the table', '01 61 53 00000002 61'],
    ['a string beyond any buffer', '01 61 53 ffffffff 61'],
    ['a table beyond the table', '01 61 46 00000004 01 62 56'],
    [
      'a value beyond the inner table, though not beyond the outer one',
      '01 61 46 00000003 01 62 42 01 63 56',
    ],
    ['an array beyond the table', '01 61 41 ffffffff 56'],
    ['half a value in an array', '01 61 41 00000002 49 00'],
    ['an unknown type', '01 61 55 0000'],
  ])('refuse %s', (_what, hex) => {
    expect(() => decoded(octets(hex))).toThrow(refused('syntax-error', /octets expected|no field type/));
  });

  it('name the place of what is refused', () => {
    const text = 'no field type has the octet 85';
    const error = new CodecError('syntax-error', text, 'a.1.b');
    expect(() => decoded(octets('01 61 41 00000009 56 46 00000003 01 62 55'))).toThrow(error);
    expect(() => encodeTable({ a: [null, { b: Symbol('b') as never }] })).toThrow(
      new CodecError('unencodable', 'a field table holds no symbol', 'a.1.b'),
    );
  });

  it('allow and refuse depths alike in both directions, arrays counted', () => {
    let table: FieldTable = {};
    let bytes: Buffer = Buffer.alloc(0);
    for (let depth = 1; depth + 2 <= MAX_TABLE_DEPTH; depth += 2) {
      table = { a: [table] };
      bytes = nestedEntry('a', 'A', nestedEntry('', 'F', bytes).subarray(1));
    }
    table = { b: table };
    bytes = nestedEntry('b', 'F', bytes);
    expect(encodeTable(table)).toEqual(bytes);
    expect(decoded(bytes)).toEqual(table);
    expect(() => encodeTable({ c: table })).toThrow(refused('unencodable', /nested more than/));
    expect(() => decoded(nestedEntry('c', 'F', bytes))).toThrow(refused('syntax-error', /nested more than/));
  });

  it('allow more tables side by side than one in another', () => {
    const table = Object.fromEntries(
      Array.from({ length: MAX_TABLE_DEPTH + 1 }, (_, index) => [index, { a: [] }]),
    );
    expect(decoded(encodeTable(table))).toEqual(table);
  });

  it('refuse nesting far beyond any stack', () => {
    const depth = 100_000;
    const bytes = Buffer.alloc(depth * 7);
    for (let level = 0; level < depth; level++) {
      bytes.write('\x01aF', level * 7, 'latin1');
      bytes.writeUInt32BE(bytes.length - (level + 1) * 7, level * 7 + 3);
    }
    expect(() => decoded(bytes)).toThrow(refused('syntax-error', /nested more than/));
  });

  it('refuse a table that contains itself', () => {
    const table: Record<string, FieldValue> = {};
    table.self = table;
    expect(() => encodeTable(table)).toThrow(refused('unencodable', /^self\.self.*nested more than/));
  });

  it('allow and refuse numbers of values alike in both directions, nested ones counted', () => {
    const values = new Array<null>(MAX_TABLE_VALUES - 1).fill(null);
    const bytes = nestedEntry('a', 'A', Buffer.alloc(values.length, 'V'));
    expect(encodeTable({ a: values })).toEqual(bytes);
    expect(decoded(bytes)).toEqual({ a: values });
    const oneMore = Buffer.concat([bytes, octets('01 62 56')]);
    expect(() => encodeTable({ a: values, b: null })).toThrow(refused('unencodable', /more than .* values/));
    expect(() => decoded(oneMore)).toThrow(refused('syntax-error', /more than .* values/));
  });

  it('refuse to encode more octets than the limit, and a name longer than a short string', () => {
    const most = MAX_ENCODED_BYTES - 7;
    expect(encodeTable({ a: 'x'.repeat(most) })).toHaveLength(MAX_ENCODED_BYTES);
    expect(() => encodeTable({ a: 'x'.repeat(most + 1) })).toThrow(refused('unencodable', /^a: above/));
    expect(() => encodeTable({ ['é'.repeat(128)]: 1 })).toThrow(refused('unencodable', /more than 255/));
  });

  it.each<[string, unknown, RegExp]>([
    ['undefined', undefined, /^v: a field table holds no undefined/],
    ['a function', () => 1, /^v: a field table holds no function/],
    ['a Map', new Map(), /^v: a field table holds no objects of other classes/],
    ['an integer of more than 64 bits', 2n ** 63n, /^v: 9223372036854775808 has more than 64 bits/],
    ['an invalid date', new Date(Number.NaN), /^v: no valid date/],
    ['a date before 1970', new Date(-1), /^v: no valid date, or before 1970/],
    ['a decimal with a large scale', new Decimal(256, 1), /^v: 256 is no integer from 0 to 255/],
    ['a negative decimal', new Decimal(0, -1), /^v: -1 is no integer/],
    ['half of a surrogate pair', '\ud83d', /^v: half of a surrogate pair/],
  ])('refuse to encode %s', (_what, v, text) => {
    expect(() => encodeTable({ v: v as FieldValue })).toThrow(refused('unencodable', text));
  });
});
