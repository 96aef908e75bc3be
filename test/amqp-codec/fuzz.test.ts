import { beforeEach, describe, expect, it } from 'vitest';
import type { FrameSink, MethodName } from '../../src/amqp-codec/index.js';
import {
  CodecError,
  decodeHeader,
  decodeMethod,
  decodeProperties,
  decodeTable,
  encodeHeader,
  encodeMethod,
  encodeTable,
  FRAME_BODY,
  FRAME_END,
  FRAME_HEADER,
  FRAME_METHOD,
  FrameParser,
} from '../../src/amqp-codec/index.js';
import { METHODS } from '../../src/amqp-codec/methods.js';
import { Random, seed } from '../support/random.js';
import { RandomValues } from './random-values.js';

const INPUTS = 10_000;
const TIME_LIMIT_MS = 15_000;

let random: Random;
let values: RandomValues;
const names = Object.keys(METHODS) as MethodName[];

/** What a call threw, if it threw what a decoder may throw. */
function refusalOf(decode: () => unknown): string | undefined {
  try {
    decode();
    return undefined;
  } catch (error) {
    if (error instanceof CodecError && error.code !== 'unencodable') return error.code;
    throw error;
  }
}

/** Octets that are easily taken for something: the types of fields, lengths, the ends of ranges. */
const TELLING = [...Buffer.from('tbBsuIilLfdDSxTAFV'), 0, 1, 2, 8, 0x7f, 0x80, 0xc2, 0xce, 0xed, 0xfe, 0xff];

function mutated(original: Buffer): Buffer {
  let bytes: Buffer = Buffer.from(original);
  for (let count = 1 + random.int(4); count > 0; count--) {
    const at = random.int(bytes.length + 1);
    switch (random.int(6)) {
      case 0:
        bytes = bytes.subarray(0, at);
        break;
      case 1:
        bytes = Buffer.concat([bytes.subarray(0, at), values.bytes(8), bytes.subarray(at)]);
        break;
      case 2:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + random.int(8))]);
        break;
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(random.int(bytes.length + 1))]);
        break;
      case 4:
        bytes.subarray(at, at + 1).fill(random.pick(TELLING));
        break;
      default:
        bytes.subarray(at, at + random.pick([1, 1, 4])).fill(random.int(256));
    }
  }
  return bytes;
}

function frame(type: number, payload: Buffer): Buffer {
  const head = Buffer.from([type, 0, 1, 0, 0, 0, 0]);
  head.writeUInt32BE(payload.length, 3);
  return Buffer.concat([head, payload, Buffer.of(FRAME_END)]);
}

/** A decoder of everything that comes, as a gateway is. */
class Everything implements FrameSink {
  decoded = 0;

  frame(type: number, _channel: number, bytes: Buffer, start: number, end: number): void {
    if (type === FRAME_METHOD) decodeMethod(bytes, start, end);
    if (type === FRAME_HEADER) {
      decodeHeader(bytes, start, end);
      decodeProperties(bytes, start, end);
    }
    this.decoded++;
  }
}

describe(`mutated input (SEED=${seed})`, () => {
  const options = { timeout: TIME_LIMIT_MS };

  beforeEach(() => {
    random = new Random(seed);
    values = new RandomValues(random);
  });

  it('of a connection is decoded, or refused with a CodecError', options, () => {
    const everything = new Everything();
    let refusals = 0;
    for (let count = 0; count < INPUTS; count++) {
      const name = random.pick(names);
      const input = mutated(
        Buffer.concat([
          frame(FRAME_METHOD, encodeMethod(name, values.arguments(name) as never)),
          frame(FRAME_HEADER, encodeHeader(count, values.properties())),
          frame(FRAME_BODY, values.bytes(20)),
        ]),
      );
      const parser = new FrameParser(everything, 4096);
      const cut = random.int(input.length + 1);
      const refusal = refusalOf(() => {
        parser.parse(input.subarray(0, cut));
        parser.parse(input.subarray(cut));
      });
      if (refusal !== undefined) refusals++;
    }
    // Both happened, so the mutations are neither harmless nor hopeless.
    expect(refusals).toBeGreaterThan(INPUTS / 10);
    expect(everything.decoded).toBeGreaterThan(INPUTS / 10);
  });

  it('of a method is decoded, or refused with a CodecError', options, () => {
    for (let count = 0; count < INPUTS; count++) {
      const name = random.pick(names);
      const input = mutated(encodeMethod(name, values.arguments(name) as never));
      refusalOf(() => decodeMethod(input, 0, input.length));
    }
  });

  it('of a content header passes the check exactly if its properties can be decoded', options, () => {
    let refusals = 0;
    for (let count = 0; count < INPUTS; count++) {
      const input = mutated(encodeHeader(count, values.properties()));
      const refusal = refusalOf(() => decodeHeader(input, 0, input.length));
      expect(refusalOf(() => decodeProperties(input, 0, input.length))).toBe(refusal);
      if (refusal !== undefined) refusals++;
    }
    expect(refusals).toBeGreaterThan(INPUTS / 10);
    expect(refusals).toBeLessThan(INPUTS);
  });

  it('of a table, where it can be decoded, comes back equal from another round', options, () => {
    let decoded = 0;
    for (let count = 0; count < INPUTS; count++) {
      const input = mutated(encodeTable(values.table()));
      const refusal = refusalOf(() => {
        const table = decodeTable(input, 0, input.length);
        const again = encodeTable(table);
        decoded++;
        expect(decodeTable(again, 0, again.length)).toEqual(table);
      });
      expect([undefined, 'syntax-error']).toContain(refusal);
    }
    expect(decoded).toBeGreaterThan(INPUTS / 20);
  });
});
