import type { PropertyName, RawField } from '../amqp-codec/index.js';
import { FIELD_TYPE, propertyEnd, propertyStart, rawFields } from '../amqp-codec/index.js';

/*
 * RabbitMQ's sender-selected distribution: the headers `CC` and `BCC` hold further routing keys, and `BCC` is gone before
 * the message goes anywhere.
 */

const CC = 'CC';
const BCC = 'BCC';
/** In front of a table or an array: its type and its length. */
const LENGTH_BYTES = 4;
const TYPE_BYTES = 1;

/** RabbitMQ's names of field types, for its error text. */
const TYPE_NAMES: ReadonlyMap<number, string> = new Map([
  [FIELD_TYPE.boolean, 'bool'],
  [FIELD_TYPE.int8, 'byte'],
  [FIELD_TYPE.uint8, 'unsignedbyte'],
  [FIELD_TYPE.int16, 'short'],
  [FIELD_TYPE.uint16, 'unsignedshort'],
  [FIELD_TYPE.int32, 'signedint'],
  [FIELD_TYPE.uint32, 'unsignedint'],
  [FIELD_TYPE.int64, 'long'],
  [FIELD_TYPE.otherInt64, 'long'],
  [FIELD_TYPE.float, 'float'],
  [FIELD_TYPE.double, 'double'],
  [FIELD_TYPE.decimal, 'decimal'],
  [FIELD_TYPE.string, 'longstr'],
  [FIELD_TYPE.bytes, 'binary'],
  [FIELD_TYPE.timestamp, 'timestamp'],
  [FIELD_TYPE.table, 'table'],
  [FIELD_TYPE.none, 'void'],
]);

export interface SenderSelected {
  /** Of `CC`, then of `BCC`. */
  readonly keys: readonly string[];
  /** The property `headers` without `BCC`; undefined where it was not there. */
  readonly headersWithoutBcc: Buffer | undefined;
  /** The header that is no array, and what it is instead: RabbitMQ refuses such a message. */
  readonly problem: { readonly header: string; readonly type: string } | undefined;
}

/** The range is that of a checked content header, which has the property `headers`; undefined: none of these is there. */
export function senderSelected(
  bytes: Buffer,
  headerStart: number,
  headerEnd: number,
  flags: number,
): SenderSelected | undefined {
  // Saves looking closer at nearly all messages: both names have this in them.
  if (!bytes.subarray(headerStart, headerEnd).includes(CC, 0, 'latin1')) return undefined;
  const property: PropertyName = 'headers';
  const start = propertyStart(bytes, headerStart, flags, property);
  const end = propertyEnd(bytes, start, property);
  const fields = rawFields(bytes, start + LENGTH_BYTES, end);
  // Of equal names the first counts here, as in RabbitMQ.
  const found = [CC, BCC].map((name) => fields.find((field) => field.name === name));
  const [, bcc] = found;
  const keys: string[] = [];
  let problem: SenderSelected['problem'];
  for (const field of found) {
    if (field === undefined) continue;
    if (field.type === FIELD_TYPE.array) addKeys(bytes, field, keys);
    else problem ??= { header: field.name, type: TYPE_NAMES.get(field.type) ?? 'unknown' };
  }
  if (keys.length === 0 && problem === undefined && bcc === undefined) return undefined;
  return { keys, headersWithoutBcc: bcc && withoutField(bytes, start, end, bcc), problem };
}

/** Elements that are no strings are passed over. */
function addKeys(bytes: Buffer, { typeStart, end }: RawField, keys: string[]): void {
  for (const element of rawFields(bytes, typeStart + TYPE_BYTES + LENGTH_BYTES, end, 'array')) {
    if (element.type !== FIELD_TYPE.string) continue;
    keys.push(bytes.toString('utf8', element.typeStart + TYPE_BYTES + LENGTH_BYTES, element.end));
  }
}

function withoutField(bytes: Buffer, start: number, end: number, field: RawField): Buffer {
  const table = Buffer.concat([bytes.subarray(start, field.start), bytes.subarray(field.end, end)]);
  table.writeUInt32BE(table.length - LENGTH_BYTES, 0);
  return table;
}
