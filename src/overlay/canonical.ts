import { SpaceError } from './errors.js';
import { MAX_CANONICAL_TEXT_UNITS, MAX_TABLE_DEPTH } from './limits.js';
import type { FieldTable } from './message.js';

/**
 * A table as text, the same for equal tables and for no others: the canonical JSON of RFC 8785 (names sorted by
 * UTF-16 code units, numbers as ECMAScript writes them). JSON has no words for some values; those, and lists,
 * are arrays whose first element says what they are:
 *
 * - `["list",…]`
 * - `["integer","12345678901234567890"]`: a whole number beyond ±(2^53 − 1)
 * - `["number","NaN"]`, likewise `"Infinity"` and `"-Infinity"`
 * - `["date",1700000000000]`: milliseconds since 1970
 * - `["bytes","00ff"]`
 *
 * Numbers are compared by value: 5, 5.0 and the bigint 5 are one. Nothing (`undefined`) is the same as `null`,
 * AMQP's "no value". Objects of other classes count by their own properties.
 *
 * @throws SpaceError `invalid-argument` when the table nests too deep, is too large, or holds what is no value.
 */
export function canonicalTable(table: FieldTable): string {
  const writer = new CanonicalWriter();
  writer.table(table, 1);
  return writer.text;
}

/** The canonical text of one value of a table, as in {@link canonicalTable}. */
export function canonicalValue(value: unknown): string {
  const writer = new CanonicalWriter();
  writer.value(value, '', 1);
  return writer.text;
}

/**
 * The table that has this canonical text; tables in it have no prototype.
 *
 * @throws SpaceError `invalid-argument` for every other text, equal tables in another writing included.
 */
export function parseCanonicalTable(text: string): FieldTable {
  if (text.length > MAX_CANONICAL_TEXT_UNITS) throw tooLarge();
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new SpaceError('invalid-argument', 'arguments are not canonical JSON', { cause: error });
  }
  if (!isTable(parsed)) throw new SpaceError('invalid-argument', 'arguments are not a table');
  const table = readTable(parsed, 1);
  if (canonicalTable(table) === text) return table;
  throw new SpaceError('invalid-argument', 'arguments are not canonical JSON');
}

/**
 * Collects the text and stops as soon as it is too long, so that a table that holds itself twice over ends too.
 */
class CanonicalWriter {
  text = '';

  table(table: FieldTable, depth: number): void {
    if (depth > MAX_TABLE_DEPTH) throw tooDeep();
    this.#write('{');
    let separator = '';
    for (const name of Object.keys(table).sort()) {
      this.#write(`${separator}${JSON.stringify(name)}:`);
      this.value(table[name], name, depth);
      separator = ',';
    }
    this.#write('}');
  }

  value(value: unknown, name: string, depth: number): void {
    if (Array.isArray(value)) this.#list(value, name, depth + 1);
    else if (isTable(value)) this.table(value, depth + 1);
    else this.#write(canonicalScalar(value, name));
  }

  #list(list: readonly unknown[], name: string, depth: number): void {
    if (depth > MAX_TABLE_DEPTH) throw tooDeep();
    this.#write('["list"');
    for (const value of list) {
      this.#write(',');
      this.value(value, name, depth);
    }
    this.#write(']');
  }

  #write(text: string): void {
    this.text += text;
    if (this.text.length > MAX_CANONICAL_TEXT_UNITS) throw tooLarge();
  }
}

function canonicalScalar(value: unknown, name: string): string {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return JSON.stringify(value);
    case 'number':
      return canonicalNumber(value);
    case 'bigint':
      return canonicalInteger(value);
    default:
      if (value === null || value === undefined) return 'null';
      if (value instanceof Uint8Array) return `["bytes","${toHex(value)}"]`;
      if (value instanceof Date) return canonicalDate(value, name);
      throw new SpaceError(
        'invalid-argument',
        `argument '${name}' is a ${typeof value}, which has no place in a table`,
      );
  }
}

function canonicalNumber(value: number): string {
  if (Number.isSafeInteger(value)) return String(value);
  if (Number.isInteger(value)) return canonicalInteger(BigInt(value));
  return Number.isFinite(value) ? String(value) : `["number","${value}"]`;
}

function canonicalInteger(value: bigint): string {
  const exact = Number(value);
  return Number.isSafeInteger(exact) ? String(exact) : `["integer","${value}"]`;
}

function canonicalDate(date: Date, name: string): string {
  const time = date.getTime();
  if (!Number.isNaN(time)) return `["date",${time}]`;
  throw new SpaceError('invalid-argument', `argument '${name}' holds an invalid date`);
}

function readTable(table: FieldTable, depth: number): FieldTable {
  if (depth > MAX_TABLE_DEPTH) throw tooDeep();
  const result: { [name: string]: unknown } = Object.create(null);
  for (const name of Object.keys(table)) result[name] = readValue(table[name], depth);
  return result;
}

function readValue(value: unknown, depth: number): unknown {
  if (Array.isArray(value)) return readTagged(value, depth + 1);
  return isTable(value) ? readTable(value, depth + 1) : value;
}

function readTagged(tagged: readonly unknown[], depth: number): unknown {
  const [tag, value] = tagged;
  if (tag === 'list') {
    if (depth > MAX_TABLE_DEPTH) throw tooDeep();
    return tagged.slice(1).map((element) => readValue(element, depth));
  }
  if (tag === 'date' && typeof value === 'number') return new Date(value);
  if (tag === 'number' && typeof value === 'string') return Number(value);
  if (tag === 'integer' && typeof value === 'string' && /^-?\d{1,400}$/.test(value)) return BigInt(value);
  if (tag === 'bytes' && typeof value === 'string' && /^([\da-f]{2})*$/.test(value)) return fromHex(value);
  throw new SpaceError(
    'invalid-argument',
    'arguments are not canonical JSON: an array says of no known kind what it is',
  );
}

/** Any object that is no value by itself: objects of unknown classes count by their own properties. */
function isTable(value: unknown): value is FieldTable {
  if (typeof value !== 'object' || value === null) return false;
  return !(Array.isArray(value) || value instanceof Uint8Array || value instanceof Date);
}

function toHex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0');
  return text;
}

function fromHex(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

function tooDeep(): SpaceError {
  return new SpaceError('invalid-argument', `arguments nest deeper than ${MAX_TABLE_DEPTH} levels`);
}

function tooLarge(): SpaceError {
  return new SpaceError(
    'invalid-argument',
    `arguments are larger than ${MAX_CANONICAL_TEXT_UNITS} characters of text`,
  );
}
