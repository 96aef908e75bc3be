import { CodecError, inField } from './errors.js';
import type { FieldTable, FieldValue } from './field-table.js';
import { Decimal, FIELD_TYPE, NOTED_TYPES, NOTEWORTHY_TYPES } from './field-table.js';
import type { Reader } from './reader.js';
import { TableBounds } from './table-bounds.js';
import { dateOf } from './timestamp.js';

/** Reads one field table with all that is nested in it. */
export class TableReader {
  readonly #reader: Reader;
  readonly #bounds = new TableBounds('syntax-error');
  readonly #notesTypes: boolean;

  /** `notesTypes`: see {@link NOTEWORTHY_TYPES}. */
  constructor(reader: Reader, notesTypes = false) {
    this.#reader = reader;
    this.#notesTypes = notesTypes;
  }

  /** The length and the entries. */
  table(): FieldTable {
    const outerEnd = this.#reader.enter(this.#reader.long());
    const table = this.entries();
    this.#reader.leave(outerEnd);
    return table;
  }

  /** The entries up to the end of the reader's range. Of equal names the last one counts. */
  entries(): FieldTable {
    this.#bounds.descend();
    const table: Record<string, FieldValue> = Object.create(null);
    let types: Map<string, string> | undefined;
    while (this.#reader.left > 0) {
      const name = this.#reader.lenientShortString();
      try {
        const type = this.#reader.octet();
        table[name] = this.#value(type);
        if (this.#notesTypes) types = noted(types, name, NOTEWORTHY_TYPES.get(type));
      } catch (error) {
        throw inField(name, error);
      }
    }
    this.#bounds.ascend();
    // Not enumerable, as it is no field.
    return types === undefined ? table : Object.defineProperty(table, NOTED_TYPES, { value: types });
  }

  #array(): FieldValue[] {
    const outerEnd = this.#reader.enter(this.#reader.long());
    this.#bounds.descend();
    const array: FieldValue[] = [];
    while (this.#reader.left > 0) {
      try {
        array.push(this.#value(this.#reader.octet()));
      } catch (error) {
        throw inField(`${array.length}`, error);
      }
    }
    this.#bounds.ascend();
    this.#reader.leave(outerEnd);
    return array;
  }

  #value(type: number): FieldValue {
    this.#bounds.countValue();
    const reader = this.#reader;
    switch (type) {
      case FIELD_TYPE.boolean:
        return reader.octet() !== 0;
      case FIELD_TYPE.int8:
        return reader.bytes.readInt8(reader.take(1));
      case FIELD_TYPE.uint8:
        return reader.octet();
      case FIELD_TYPE.int16:
        return reader.bytes.readInt16BE(reader.take(2));
      case FIELD_TYPE.uint16:
        return reader.short();
      case FIELD_TYPE.int32:
        return reader.bytes.readInt32BE(reader.take(4));
      case FIELD_TYPE.uint32:
        return reader.long();
      case FIELD_TYPE.int64:
      case FIELD_TYPE.otherInt64:
        return numberIfExact(reader.bytes.readBigInt64BE(reader.take(8)));
      case FIELD_TYPE.float:
        return reader.bytes.readFloatBE(reader.take(4));
      case FIELD_TYPE.double:
        return reader.bytes.readDoubleBE(reader.take(8));
      case FIELD_TYPE.decimal:
        return new Decimal(reader.octet(), reader.long());
      case FIELD_TYPE.string:
        return reader.longString();
      case FIELD_TYPE.bytes:
        return reader.longBytes();
      case FIELD_TYPE.timestamp:
        return dateOf(reader.longlong());
      case FIELD_TYPE.array:
        return this.#array();
      case FIELD_TYPE.table:
        return this.table();
      case FIELD_TYPE.none:
        return null;
      default:
        throw unknownType(type);
    }
  }
}

/** Of equal names the last one counts here, too. */
function noted(
  types: Map<string, string> | undefined,
  name: string,
  type: string | undefined,
): Map<string, string> | undefined {
  if (type !== undefined) return (types ?? new Map<string, string>()).set(name, type);
  types?.delete(name);
  return types;
}

function numberIfExact(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

export function unknownType(type: number): CodecError {
  return new CodecError('syntax-error', `no field type has the octet ${type}`);
}
