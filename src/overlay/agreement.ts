import { canonicalValue } from './canonical.js';
import { equalValues } from './equality.js';
import { SpaceError } from './errors.js';
import type { FieldTable } from './message.js';
import type { PointDefinition } from './space.js';

/** Longer values are cut in error texts: AMQP's reply texts have 255 octets in all. */
const MAX_DESCRIBED_UNITS = 60;

/**
 * Checks that who joins means the point that is there.
 *
 * @throws SpaceError `conflict`, worded like RabbitMQ's answer to a declare that does not fit: it names the
 * field, what it should be and what it is.
 */
export function assertSamePoint(space: string, current: PointDefinition, wanted: PointDefinition): void {
  const difference = findDifference(current, wanted);
  if (difference === undefined) return;
  throw new SpaceError(
    'conflict',
    `inequivalent arg '${difference.field}' for exchange point '${wanted.name}' in space '${space}': ` +
      `received ${difference.wanted} but current is ${difference.current}`,
  );
}

interface Difference {
  readonly field: string;
  readonly wanted: string;
  readonly current: string;
}

function findDifference(current: PointDefinition, wanted: PointDefinition): Difference | undefined {
  if (current.type !== wanted.type) {
    return { field: 'exchangetype', wanted: `'${wanted.type}'`, current: `'${current.type}'` };
  }
  const names = Object.keys({ ...current.arguments, ...wanted.arguments });
  const field = names.find((name) => !agreeOn(name, current.arguments, wanted.arguments));
  if (field === undefined) return undefined;
  return { field, wanted: describe(wanted.arguments, field), current: describe(current.arguments, field) };
}

function agreeOn(name: string, a: FieldTable, b: FieldTable): boolean {
  return Object.hasOwn(a, name) && Object.hasOwn(b, name) && equalValues(a[name], b[name]);
}

function describe(table: FieldTable, name: string): string {
  if (!Object.hasOwn(table, name)) return 'none';
  const value = table[name];
  const text = typeof value === 'string' ? value : canonicalValue(value);
  return `'${text.length > MAX_DESCRIBED_UNITS ? `${cut(text)}…` : text}'`;
}

/** The beginning of a long text, without half of a surrogate pair at its end. */
function cut(text: string): string {
  return text.slice(0, MAX_DESCRIBED_UNITS).replace(/[\uD800-\uDBFF]$/, '');
}
