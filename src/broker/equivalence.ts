import { BrokerError } from './errors.js';
import { fieldKey, fieldTypeName } from './field-value.js';
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
    const [asked, there] = [received[name], current[name]];
    if (asked !== undefined && there !== undefined) assertEquivalent(label, name, asked, there);
    else if (asked !== there) throw inequivalent(label, name, typed(asked), typed(there));
  }
}

function inequivalent(label: string, field: string, received: string, current: string): BrokerError {
  const text = `inequivalent arg '${field}' for ${label}: received ${received} but current is ${current}`;
  return new BrokerError('precondition-failed', text);
}

function typed(value: unknown): string {
  return value === undefined ? 'none' : `the value '${show(value)}' of type '${fieldTypeName(value)}'`;
}

function show(value: unknown): string {
  return typeof value === 'string' ? value : fieldKey(value);
}
