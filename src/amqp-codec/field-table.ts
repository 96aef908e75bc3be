/** A field table (AMQP 0-9-1 §4.2.5.5). Decoded ones have no prototype, so that any name is only a name. */
export type FieldTable = { readonly [name: string]: FieldValue };

/**
 * The values of a field table. Integers are numbers where that is exact, and bigints elsewhere. A Date stands for
 * a timestamp, which has whole seconds; a Buffer for a byte array; null for no value.
 */
export type FieldValue =
  | number
  | bigint
  | boolean
  | string
  | Date
  | Buffer
  | Decimal
  | null
  | readonly FieldValue[]
  | FieldTable;

/** A decimal value: `value` × 10^-`scale`; `scale` is an octet, `value` an unsigned 32-bit integer. */
export class Decimal {
  readonly scale: number;
  readonly value: number;

  constructor(scale: number, value: number) {
    this.scale = scale;
    this.value = value;
  }
}

/**
 * The octet in front of each value. These are RabbitMQ's types, which clients follow, where the specification has
 * others: 's' is an int16 and no string, 'l' is signed like 'L', 'x' is added
 * (https://www.rabbitmq.com/amqp-0-9-1-errata.html#section_3).
 */
export const FIELD_TYPE = {
  boolean: 0x74, // t
  int8: 0x62, // b
  uint8: 0x42, // B
  int16: 0x73, // s
  uint16: 0x75, // u
  int32: 0x49, // I
  uint32: 0x69, // i
  int64: 0x6c, // l
  otherInt64: 0x4c, // L
  float: 0x66, // f
  double: 0x64, // d
  decimal: 0x44, // D
  string: 0x53, // S
  bytes: 0x78, // x
  timestamp: 0x54, // T
  array: 0x41, // A
  table: 0x46, // F
  none: 0x56, // V
} as const;

/**
 * Numbers of these types do not tell it; a table that has some notes their types, in RabbitMQ's words and by their names,
 * under {@link NOTED_TYPES}. An int32 is what a number is taken for otherwise, or an int64 where it is too large for that.
 */
export const NOTEWORTHY_TYPES: ReadonlyMap<number, string> = new Map([
  [FIELD_TYPE.int8, 'byte'],
  [FIELD_TYPE.uint8, 'unsignedbyte'],
  [FIELD_TYPE.int16, 'short'],
  [FIELD_TYPE.uint16, 'unsignedshort'],
  [FIELD_TYPE.uint32, 'unsignedint'],
  [FIELD_TYPE.int64, 'long'],
  [FIELD_TYPE.otherInt64, 'long'],
  [FIELD_TYPE.float, 'float'],
  [FIELD_TYPE.double, 'double'],
  [FIELD_TYPE.decimal, 'decimal'],
]);

/** Known to the broker by this text: it has the same symbol, and nothing else of this codec. */
export const NOTED_TYPES = Symbol.for('amqp.field-types');
