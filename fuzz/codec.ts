import { deepStrictEqual } from 'node:assert/strict';
import type { MethodArguments, MethodName } from '../src/amqp-codec/index.js';
import {
  CodecError,
  decodeMethod,
  decodeProperties,
  decodeTable,
  encodeHeader,
  encodeMethod,
  encodeTable,
  FrameParser,
} from '../src/amqp-codec/index.js';
import { METHODS } from '../src/amqp-codec/methods.js';
import { PROPERTIES } from '../src/amqp-codec/properties.js';
import { frame } from '../test/support/amqp-raw-client.js';
import type { Random } from '../test/support/random.js';
import { mutated, octetsOf } from './mutate.js';
import type { Target } from './target.js';
import { octetParts } from './target.js';
import { anyTable } from './values.js';

/** What the octets are given to. */
type Reader = 'method' | 'properties' | 'table' | 'frames';

export interface CodecCase {
  readonly reader: Reader;
  readonly hex: string;
}

/** Far above what the largest of these inputs takes on a busy machine, far below what exponential work would take. */
const TIME_LIMIT_MS = 1_000;
const MAX_FRAME_BYTES = 4_096;
const READERS: readonly Reader[] = ['method', 'properties', 'table', 'frames'];

/**
 * Octets and what decoding makes of them. Whatever they are, decoding ends in a CodecError or in something that
 * encodes and decodes to itself, in no time; and frames are the same in whatever pieces they come.
 */
export const codec: Target<CodecCase> = {
  name: 'codec',
  generate(random) {
    const reader = random.pick(READERS);
    const valid = validOctets(reader, random);
    const octets = random.int(4) === 0 ? valid : mutated(valid, random);
    return { reader, hex: octets.toString('hex') };
  },
  async run({ reader, hex }) {
    const started = performance.now();
    try {
      CHECKS[reader](Buffer.from(hex, 'hex'));
    } catch (error) {
      if (!(error instanceof CodecError) || error.code === 'unencodable') return String(error);
    }
    const ms = performance.now() - started;
    return ms > TIME_LIMIT_MS ? `took ${Math.round(ms)} ms` : undefined;
  },
  parts: {
    of: ({ hex }) => octetParts.of(hex),
    toCase: (parts, { reader }) => ({ reader, hex: octetParts.toCase(parts) }),
  },
};

const CHECKS: { readonly [R in Reader]: (octets: Buffer) => void } = {
  method(octets) {
    const first = decodeMethod(octets, 0, octets.length);
    // Where the octets have 64 bits, decoding gives the nearest number: no tag that was ever given out.
    if (Object.values(first.arguments).some((value) => typeof value === 'number' && value > 2 ** 53)) return;
    const again = encodeMethod(first.name, first.arguments as MethodArguments<MethodName>);
    deepStrictEqual(decodeMethod(again, 0, again.length), first);
  },
  properties(octets) {
    const first = decodeProperties(octets, 0, octets.length);
    const again = encodeHeader(0, first);
    deepStrictEqual(decodeProperties(again, 0, again.length), first);
  },
  table(octets) {
    const first = decodeTable(octets, 0, octets.length);
    const again = encodeTable(first);
    deepStrictEqual(decodeTable(again, 0, again.length), first);
  },
  frames(octets) {
    const whole = framesOf([octets]);
    deepStrictEqual(framesOf([...octets].map((octet) => Buffer.from([octet]))), whole);
    const half = octets.length >>> 1;
    deepStrictEqual(framesOf([octets.subarray(0, half), octets.subarray(half)]), whole);
  },
};

/** The frames in these pieces, and how it ended. */
function framesOf(pieces: readonly Buffer[]): readonly string[] {
  const seen: string[] = [];
  const sink = {
    frame: (type: number, channel: number, bytes: Buffer, start: number, end: number) =>
      seen.push(`${type} ${channel} ${bytes.toString('hex', start, end)}`),
  };
  const parser = new FrameParser(sink, MAX_FRAME_BYTES);
  try {
    for (const piece of pieces) parser.parse(piece);
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    seen.push(error.code);
  }
  return seen;
}

function validOctets(reader: Reader, random: Random): Buffer {
  switch (reader) {
    case 'method':
      return methodOctets(random);
    case 'properties':
      return encodeHeader(random.int(2 ** 32), randomArguments(PROPERTIES, random));
    case 'table':
      return encodeTable(anyTable(random, false));
    case 'frames':
      return Buffer.concat(
        random.list(5, () =>
          frame(random.pick([1, 2, 3, 3, 8]), random.int(3), octetsOf(random, random.int(50))),
        ),
      );
  }
}

function methodOctets(random: Random): Buffer {
  const name = random.pick(Object.keys(METHODS) as MethodName[]);
  return encodeMethod(name, randomArguments(METHODS[name][2], random) as MethodArguments<MethodName>);
}

/** A value for each field, as its domain asks. */
function randomArguments(domains: { readonly [name: string]: string }, random: Random): object {
  return Object.fromEntries(
    Object.entries(domains).map(([name, domain]) => [name, fieldValue(domain, random)]),
  );
}

function fieldValue(domain: string, random: Random): unknown {
  switch (domain) {
    case 'bit':
      return random.int(2) === 0;
    case 'table':
      return anyTable(random, false);
    case 'bytes':
      return octetsOf(random, random.int(30));
    case 'timestamp':
      return new Date(random.int(2 ** 32) * 1_000);
    case 'octet':
      return random.int(2 ** 8);
    case 'short':
      return random.int(2 ** 16);
    case 'long':
    case 'longlong':
      return random.int(2 ** 32);
    default:
      return random.pick(['', 'a', 'é', 'x'.repeat(255)]);
  }
}
