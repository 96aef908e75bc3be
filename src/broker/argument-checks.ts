import { BrokerError } from './errors.js';
import { fieldType, isInteger } from './field-value.js';
import type { FieldTable } from './message.js';

/** RabbitMQ's upper limit of all times to live: 10 years of 365 days. */
const MAX_EXPIRY_MS = 315_360_000_000;

/** What is wrong with a value of this type, in the words of RabbitMQ's errors; undefined: nothing. */
type Check = (value: unknown, type: string, args: FieldTable) => string | undefined;

export interface ArgumentCheck {
  readonly name: string;
  readonly check: Check;
}

/**
 * Looks at those that are there, in the order of the checks.
 *
 * @throws BrokerError `precondition-failed`
 */
export function checkArguments(label: string, args: FieldTable, checks: readonly ArgumentCheck[]): void {
  for (const { name, check } of checks) {
    const value = args[name];
    const problem = value === undefined ? undefined : check(value, fieldType(args, name), args);
    if (problem === undefined) continue;
    throw new BrokerError('precondition-failed', `invalid arg '${name}' for ${label}: ${problem}`);
  }
}

/**
 * The name of an exchange as an argument; undefined where it is missing.
 *
 * @throws BrokerError `precondition-failed`
 */
export function exchangeArgument(label: string, args: FieldTable, name: string): string | undefined {
  const value = args[name];
  if (value === undefined || typeof value === 'string') return value;
  const text = `invalid type '${fieldType(args, name)}' for arg '${name}' in ${label}`;
  throw new BrokerError('precondition-failed', text);
}

/** For arguments that were checked: an integer that may be beyond what a number holds exactly. */
export function integerArgument(args: FieldTable, name: string): number | undefined {
  const value = args[name];
  return value === undefined ? undefined : Number(value);
}

const integer: Check = (value, type) =>
  isInteger(value, type) ? undefined : `"expected integer, got ${type}"`;

const unacceptableType = (type: string) => `{unacceptable_type,${type}}`;

export const nonNegative: Check = (value, type, args) =>
  isInteger(value, type) && value < 0 ? `{value_negative,${value}}` : integer(value, type, args);

export const expiry: Check = (value, type, args) =>
  isInteger(value, type) && value > MAX_EXPIRY_MS
    ? `{value_too_large,${value}}`
    : nonNegative(value, type, args);

export const positiveExpiry: Check = (value, type, args) =>
  isInteger(value, type) && Number(value) === 0 ? '{value_zero,0}' : expiry(value, type, args);

export function atMost(max: number): Check {
  return (value, type, args) =>
    isInteger(value, type) && value > max ? `{max_value_exceeded,${value}}` : nonNegative(value, type, args);
}

export const bool: Check = (value, type) => (typeof value === 'boolean' ? undefined : unacceptableType(type));

export const text: Check = (value, type) => (typeof value === 'string' ? undefined : unacceptableType(type));

export function oneOf(allowed: readonly string[], problem: (value: string) => string): Check {
  return (value, type) => {
    if (typeof value !== 'string') return unacceptableType(type);
    return allowed.includes(value) ? undefined : problem(value);
  };
}

export function needs(other: string, problem: string): Check {
  return (value, type, args) => text(value, type, args) ?? (args[other] === undefined ? problem : undefined);
}
