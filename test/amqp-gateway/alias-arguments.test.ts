import { describe, expect, it } from 'vitest';
import { Decimal } from '../../src/amqp-codec/index.js';
import {
  assertEqualArguments,
  parseAliasArguments,
  parseSpaceArguments,
} from '../../src/amqp-gateway/alias-arguments.js';
import type { FieldTable } from '../../src/overlay/index.js';

const space = { implementation: 'dht', space: 'market' };
const alias = { exchangespace: space, exchangename: 'bids', exchangetype: 'topic' };
const NAME = 'expected a string of 1 to 255 bytes of UTF-8';

function refused(text: string) {
  return expect.objectContaining({ name: 'SpaceError', code: 'invalid-argument', message: text });
}

describe('the arguments of an alias', () => {
  it('say which point of which space, and leave the rest to the implementation', () => {
    const settings = { seeds: ['192.0.2.1:4672'], owner: 'x' };
    const parsed = parseAliasArguments({
      exchangespace: { ...space, ...settings },
      exchangename: 'bids',
      exchangetype: 'headers',
      arguments: { 'x-one': 1 },
    });
    expect(parsed.implementation).toBe('dht');
    expect(parsed.request).toEqual({
      space: 'market',
      point: { name: 'bids', type: 'headers', arguments: { 'x-one': 1 } },
      settings,
    });
  });

  it.each(['direct', 'fanout', 'topic', 'headers'])('may ask for type %s', (exchangetype) => {
    expect(parseAliasArguments({ ...alias, exchangetype }).request.point.type).toBe(exchangetype);
  });

  it.each([
    ['missing', undefined],
    ['no value', null],
    ['an empty table', {}],
  ])('give the point no arguments where those are %s', (_, value) => {
    const { request, normalised } = parseAliasArguments({ ...alias, arguments: value });
    expect(request.point.arguments).toEqual({});
    expect(normalised).toEqual({ ...alias, arguments: {} });
  });

  it("may spell exchangename as the original paper's example does", () => {
    const { exchangename, ...others } = alias;
    const respelt = parseAliasArguments({ ...others, exchangenname: exchangename });
    expect(respelt).toEqual(parseAliasArguments(alias));
  });

  it('are refused with both spellings at once', () => {
    expect(() => parseAliasArguments({ ...alias, exchangenname: 'bids' })).toThrow(
      refused("arguments 'exchangename' and 'exchangenname' mean the same: expected one of them"),
    );
  });

  it.each<[string, FieldTable, string]>([
    ['no space', { exchangespace: undefined }, "argument 'exchangespace': expected a table, found none"],
    [
      'a space without a value',
      { exchangespace: null },
      "argument 'exchangespace': expected a table, found no value",
    ],
    ['a text', { exchangespace: 'market' }, "argument 'exchangespace': expected a table, found 'market'"],
    ['an array', { exchangespace: ['market'] }, "argument 'exchangespace': expected a table, found an array"],
    [
      'no implementation',
      { exchangespace: { space: 'market' } },
      `argument 'exchangespace.implementation': ${NAME}, found none`,
    ],
    [
      'a number for the implementation',
      { exchangespace: { ...space, implementation: 7 } },
      `argument 'exchangespace.implementation': ${NAME}, found 7`,
    ],
    [
      'no name of the space',
      { exchangespace: { implementation: 'dht' } },
      `argument 'exchangespace.space': ${NAME}, found none`,
    ],
    [
      'an empty name of the space',
      { exchangespace: { ...space, space: '' } },
      `argument 'exchangespace.space': ${NAME}, found 0 bytes`,
    ],
    ['no name', { exchangename: undefined }, `argument 'exchangename': ${NAME}, found none`],
    ['a table for the name', { exchangename: {} }, `argument 'exchangename': ${NAME}, found a table`],
    ['a truth for the name', { exchangename: true }, `argument 'exchangename': ${NAME}, found true`],
    [
      'octets for the name',
      { exchangename: Buffer.from('bids') },
      `argument 'exchangename': ${NAME}, found the bytes 62696473`,
    ],
    [
      'a time for the name',
      { exchangename: new Date(1_700_000_000_000) },
      `argument 'exchangename': ${NAME}, found the timestamp 1700000000`,
    ],
    [
      'a decimal for the name',
      { exchangename: new Decimal(2, 150) },
      `argument 'exchangename': ${NAME}, found the decimal 150e-2`,
    ],
    [
      'a name that is too long by one octet',
      { exchangename: 'ü'.repeat(128) },
      `argument 'exchangename': ${NAME}, found 256 bytes`,
    ],
    // The codec has an octet that is not UTF-8 stand for itself like this.
    [
      'octets that are no text',
      { exchangename: 'a\udcff' },
      `argument 'exchangename': ${NAME}, found other bytes`,
    ],
    ['no type', { exchangetype: undefined }, `argument 'exchangetype': ${NAME}, found none`],
    [
      'a type that is none',
      { exchangetype: 'Topic' },
      "argument 'exchangetype': expected one of 'direct', 'fanout', 'topic', 'headers', found 'Topic'",
    ],
    ['a number for the arguments', { arguments: 1 }, "argument 'arguments': expected a table, found 1"],
    [
      'an argument that means nothing',
      { 'alternate-exchange': 'x' },
      "argument 'alternate-exchange' is not understood: expected 'exchangespace', 'exchangename', 'exchangetype', 'arguments'",
    ],
  ])('are refused with %s', (_, wrong, text) => {
    expect(() => parseAliasArguments({ ...alias, ...wrong })).toThrow(refused(text));
  });

  it('may have names as long as those of exchanges', () => {
    const name = 'n'.repeat(255);
    const args = { ...alias, exchangespace: { ...space, space: name }, exchangename: name };
    expect(parseAliasArguments(args).request).toMatchObject({ space: name, point: { name } });
  });
});

describe('the arguments of a space', () => {
  it('name the implementation, and leave the rest to it', () => {
    const parsed = parseSpaceArguments({ implementation: 'dht', access: 'open' });
    expect(parsed).toMatchObject({ implementation: 'dht', settings: { access: 'open' } });
  });

  it.each([
    [{}, 'none'],
    [{ implementation: null }, 'no value'],
    [{ implementation: [] }, 'an array'],
    [{ implementation: '' }, '0 bytes'],
  ])('are refused as %j', (table, found) => {
    expect(() => parseSpaceArguments(table)).toThrow(
      refused(`argument 'implementation': ${NAME}, found ${found}`),
    );
  });
});

describe('a redeclaration', () => {
  const declared = parseAliasArguments({
    exchangespace: { ...space, seeds: ['a:1', 'b:2'] },
    exchangename: 'bids',
    exchangetype: 'topic',
    arguments: { 'x-limit': 5, 'x-nested': { deep: [1, { deeper: true }] } },
  }).normalised;

  it.each<[string, FieldTable]>([
    ['the same', {}],
    ['fields in another order', { exchangename: 'bids' }],
    [
      'numbers of another width',
      { arguments: { 'x-nested': { deep: [1n, { deeper: true }] }, 'x-limit': 5n } },
    ],
  ])('with %s is equal', (_, change) => {
    const received = Object.fromEntries(Object.entries({ ...declared, ...change }).reverse());
    expect(() => assertEqualArguments('alias', received, declared)).not.toThrow();
  });

  it.each<[FieldTable, string]>([
    [{ exchangename: 'asks' }, "arg 'exchangename': received 'asks' but current is 'bids'"],
    [{ exchangetype: 'direct' }, "arg 'exchangetype': received 'direct' but current is 'topic'"],
    [
      { exchangespace: { ...space, space: 'bazaar', seeds: ['a:1', 'b:2'] } },
      "arg 'exchangespace.space': received 'bazaar' but current is 'market'",
    ],
    [
      { exchangespace: { ...space, implementation: 'prototype', seeds: ['a:1', 'b:2'] } },
      "arg 'exchangespace.implementation': received 'prototype' but current is 'dht'",
    ],
    [
      { exchangespace: { ...space, seeds: ['a:1', 'c:3'] } },
      "arg 'exchangespace.seeds[1]': received 'c:3' but current is 'b:2'",
    ],
    [
      { exchangespace: { ...space, seeds: ['a:1'] } },
      "arg 'exchangespace.seeds[1]': received none but current is 'b:2'",
    ],
    [{ exchangespace: space }, "arg 'exchangespace.seeds': received none but current is an array"],
    [
      { exchangespace: { ...space, seeds: ['a:1', 'b:2'], grant: 'g' } },
      "arg 'exchangespace.grant': received 'g' but current is none",
    ],
    [{ arguments: {} }, "arg 'arguments.x-limit': received none but current is 5"],
    [{ arguments: { 'x-limit': 6, 'x-nested': {} } }, "arg 'arguments.x-limit': received 6 but current is 5"],
    [
      { arguments: { 'x-limit': '5', 'x-nested': {} } },
      "arg 'arguments.x-limit': received '5' but current is 5",
    ],
    [
      { arguments: { 'x-limit': 5, 'x-nested': { deep: [1, { deeper: false }] } } },
      "arg 'arguments.x-nested.deep[1].deeper': received false but current is true",
    ],
  ])('with %j is not, and the text says where', (change, text) => {
    expect(() => assertEqualArguments('alias', { ...declared, ...change }, declared)).toThrow(
      expect.objectContaining({ code: 'conflict', message: `inequivalent ${text}, for exchange 'alias'` }),
    );
  });

  it('has its field and both values in the octets that a reply can have, however long they are', () => {
    const long = '😀'.repeat(200);
    const text = messageOf(() =>
      assertEqualArguments(
        'n'.repeat(255),
        { arguments: { [long]: long } },
        { arguments: { [long]: `x${long}` } },
      ),
    );
    const sent = Buffer.from(`PRECONDITION_FAILED - ${text}`).subarray(0, 255).toString();
    expect(sent).toMatch(/arg 'arguments\.😀+…': received '😀+…' but current is 'x😀/u);
  });

  it('cuts texts between characters only, as halves of them cannot be sent', () => {
    for (const ahead of ['', 'x']) {
      const text = messageOf(() => parseAliasArguments({ ...alias, [ahead + '😀'.repeat(50)]: 1 }));
      expect(text).not.toMatch(/\p{Surrogate}/u);
    }
  });
});

function messageOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('nothing was thrown');
}
