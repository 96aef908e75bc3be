import type { FieldTable, FieldValue } from '../src/amqp-codec/index.js';
import { Decimal } from '../src/amqp-codec/index.js';
import type { Random } from '../test/support/random.js';
import { octetsOf } from './mutate.js';

const NAMES = [
  'a',
  'b',
  'x-match',
  'x-death',
  'CC',
  'BCC',
  '__proto__',
  'constructor',
  '',
  'é',
  'n'.repeat(128),
];
const TEXTS = ['', 'a', 'all', 'any-with-x', 'é\u{1f600}', '\u0000', 'x'.repeat(300)];
const NUMBERS = [
  0,
  1,
  -1,
  127,
  128,
  255,
  32_768,
  65_536,
  -(2 ** 31),
  2 ** 31,
  2 ** 32,
  2 ** 53 - 1,
  0.5,
  1e300,
];
const MAX_DEPTH = 4;

/** Any table that can be encoded; with `plain`, one that JSON can tell as well. */
export function anyTable(random: Random, plain: boolean, depth = 0): FieldTable {
  return Object.fromEntries(random.list(4, () => [random.pick(NAMES), anyValue(random, plain, depth + 1)]));
}

export function anyValue(random: Random, plain: boolean, depth = 0): FieldValue {
  switch (random.int(plain ? 7 : 11)) {
    case 0:
      return random.pick(NUMBERS);
    case 1:
      return random.pick(TEXTS);
    case 2:
      return random.int(2) === 0;
    case 3:
      return null;
    case 4:
      return depth < MAX_DEPTH ? anyTable(random, plain, depth) : {};
    case 5:
      return depth < MAX_DEPTH ? random.list(3, () => anyValue(random, plain, depth + 1)) : [];
    case 6:
      return random.int(1_000);
    case 7:
      return new Date(random.int(2 ** 31) * 1_000);
    case 8:
      return octetsOf(random, random.int(20));
    case 9:
      return new Decimal(random.int(256), random.int(2 ** 32));
    default:
      return BigInt(random.int(2 ** 32)) << 30n;
  }
}
