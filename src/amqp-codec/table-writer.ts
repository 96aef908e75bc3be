import { CodecError, inField } from './errors.js';
import type { FieldTable, FieldValue } from './field-table.js';
import { Decimal, FIELD_TYPE } from './field-table.js';
import type { RawValues } from './raw-fields.js';
import { TableBounds } from './table-bounds.js';
import { secondsOf } from './timestamp.js';
import type { Writer } from './writer.js';

const MIN_INT32 = -0x8000_0000;
const MAX_INT32 = 0x7fff_ffff;

/**
 * Writes one field table with all that is nested in it. The type on the wire follows from the value: the smallest of
 * int32, int64 and double that holds a number. The limits on depth and values also end tables that contain themselves.
 */
export class TableWriter {
  readonly #writer: Writer;
  readonly #known: RawValues | undefined;
  readonly #bounds = new TableBounds('unencodable');

  /** `known`: values that were decoded and come back unchanged keep their octets, and with them their types. */
  constructor(writer: Writer, known?: RawValues) {
    this.#writer = writer;
    this.#known = known;
  }

  /**
   * A table whose entries may be as they were in the one that was decoded: `decoded`. They go out in the order of their
   * names, which an object does not keep for names that are numbers.
   */
  revised(table: FieldTable, decoded: FieldTable): void {
    const length = this.#writer.beginLength();
    this.#bounds.descend();
    for (const [name, value] of Object.entries(table).sort(byName)) {
      const octets = Object.is(value, decoded[name]) ? this.#known?.byName.get(name) : undefined;
      this.#writer.shortString(name);
      if (octets === undefined) this.#value(value);
      else this.#writer.octets(octets);
    }
    this.#bounds.ascend();
    this.#writer.endLength(length);
  }

  /** The length and the entries. */
  table(table: FieldTable): void {
    const length = this.#writer.beginLength();
    this.entries(table);
    this.#writer.endLength(length);
  }

  entries(table: FieldTable): void {
    this.#bounds.descend();
    for (const [name, value] of Object.entries(table)) {
      try {
        this.#writer.shortString(name);
        this.#value(value);
      } catch (error) {
        throw inField(name, error);
      }
    }
    this.#bounds.ascend();
  }

  #array(array: readonly FieldValue[]): void {
    const length = this.#writer.beginLength();
    this.#bounds.descend();
    for (const [index, value] of array.entries()) {
      try {
        this.#value(value);
      } catch (error) {
        throw inField(`${index}`, error);
      }
    }
    this.#bounds.ascend();
    this.#writer.endLength(length);
  }

  #value(value: FieldValue): void {
    this.#bounds.countValue();
    switch (typeof value) {
      case 'string':
        this.#writer.octet(FIELD_TYPE.string);
        this.#writer.longString(value);
        break;
      case 'number':
        this.#number(value);
        break;
      case 'bigint':
        this.#bigint(value);
        break;
      case 'boolean':
        this.#writer.octet(FIELD_TYPE.boolean);
        this.#writer.octet(value ? 1 : 0);
        break;
      case 'object': {
        const octets = value === null ? undefined : this.#known?.byIdentity.get(value);
        if (octets === undefined) this.#object(value);
        else this.#writer.octets(octets);
        break;
      }
      default:
        throw new CodecError('unencodable', `a field table holds no ${typeof value}`);
    }
  }

  #number(value: number): void {
    const writer = this.#writer;
    // Minus zero is no integer that int32 could tell from zero.
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) {
      writer.octet(FIELD_TYPE.double);
      writer.double(value);
    } else if (value < MIN_INT32 || value > MAX_INT32) {
      writer.octet(FIELD_TYPE.int64);
      writer.int64(BigInt(value));
    } else {
      writer.octet(FIELD_TYPE.int32);
      writer.int32(value);
    }
  }

  #bigint(value: bigint): void {
    if (value !== BigInt.asIntN(64, value)) {
      throw new CodecError('unencodable', `${value} has more than 64 bits`);
    }
    this.#writer.octet(FIELD_TYPE.int64);
    this.#writer.int64(value);
  }

  #object(value: FieldValue & (object | null)): void {
    const writer = this.#writer;
    if (value === null) {
      writer.octet(FIELD_TYPE.none);
    } else if (value instanceof Uint8Array) {
      writer.octet(FIELD_TYPE.bytes);
      writer.longBytes(value);
    } else if (value instanceof Date) {
      writer.octet(FIELD_TYPE.timestamp);
      writer.longlong(secondsOf(value));
    } else if (value instanceof Decimal) {
      writer.octet(FIELD_TYPE.decimal);
      writer.octet(value.scale);
      writer.long(value.value);
    } else if (isArray(value)) {
      writer.octet(FIELD_TYPE.array);
      this.#array(value);
    } else if (isPlain(value)) {
      writer.octet(FIELD_TYPE.table);
      this.table(value);
    } else {
      throw new CodecError('unencodable', 'a field table holds no objects of other classes');
    }
  }
}

function byName([one]: readonly [string, unknown], [other]: readonly [string, unknown]): number {
  return one < other ? -1 : 1;
}

/** Map, Set and the like would look like empty tables. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

/** Array.isArray narrows no readonly arrays. */
function isArray(value: readonly FieldValue[] | FieldTable): value is readonly FieldValue[] {
  return Array.isArray(value);
}
