import { notedTypes, noteTypes } from '../field-value.js';
import type { FieldTable } from '../message.js';

/** The tag `w`. */
const NOTED = 0x77;

/**
 * Field tables as octets, every value as the type it is. A value is a tag and what follows:
 *
 *     n                       null                 x  u32 length, octets    octets
 *     t, f                    true, false          A  u32 count, values     array
 *     d  float64              number               F  u32 count, and for    table
 *     b  u32 length, digits   bigint                  each field its name
 *     s  u32 length, UTF-8    text                    (as s without tag)
 *     T  float64 ms           date                    and its value
 *     w  as s without tag,    value whose type on
 *        value                the wire was noted
 *
 * All numbers are big-endian. Objects of other classes are kept as tables of their own properties.
 */
export function encodeTable(table: FieldTable): Buffer {
  const parts: Uint8Array[] = [];
  writeTable(parts, table);
  return Buffer.concat(parts);
}

/** @throws RangeError when these are no octets that `encodeTable` made */
export function decodeTable(bytes: Buffer): FieldTable {
  const reader = new Reader(bytes);
  const value = reader.value();
  if (reader.left > 0 || !isTable(value)) throw new RangeError('no field table');
  return value;
}

function writeTable(parts: Uint8Array[], table: FieldTable): void {
  const fields = Object.entries(table);
  const types = notedTypes(table);
  parts.push(tag('F'), u32(fields.length));
  for (const [name, value] of fields) {
    const type = types?.get(name);
    writeOctets(parts, Buffer.from(name));
    if (type !== undefined) {
      parts.push(tag('w'));
      writeOctets(parts, Buffer.from(type));
    }
    writeValue(parts, value);
  }
}

function writeValue(parts: Uint8Array[], value: unknown): void {
  switch (typeof value) {
    case 'boolean':
      parts.push(tag(value ? 't' : 'f'));
      break;
    case 'number':
      parts.push(tag('d'), float64(value));
      break;
    case 'bigint':
      parts.push(tag('b'));
      writeOctets(parts, Buffer.from(`${value}`));
      break;
    case 'string':
      parts.push(tag('s'));
      writeOctets(parts, Buffer.from(value));
      break;
    default:
      writeObject(parts, value);
  }
}

function writeObject(parts: Uint8Array[], value: unknown): void {
  if (value === null || value === undefined) parts.push(tag('n'));
  else if (value instanceof Date) parts.push(tag('T'), float64(value.getTime()));
  else if (value instanceof Uint8Array) {
    parts.push(tag('x'));
    writeOctets(parts, value);
  } else if (Array.isArray(value)) {
    parts.push(tag('A'), u32(value.length));
    for (const element of value) writeValue(parts, element);
  } else writeTable(parts, value as FieldTable);
}

function writeOctets(parts: Uint8Array[], octets: Uint8Array): void {
  parts.push(u32(octets.length), octets);
}

function tag(letter: string): Buffer {
  return Buffer.from(letter, 'latin1');
}

function u32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function float64(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeDoubleBE(value);
  return bytes;
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  value(): unknown {
    const letter = String.fromCharCode(this.#bytes.readUInt8(this.#take(1)));
    switch (letter) {
      case 'n':
        return null;
      case 't':
        return true;
      case 'f':
        return false;
      case 'd':
        return this.#bytes.readDoubleBE(this.#take(8));
      case 'b':
        return BigInt(this.#octets().toString());
      case 's':
        return this.#octets().toString();
      case 'T':
        return new Date(this.#bytes.readDoubleBE(this.#take(8)));
      case 'x':
        return Buffer.from(this.#octets());
      case 'A':
        return Array.from({ length: this.#u32() }, () => this.value());
      case 'F':
        return this.#table();
      default:
        throw new RangeError(`no value has the tag '${letter}'`);
    }
  }

  #table(): FieldTable {
    const table: Record<string, unknown> = Object.create(null);
    const types = new Map<string, string>();
    for (let count = this.#u32(); count > 0; count--) {
      const name = this.#octets().toString();
      const type = this.#notedType();
      if (type !== undefined) types.set(name, type);
      table[name] = this.value();
    }
    if (types.size > 0) noteTypes(table, types);
    return table;
  }

  #notedType(): string | undefined {
    if (this.#bytes[this.#at] !== NOTED) return undefined;
    this.#at++;
    return this.#octets().toString();
  }

  #octets(): Buffer {
    const length = this.#u32();
    const start = this.#take(length);
    return this.#bytes.subarray(start, start + length);
  }

  #u32(): number {
    return this.#bytes.readUInt32BE(this.#take(4));
  }

  #take(length: number): number {
    if (length > this.left) throw new RangeError('the octets end within a value');
    const start = this.#at;
    this.#at += length;
    return start;
  }
}

function isTable(value: unknown): value is FieldTable {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === null;
}
