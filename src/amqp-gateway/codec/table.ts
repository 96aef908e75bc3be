import type { FieldTable } from './field-table.js';
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
