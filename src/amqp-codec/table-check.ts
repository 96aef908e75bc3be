import { FIELD_TYPE } from './field-table.js';
import type { Reader } from './reader.js';
import { TableBounds } from './table-bounds.js';
import { unknownType } from './table-reader.js';

/** The types whose values have a fixed number of octets. */
const FIXED_OCTETS: ReadonlyMap<number, number> = new Map<number, number>([
  [FIELD_TYPE.none, 0],
  [FIELD_TYPE.boolean, 1],
  [FIELD_TYPE.int8, 1],
  [FIELD_TYPE.uint8, 1],
  [FIELD_TYPE.int16, 2],
  [FIELD_TYPE.uint16, 2],
  [FIELD_TYPE.int32, 4],
  [FIELD_TYPE.uint32, 4],
  [FIELD_TYPE.float, 4],
  [FIELD_TYPE.decimal, 5],
  [FIELD_TYPE.int64, 8],
  [FIELD_TYPE.otherInt64, 8],
  [FIELD_TYPE.double, 8],
  [FIELD_TYPE.timestamp, 8],
]);

/** Passes over a table; throws exactly where reading it would. */
export function checkTable(reader: Reader): void {
  checkValues(reader, new TableBounds('syntax-error'), true);
}

/** The values of a table, which have names, or of an array. */
function checkValues(reader: Reader, bounds: TableBounds, named: boolean): void {
  const outerEnd = reader.enter(reader.long());
  bounds.descend();
  while (reader.left > 0) {
    if (named) reader.take(reader.octet());
    checkValue(reader, bounds);
  }
  bounds.ascend();
  reader.leave(outerEnd);
}

/** Passes over the type of one value and the value. */
export function checkValue(reader: Reader, bounds: TableBounds): void {
  bounds.countValue();
  const type = reader.octet();
  const octets = FIXED_OCTETS.get(type);
  if (octets !== undefined) {
    reader.take(octets);
  } else if (type === FIELD_TYPE.string || type === FIELD_TYPE.bytes) {
    reader.take(reader.long());
  } else if (type === FIELD_TYPE.table || type === FIELD_TYPE.array) {
    checkValues(reader, bounds, type === FIELD_TYPE.table);
  } else {
    throw unknownType(type);
  }
}
