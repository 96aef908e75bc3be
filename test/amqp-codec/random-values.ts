import type { FieldTable, FieldValue, MethodName, Properties } from '../../src/amqp-codec/index.js';
import { Decimal } from '../../src/amqp-codec/index.js';
import { METHODS } from '../../src/amqp-codec/methods.js';
import { PROPERTIES } from '../../src/amqp-codec/properties.js';
import type { Random } from '../support/random.js';

const CHARACTERS = ['a', 'Z', '0', '.', '#', '*', '/', '\0', ' ', 'é', 'ß', '€', '漢', '😀'];
const NAMES = ['x-match', 'count', '__proto__', 'constructor', 'toString', '1', '', 'größe'];
const NUMBERS = [
  ...[0, -0, 1, -1, 127, 128, 255, 65_535, 2 ** 31 - 1, 2 ** 31, -(2 ** 31), -(2 ** 31) - 1, 2 ** 32],
  ...[
    Number.MAX_SAFE_INTEGER,
    Number.MIN_SAFE_INTEGER,
    2 ** 53,
    0.5,
    -1e300,
    Number.NaN,
    Number.POSITIVE_INFINITY,
  ],
];
/** Integers that no number holds; the others come back as numbers. */
const BIGINTS = [2n ** 53n, -(2n ** 53n), 2n ** 63n - 1n, -(2n ** 63n)];

/** Random values of every domain, each of which has to come back equal. */
export class RandomValues {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Arguments for a method, reserved ones left out. */
  arguments(name: MethodName): Record<string, unknown> {
    const domains = Object.entries<string>(METHODS[name][2]).filter(([key]) => !key.startsWith('reserved'));
    return Object.fromEntries(domains.map(([key, domain]) => [key, this.#ofDomain(domain)]));
  }

  properties(): Properties {
    const chosen = Object.entries(PROPERTIES).filter(() => this.#random.int(2) === 0);
    return Object.fromEntries(chosen.map(([key, domain]) => [key, this.#ofDomain(domain)]));
  }

  table(depth = 3): FieldTable {
    const entries = this.#random.list(5, () => [this.#name(), this.#fieldValue(depth - 1)] as const);
    return Object.fromEntries(entries);
  }

  text(mostCharacters: number): string {
    return this.#random.list(mostCharacters, () => this.#random.pick(CHARACTERS)).join('');
  }

  bytes(most: number): Buffer {
    return Buffer.from(this.#random.list(most, () => this.#random.int(256)));
  }

  #name(): string {
    return this.#random.int(2) === 0 ? this.#random.pick(NAMES) : this.text(12);
  }

  #ofDomain(domain: string): unknown {
    const random = this.#random;
    switch (domain) {
      case 'bit':
        return random.int(2) === 1;
      case 'octet':
        return random.pick([0, 1, 127, 128, 255, random.int(256)]);
      case 'short':
        return random.pick([0, 1, 0x7fff, 0x8000, 0xffff, random.int(0x1_0000)]);
      case 'long':
        return random.pick([0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, random.int(2 ** 32)]);
      case 'longlong':
        return random.pick([0, 1, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER, random.int(2 ** 32)]);
      case 'shortstr':
      case 'lenientShortstr':
        return random.int(20) === 0 ? 'x'.repeat(255) : this.text(30);
      case 'longstr':
        return this.text(300);
      case 'bytes':
        return this.bytes(300);
      case 'timestamp':
        return new Date(random.int(2 ** 32) * 1000);
      case 'table':
        return this.table();
      default:
        throw new Error(`no random values for the domain ${domain}`);
    }
  }

  #fieldValue(depth: number): FieldValue {
    const random = this.#random;
    const kinds: (() => FieldValue)[] = [
      () => null,
      () => random.int(2) === 1,
      () => random.pick(NUMBERS),
      () => random.int(2 ** 32) - 2 ** 31,
      () => random.pick(BIGINTS),
      () => this.text(40),
      () => this.bytes(40),
      () => new Date(random.int(2 ** 32) * 1000),
      () => new Decimal(random.int(256), random.int(2 ** 32)),
    ];
    if (depth > 0) {
      kinds.push(
        () => this.table(depth),
        () => random.list(4, () => this.#fieldValue(depth - 1)),
      );
    }
    return random.pick(kinds)();
  }
}
