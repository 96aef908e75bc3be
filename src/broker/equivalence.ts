import { BrokerError } from './errors.js';
import { fieldKey, fieldType, isFloat } from './field-value.js';
import type { FieldTable } from './message.js';

/**
 * Redeclaring asserts: what is asked for must be what is there (AMQP 0-9-1 exchange.declare and queue.declare,
 * rule `equivalent`). RabbitMQ's texts.
 *
 * @throws BrokerError `precondition-failed`
 */
export function assertEquivalent(label: string, field: string, received: unknown, current: unknown): void {
  if (fieldKey(received) !== fieldKey(current))
    throw inequivalent(label, field, `'${show(received)}'`, `'${show(current)}'`);
}

/**
 * The same for declare arguments: only those named are compared, which have a meaning to the broker.
 *
 * @throws BrokerError `precondition-failed`
 */
export function assertEquivalentArguments(
  label: string,
  names: readonly string[],
  received: FieldTable,
  current: FieldTable,
): void {
  for (const name of names) {
    const isAsked = received[name] !== undefined;
    const isThere = current[name] !== undefined;
    if (isAsked && isThere) {
      const [asked, there] = [comparable(received, name), comparable(current, name)];
      if (asked !== there) throw inequivalent(label, name, quoted(asked), quoted(there));
    } else if (isAsked || isThere) {
      throw inequivalent(label, name, typed(received, name), typed(current, name));
    }
  }
}

function inequivalent(label: string, field: string, received: string, current: string): BrokerError {
  const text = `inequivalent arg '${field}' for ${label}: received ${received} but current is ${current}`;
  return new BrokerError('precondition-failed', text);
}

/**
 * A field's value as RabbitMQ writes it, which is also what it compares: integers by value, whatever their width, and times
 * among them; floats are no integers.
 */
function comparable(table: FieldTable, name: string): string {
  const value = table[name];
  if (value === null) return 'undefined';
  if (value instanceof Date) return `${value.getTime() / 1_000}`;
  const text = show(value);
  return isFloat(fieldType(table, name)) && /^-?\d+$/.test(text) ? `${text}.0` : text;
}

function quoted(value: string): string {
  return value === 'undefined' ? 'none' : `'${value}'`;
}

function typed(table: FieldTable, name: string): string {
  if (table[name] === undefined) return 'none';
  return `the value '${comparable(table, name)}' of type '${fieldType(table, name)}'`;
}

function show(value: unknown): string {
  return typeof value === 'string' ? value : fieldKey(value);
}
