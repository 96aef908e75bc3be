import { describe, expect, it } from 'vitest';
import type { Properties, PropertyName } from '../../src/amqp-codec/index.js';
import {
  CodecError,
  decodeHeader,
  decodeProperties,
  editHeader,
  encodeHeader,
  encodeShortString,
  PROPERTY_FLAGS,
} from '../../src/amqp-codec/index.js';
import { MAX_TABLE_DEPTH, MAX_TABLE_VALUES } from '../../src/amqp-codec/limits.js';
import { Random, seed } from '../support/random.js';
import { nestedEntry, octets, withLength } from './octets.js';
import { RandomValues } from './random-values.js';

/** Every property, in the order of the flags, with the octets that stand for it. */
const ALL: readonly (readonly [PropertyName, Properties[PropertyName], string])[] = [
  ['contentType', 'text/plain', '0a 746578742f706c61696e'],
  ['contentEncoding', 'gzip', '04 677a6970'],
  ['headers', { n: 1 }, '00000007 01 6e 49 00000001'],
  ['deliveryMode', 2, '02'],
  ['priority', 9, '09'],
  ['correlationId', 'c1', '02 6331'],
  ['replyTo', 'amq.rabbitmq.reply-to', '15 616d712e7261626269746d712e7265706c792d746f'],
  ['expiration', '60000', '05 3630303030'],
  ['messageId', 'm1', '02 6d31'],
  ['timestamp', new Date('2009-02-13T23:31:30Z'), '00000000499602d2'],
  ['type', 'bid', '03 626964'],
  ['userId', 'guest', '05 6775657374'],
  ['appId', 'market', '06 6d61726b6574'],
  ['clusterId', '', '00'],
];
const COMBINATIONS = 2 ** ALL.length;

/** The properties of a combination, and the payload that the specification has for them. */
function combination(flags: number, bodySize: number): { properties: Properties; payload: Buffer } {
  const chosen = ALL.filter((_, index) => (flags & (0x8000 >> index)) !== 0);
  const opening = octets('003c 0000 0000000000000000 0000');
  opening.writeBigUInt64BE(BigInt(bodySize), 4);
  opening.writeUInt16BE(flags, 12);
  return {
    properties: Object.fromEntries(chosen.map(([name, value]) => [name, value])),
    payload: Buffer.concat([opening, ...chosen.map(([, , hex]) => octets(hex))]),
  };
}

describe('content headers', () => {
  it('are encoded and decoded with every combination of properties', () => {
    for (let index = 0; index < COMBINATIONS; index++) {
      const flags = index << 2;
      const { properties, payload } = combination(flags, index);
      expect(encodeHeader(index, properties).equals(payload), `flags ${flags}`).toBe(true);
      const header = decodeHeader(payload, 0, payload.length);
      expect(header).toEqual({ classId: 60, bodySize: index, flags });
      expect(decodeProperties(payload, 0, payload.length)).toEqual(properties);
    }
  });

  it('lose one property and no other octet', () => {
    const { payload } = combination(0xfffc, 7);
    for (const [name] of ALL) {
      const expected = combination(0xfffc & ~PROPERTY_FLAGS[name], 7).payload;
      const edited = editHeader(payload, 0, payload.length, new Map([[name, undefined]]));
      expect(edited.toString('hex')).toBe(expected.toString('hex'));
    }
  });

  it('are the same without a property that they do not have', () => {
    const { payload } = combination(0xfffc & ~PROPERTY_FLAGS.userId, 7);
    const around = Buffer.concat([Buffer.of(1, 2), payload, Buffer.of(3)]);
    expect(editHeader(around, 2, around.length - 1, new Map([['userId', undefined]]))).toEqual(payload);
  });

  it('get or change several properties, wherever in the header they belong', () => {
    const before = encodeHeader(7, { contentType: 'text', expiration: '1', messageId: 'm', appId: 'a' });
    const edits = new Map([
      ['appId', encodeShortString('app')],
      ['expiration', undefined],
      ['replyTo', encodeShortString('r')],
      ['priority', Buffer.of(9)],
    ] as const);
    const after = encodeHeader(7, {
      contentType: 'text',
      priority: 9,
      replyTo: 'r',
      messageId: 'm',
      appId: 'app',
    });
    expect(editHeader(before, 0, before.length, edits)).toEqual(after);
  });

  it('tell by their flags which properties they have', () => {
    const payload = encodeHeader(0, { userId: 'guest' });
    expect(decodeHeader(payload, 0, payload.length).flags).toBe(PROPERTY_FLAGS.userId);
    expect(PROPERTY_FLAGS.userId).toBe(0x10);
  });

  it('tell a body size above 2^53 as the nearest number', () => {
    const payload = octets('003c 0000 ffffffffffffffff 0000');
    expect(decodeHeader(payload, 0, payload.length).bodySize).toBe(2 ** 64);
  });

  it('carry strings of any octets unchanged', () => {
    const binary = octets('003c 0000 0000000000000000 0400 10 00112233445566778899aabbccddeeff');
    const decoded = decodeProperties(binary, 0, binary.length);
    expect(encodeHeader(0, decoded)).toEqual(binary);
  });

  it(`come back as they went (SEED=${seed})`, () => {
    const values = new RandomValues(new Random(seed));
    for (let round = 0; round < 1000; round++) {
      const properties = values.properties();
      const payload = encodeHeader(round, properties);
      expect(decodeHeader(payload, 0, payload.length).bodySize).toBe(round);
      expect(decodeProperties(payload, 0, payload.length)).toEqual(properties);
    }
  });

  it.each<[string, string, CodecError]>([
    [
      'another class',
      '0032 0000 0000000000000000 0000',
      new CodecError('frame-error', 'content of class 50'),
    ],
    [
      'a weight',
      '003c 0001 0000000000000000 0000',
      new CodecError('syntax-error', '1 instead of 0', 'weight'),
    ],
    [
      'flags that continue',
      '003c 0000 0000000000000000 0001 0000',
      new CodecError('syntax-error', '2 octets too many', 'properties'),
    ],
    [
      'fewer octets than the opening',
      '003c 0000 00000000000000',
      new CodecError('syntax-error', '8 octets expected, 7 left'),
    ],
    [
      'fewer octets than a property',
      '003c 0000 0000000000000000 0400 02 63',
      new CodecError('syntax-error', '2 octets expected, 1 left', 'correlationId'),
    ],
    [
      'octets that belong to no property',
      '003c 0000 0000000000000000 1000 02 00',
      new CodecError('syntax-error', '1 octets too many', 'properties'),
    ],
    [
      'an unknown type among the headers',
      '003c 0000 0000000000000000 2000 00000003 01 61 00',
      new CodecError('syntax-error', 'no field type has the octet 0', 'headers'),
    ],
  ])('are refused with %s', (_with, hex, error) => {
    const payload = octets(hex);
    expect(() => decodeHeader(payload, 0, payload.length)).toThrow(error);
    expect(() => decodeProperties(payload, 0, payload.length)).toThrow(CodecError);
  });

  it('may have the two flags set that no property has', () => {
    const payload = octets('003c 0000 0000000000000000 1003 02');
    expect(decodeHeader(payload, 0, payload.length)).toMatchObject({ flags: 0x1003 });
    expect(decodeProperties(payload, 0, payload.length)).toEqual({ deliveryMode: 2 });
  });

  it('are refused with headers beyond the limits of field tables, and accepted within them', () => {
    const headerWith = (entries: Buffer) =>
      Buffer.concat([octets('003c 0000 0000000000000000 2000'), withLength(entries)]);
    const refused = expect.objectContaining({ code: 'syntax-error' });
    const accept = (entries: Buffer) => {
      const payload = headerWith(entries);
      decodeHeader(payload, 0, payload.length);
      decodeProperties(payload, 0, payload.length);
    };
    let deepest: Buffer = Buffer.alloc(0);
    for (let depth = 2; depth <= MAX_TABLE_DEPTH; depth++) deepest = nestedEntry('a', 'F', deepest);
    const most = nestedEntry('a', 'A', Buffer.alloc(MAX_TABLE_VALUES - 1, 'V'));
    for (const entries of [deepest, most]) {
      accept(entries);
      const beyond = headerWith(nestedEntry('b', 'F', entries));
      expect(() => decodeHeader(beyond, 0, beyond.length)).toThrow(refused);
      expect(() => decodeProperties(beyond, 0, beyond.length)).toThrow(refused);
    }
    accept(
      Buffer.concat(Array.from({ length: MAX_TABLE_DEPTH + 1 }, () => nestedEntry('c', 'A', octets('56')))),
    );
  });

  it.each<[string, Properties, RegExp]>([
    ['a long string', { messageId: 'x'.repeat(256) }, /^messageId: more than 255 octets/],
    ['a large number', { priority: 256 }, /^priority: 256 is no integer from 0 to 255/],
    ['an invalid date', { timestamp: new Date(Number.NaN) }, /^timestamp: no valid date/],
    ['a bad header', { headers: { a: { b: undefined as never } } }, /^headers\.a\.b: /],
  ])('are not encoded with %s', (_with, properties, text) => {
    expect(() => encodeHeader(0, properties)).toThrow(
      expect.objectContaining({ code: 'unencodable', message: expect.stringMatching(text) }),
    );
  });
});
