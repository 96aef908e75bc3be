import type { FieldTable } from './field-table.js';
import { rawValues } from './raw-fields.js';
import { Reader } from './reader.js';
import { TableReader } from './table-reader.js';
import { TableWriter } from './table-writer.js';
import { scratch } from './writer.js';

/**
 * Decodes the entries of a field table. There is no length in front of them, as in the response of the mechanism
 * AMQPLAIN.
 *
 * @throws CodecError `syntax-error`
 */
export function decodeTable(bytes: Buffer, start: number, end: number): FieldTable {
  return new TableReader(new Reader(bytes, start, end)).entries();
}

/**
 * The reverse of {@link decodeTable}: entries, and no length in front.
 *
 * @throws CodecError `unencodable`
 */
export function encodeTable(table: FieldTable): Buffer {
  const writer = scratch();
  new TableWriter(writer).entries(table);
  return writer.copy();
}

/**
 * A table made of one that was decoded from this range: with its length in front, and everything that is still the
 * same in the types it had, in the order of the names. Numbers that were not there before are encoded as {@link encodeTable} does, bigints as int64.
 *
 * @throws CodecError `unencodable`
 */
export function encodeRevisedTable(
  table: FieldTable,
  decoded: FieldTable,
  bytes: Buffer,
  start: number,
  end: number,
): Buffer {
  const writer = scratch();
  new TableWriter(writer, rawValues(bytes, start, end, decoded)).revised(table, decoded);
  return writer.copy();
}

/**
 * A short string with its length in front (AMQP 0-9-1 §4.2.5.3).
 *
 * @throws CodecError `unencodable` above 255 octets
 */
export function encodeShortString(text: string): Buffer {
  const writer = scratch();
  writer.shortString(text);
  return writer.copy();
}
