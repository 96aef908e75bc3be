import type { FieldTable, FieldValue } from './field-table.js';
import { FIELD_TYPE } from './field-table.js';
import { Reader } from './reader.js';
import { TableBounds } from './table-bounds.js';
import { checkValue } from './table-check.js';

/** One entry of a field table, or one element of an array, as it lies in its octets. */
export interface RawField {
  /** Empty for an element of an array. */
  readonly name: string;
  /** The octet of its type; the value starts right behind it. */
  readonly type: number;
  /** Where the entry starts, with its name. */
  readonly start: number;
  /** Where its type is. */
  readonly typeStart: number;
  readonly end: number;
}

/** The entries of a field table that was checked, in the order of the wire; `start` is behind the table's length. */
export function rawFields(
  bytes: Buffer,
  start: number,
  end: number,
  kind: 'table' | 'array' = 'table',
): RawField[] {
  const reader = new Reader(bytes, start, end);
  const bounds = new TableBounds('syntax-error');
  const fields: RawField[] = [];
  while (reader.left > 0) {
    const fieldStart = reader.position;
    const name = kind === 'table' ? reader.lenientShortString() : '';
    const typeStart = reader.position;
    checkValue(reader, bounds);
    fields.push({
      name,
      type: bytes.readUInt8(typeStart),
      start: fieldStart,
      typeStart,
      end: reader.position,
    });
  }
  return fields;
}

/** Octets of values that were decoded, type octet included. Values without identity are known by their place only. */
export interface RawValues {
  readonly byName: ReadonlyMap<string, Buffer>;
  readonly byIdentity: ReadonlyMap<object, Buffer>;
}

/** For each value of a table the octets it was decoded from: `decoded` is what TableReader made of the range. */
export function rawValues(bytes: Buffer, start: number, end: number, decoded: FieldTable): RawValues {
  const byName = new Map<string, Buffer>();
  const byIdentity = new Map<object, Buffer>();
  collect(rawFields(bytes, start, end), decoded);
  return { byName, byIdentity };

  function collect(fields: readonly RawField[], values: FieldTable | readonly FieldValue[]): void {
    for (const [index, { name, type, typeStart, end: fieldEnd }] of fields.entries()) {
      const isArray = Array.isArray(values);
      const value: FieldValue | undefined = isArray ? values[index] : (values as FieldTable)[name];
      const octets = bytes.subarray(typeStart, fieldEnd);
      if (values === decoded) byName.set(name, octets);
      if (typeof value !== 'object' || value === null) continue;
      byIdentity.set(value, octets);
      // Of equal names the last one counts, so an earlier one may be of another kind than what was decoded.
      if (type === FIELD_TYPE.array && Array.isArray(value)) {
        collect(rawFields(bytes, typeStart + 5, fieldEnd, 'array'), value);
      } else if (type === FIELD_TYPE.table && Object.getPrototypeOf(value) === null) {
        collect(rawFields(bytes, typeStart + 5, fieldEnd), value as FieldTable);
      }
    }
  }
}
