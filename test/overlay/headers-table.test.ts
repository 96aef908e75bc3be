import { describe, expect, it } from 'vitest';
import type { FieldTable } from '../../src/overlay/index.js';
import { exchangeType } from '../../src/overlay/index.js';
import { pattern, routable } from './messages.js';

const headersType = exchangeType('headers');

function matches(wanted: FieldTable, headers: FieldTable): boolean {
  const table = headersType.createTable<string>();
  table.add(pattern('', wanted), 'target');
  const found = new Set<string>();
  table.match(routable('', headers), found);
  return found.has('target');
}

describe('a headers pattern', () => {
  it.each<[string, FieldTable, FieldTable]>([
    ['no argument asks for anything', {}, {}],
    ['all values are there', { a: 1, b: 'x' }, { a: 1, b: 'x', c: true }],
    ['all is spelled out', { 'x-match': 'all', a: 1 }, { a: 1 }],
    ['any value is there', { 'x-match': 'any', a: 1, b: 2 }, { b: 2 }],
    ['an argument without a value finds its header, whatever it holds', { a: null }, { a: 5 }],
    ['an argument without a value finds a header without a value', { a: null }, { a: null }],
    ['an argument that starts with x- is not looked at', { 'x-a': 1, b: 2 }, { b: 2 }],
    ['all-with-x finds an x- header', { 'x-match': 'all-with-x', 'x-a': 1 }, { 'x-a': 1 }],
    ['any-with-x finds an x- header', { 'x-match': 'any-with-x', 'x-a': 1, b: 2 }, { 'x-a': 1 }],
    ['a bigint is as large as a number', { a: 5n, b: 6 }, { a: 5, b: 6n }],
    ['bytes are the same', { a: new Uint8Array([1, 2]) }, { a: Buffer.from([1, 2]) }],
    ['dates are the same', { a: new Date(1000) }, { a: new Date(1000) }],
    ['bytes meet their text', { a: new Uint8Array([97]) }, { a: 'a' }],
    ['a text meets its bytes', { a: 'ü' }, { a: new Uint8Array([0xc3, 0xbc]) }],
    ['a time meets its seconds', { a: new Date(5000) }, { a: 5n }],
    ['seconds meet their time', { a: 5 }, { a: new Date(5000) }],
    ['nested values are the same', { a: { b: [1, { c: 2n }] } }, { a: { b: [1n, { c: 2 }] } }],
    ['a name means something to JavaScript', { constructor: 'x' }, { constructor: 'x' }],
  ])('matches when %s', (_, wanted, headers) => {
    expect(matches(wanted, headers)).toBe(true);
  });

  it.each<[string, FieldTable, FieldTable]>([
    ['one of all values is missing', { a: 1, b: 2 }, { a: 1 }],
    ['a value differs', { a: 1 }, { a: 2 }],
    ['a value is of another kind', { a: 1 }, { a: '1' }],
    ['a boolean meets a number', { a: true }, { a: 1 }],
    ['none of any values is there', { 'x-match': 'any', a: 1, b: 2 }, { a: 2 }],
    ['any of no values is asked for', { 'x-match': 'any' }, { a: 1 }],
    ['any of x- values only is asked for', { 'x-match': 'any', 'x-a': 1 }, { 'x-a': 1 }],
    ['all-with-x misses an x- header', { 'x-match': 'all-with-x', 'x-a': 1 }, {}],
    ['the header that is to be there is not', { a: null }, { b: 1 }],
    ['a header has no value and one is asked for', { a: 1 }, { a: null }],
    ['a name is only inherited', { toString: null }, {}],
    ['bytes differ', { a: new Uint8Array([1, 2]) }, { a: new Uint8Array([1, 3]) }],
    ['bytes meet another text', { a: new Uint8Array([97]) }, { a: 'b' }],
    ['a time is another one', { a: new Date(1000) }, { a: 2 }],
    ['a time meets a text', { a: new Date(1000) }, { a: '1' }],
    ['a list has more elements', { a: [1] }, { a: [1, 2] }],
    ['a list meets a table', { a: [1] }, { a: { 0: 1 } }],
    ['a nested table has more names', { a: { b: 1 } }, { a: { b: 1, c: 2 } }],
  ])('does not match when %s', (_, wanted, headers) => {
    expect(matches(wanted, headers)).toBe(false);
  });

  it('compares with headers of any depth', () => {
    let deep: FieldTable = {};
    for (let level = 0; level < 100_000; level++) deep = { deep };
    expect(matches({ a: { deep: {} } }, { a: deep })).toBe(false);
  });

  it('reads the headers of a message once for all patterns, and not at all without patterns', () => {
    const table = headersType.createTable<number>();
    let reads = 0;
    const message = { routingKey: '', headers: () => ({ read: ++reads }) };
    table.match(message, new Set());
    expect(reads).toBe(0);
    for (let i = 0; i < 10; i++) table.add(pattern('', { read: i }), i);
    const found = new Set<number>();
    table.match(message, found);
    expect([reads, ...found]).toEqual([1, 1]);
  });

  it.each<[FieldTable, string | undefined]>([
    [{ 'x-match': 'any-with-x' }, undefined],
    [{}, undefined],
    [
      { 'x-match': 'some' },
      'Invalid x-match field value <<"some">>; expected all, any, all-with-x, or any-with-x',
    ],
    [{ 'x-match': 1 }, 'Invalid x-match field type signedint (value 1); expected longstr'],
    [{ 'x-match': true }, 'Invalid x-match field type bool (value true); expected longstr'],
    [{ 'x-match': null }, 'Invalid x-match field type void (value undefined); expected longstr'],
    [{ 'x-match': new Date(5000) }, 'Invalid x-match field type timestamp (value 5); expected longstr'],
    [{ 'x-match': ['all'] }, 'Invalid x-match field type array (value ["list","all"]); expected longstr'],
  ])('with arguments %j has the problem %j', (table, problem) => {
    expect(headersType.problemWith(pattern('', table))).toBe(problem);
  });
});
