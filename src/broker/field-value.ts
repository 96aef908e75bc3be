import type { FieldTable } from './message.js';

/**
 * A text that is equal for equal field values and different for others. Fields of a table count in any order,
 * as RabbitMQ compares the arguments of bindings. A number is itself however many bytes it had on the wire.
 */
export function fieldKey(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(fieldKey).join()}]`;
  if (value instanceof Date) return `T${value.getTime()}`;
  if (value instanceof Uint8Array) return `x${value.join()}`;
  if (typeof value === 'object' && value !== null) {
    const fields = Object.entries(value).map(([name, field]) => `${JSON.stringify(name)}:${fieldKey(field)}`);
    return `{${fields.sort().join()}}`;
  }
  return String(value);
}

/**
 * Where a decoded table notes the types of fields whose values do not tell them, by name: numbers of other types than
 * RabbitMQ's `signedint`. Who decodes tables agrees on the symbol by this text.
 */
const NOTED_TYPES = Symbol.for('amqp.field-types');

/** The types that were noted, if any. */
export function notedTypes(table: FieldTable): ReadonlyMap<string, string> | undefined {
  return Reflect.get(table, NOTED_TYPES) as ReadonlyMap<string, string> | undefined;
}

/** Notes types again, in a table that was made from another one's fields. */
export function noteTypes(table: FieldTable, types: ReadonlyMap<string, string>): void {
  Object.defineProperty(table, NOTED_TYPES, { value: types });
}

/** The name of a field's type as RabbitMQ's texts have it. */
export function fieldType(table: FieldTable, name: string): string {
  return notedTypes(table)?.get(name) ?? typeOf(table[name]);
}

/** Whether a field is a whole number: not one that only has no fraction. */
export function isInteger(value: unknown, type: string): value is number | bigint {
  return typeof value === 'bigint' || (Number.isInteger(value) && !isFloat(type));
}

export function isFloat(type: string): boolean {
  return type === 'float' || type === 'double';
}

function typeOf(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return 'longstr';
    case 'boolean':
      return 'bool';
    case 'bigint':
      return 'long';
    case 'number':
      if (!Number.isInteger(value)) return 'double';
      return value === (value | 0) ? 'signedint' : 'long';
    default:
      if (Array.isArray(value)) return 'array';
      if (value instanceof Date) return 'timestamp';
      if (value instanceof Uint8Array) return 'binary';
      return value === null || value === undefined ? 'void' : 'table';
  }
}
