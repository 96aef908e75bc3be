import { describe, expect, it } from 'vitest';
import type { FieldTable } from '../../src/amqp-codec/index.js';
import {
  decodeTable,
  encodeRevisedTable,
  encodeTable,
  FIELD_TYPE,
  rawFields,
} from '../../src/amqp-codec/index.js';
import { octets } from './octets.js';

const joined = (...hex: string[]) => octets(hex.join(''));

/** One value of every type that a number can have, and of some others, in types that encoding would not choose. */
const WIDE = joined(
  '01 61 62 ff', // a: int8
  '01 62 42 ff', // b: uint8
  '01 63 73 ffff', // c: int16
  '01 64 75 ffff', // d: uint16
  '01 65 69 ffffffff', // e: uint32
  '01 66 4c 0000000000000001', // f: int64
  '01 67 66 3fc00000', // g: float
  '01 68 54 0000000000000001', // h: timestamp
  '01 69 41 0000000a 62 01 66 40000000 73 0002', // i: array
  '01 6a 46 0000000b 01 6b 6c 0000000000000003', // j: table with int64
  '01 6c 56', // l: none
);

function revised(table: FieldTable, from: Buffer, decoded: FieldTable): string {
  const around = Buffer.concat([Buffer.of(9, 9), from, Buffer.of(9)]);
  const encoded = encodeRevisedTable(table, decoded, around, 2, 2 + from.length);
  expect(encoded.readUInt32BE(0)).toBe(encoded.length - 4);
  return encoded.subarray(4).toString('hex');
}

describe('the fields of a table', () => {
  it('are found with their types, in the order of the wire', () => {
    const fields = rawFields(WIDE, 0, WIDE.length);
    expect(fields.map(({ name }) => name).join('')).toBe('abcdefghijl');
    expect(fields[3]).toMatchObject({ name: 'd', type: FIELD_TYPE.uint16 });
    expect(Buffer.concat(fields.map(({ start, end }) => WIDE.subarray(start, end)))).toEqual(WIDE);
  });
});

describe('a table that is revised', () => {
  it('keeps the octets of everything that is still the same', () => {
    const decoded = decodeTable(WIDE, 0, WIDE.length);
    expect(revised(decoded, WIDE, decoded)).toBe(WIDE.toString('hex'));
    expect(revised({ ...decoded }, WIDE, decoded)).toBe(WIDE.toString('hex'));
  });

  it('loses, gains and changes what it is asked to, and nothing else', () => {
    const decoded = decodeTable(WIDE, 0, WIDE.length);
    const { a: _, b: __, ...rest } = decoded;
    const table = { ...rest, c: 5, new: [1n, 2] };
    const expected = joined(
      '01 63 49 00000005',
      WIDE.subarray(WIDE.indexOf(Buffer.from('\x01d'))).toString('hex'),
      '03 6e6577 41 0000000e 6c 0000000000000001 49 00000002',
    );
    expect(revised(table, WIDE, decoded)).toBe(expected.toString('hex'));
  });

  it('keeps the octets of tables and arrays that have moved to another place', () => {
    const decoded = decodeTable(WIDE, 0, WIDE.length);
    const expected = joined(
      '01 7a 41 0000001f',
      '41 0000000a 62 01 66 40000000 73 0002',
      '46 0000000b 01 6b 6c 0000000000000003',
    );
    const { i, j } = decoded;
    expect(revised({ z: [i, j] } as FieldTable, WIDE, decoded)).toBe(expected.toString('hex'));
  });

  it('takes the last of several fields with one name, as decoding does', () => {
    const twice = joined('01 61 62 01', '01 61 46 00000000', '01 61 73 0002');
    const decoded = decodeTable(twice, 0, twice.length);
    expect(decoded).toEqual({ a: 2 });
    expect(revised(decoded, twice, decoded)).toBe(octets('01 61 73 0002').toString('hex'));
  });

  it('has its fields in the order of their names, numbers among them', () => {
    const wire = joined('01 7a 56', '02 3130 56', '01 39 56', '01 2b 56');
    const decoded = decodeTable(wire, 0, wire.length);
    const expected = joined('01 2b 56', '02 3130 56', '01 39 56', '01 7a 56');
    expect(revised(decoded, wire, decoded)).toBe(expected.toString('hex'));
  });

  it('is an ordinary one where nothing was decoded', () => {
    const table = { a: 1, b: ['x', { c: 2n }] };
    const encoded = encodeRevisedTable(table, {}, Buffer.alloc(0), 0, 0);
    expect(encoded.subarray(4)).toEqual(encodeTable(table));
  });
});
