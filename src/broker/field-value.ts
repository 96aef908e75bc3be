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
 * The name of a field value's type as RabbitMQ's texts have it. The smallest integer types are not told apart.
 */
export function fieldTypeName(value: unknown): string {
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
