import { BrokerError } from './errors.js';
import type { FieldTable } from './message.js';

/** Declare arguments to which RabbitMQ gives a meaning that would be missed here: refused, never ignored. */
const UNSUPPORTED_ARGUMENTS = [
  'x-expires',
  'x-message-ttl',
  'x-dead-letter-exchange',
  'x-dead-letter-routing-key',
  'x-max-length',
  'x-max-length-bytes',
  'x-max-priority',
  'x-overflow',
  'x-single-active-consumer',
];

/** What redeclaring compares. RabbitMQ leaves all other arguments out. */
export const COMPARED_ARGUMENTS: readonly string[] = [
  ...UNSUPPORTED_ARGUMENTS,
  'x-queue-mode',
  'x-queue-type',
];

/** The arguments with the defaults that redeclaring takes for equal. */
export function comparable(args: FieldTable): FieldTable {
  return { 'x-queue-type': 'classic', ...args };
}

/**
 * `x-queue-mode` is a hint without effect, as in RabbitMQ since 3.12; unknown arguments are kept and mean nothing.
 *
 * @throws BrokerError `not-implemented`, or `precondition-failed` for a queue type other than `classic`.
 */
export function assertSupported(label: string, args: FieldTable): void {
  for (const name of UNSUPPORTED_ARGUMENTS) {
    if (args[name] === undefined) continue;
    throw new BrokerError('not-implemented', `arg '${name}' for ${label} is not supported`);
  }
  assertOneOf(label, 'x-queue-type', args, ['classic'], 'queue type');
  assertOneOf(label, 'x-queue-mode', args, ['default', 'lazy'], 'queue mode');
}

function assertOneOf(
  label: string,
  name: string,
  args: FieldTable,
  allowed: readonly string[],
  meaning: string,
): void {
  const value = args[name];
  if (value === undefined || (typeof value === 'string' && allowed.includes(value))) return;
  const problem =
    typeof value === 'string' ? `unsupported ${meaning} '${value}'` : `${meaning} must be a string`;
  throw new BrokerError('precondition-failed', `invalid arg '${name}' for ${label}: ${problem}`);
}
