import { canonicalTable, canonicalValue } from './canonical.js';
import { equalValues } from './equality.js';
import type { PatternTable } from './exchange-type.js';
import type { FieldTable, Routable } from './message.js';
import type { Pattern } from './space.js';
import { TargetSet } from './target-set.js';

const utf8 = new TextEncoder();
const MATCH_MODES: readonly unknown[] = ['all', 'any', 'all-with-x', 'any-with-x'];

/** What a pattern's arguments ask for. */
interface Condition {
  readonly any: boolean;
  readonly fields: readonly (readonly [name: string, value: unknown])[];
}

interface Entry<T> extends Condition {
  readonly targets: TargetSet<T>;
}

/**
 * AMQP 0-9-1 §3.1.3.4: the message's headers hold what the pattern's arguments ask for. As RabbitMQ: `x-match`
 * is `all` (default) or `any`, which leave out arguments that start with `x-`, or `all-with-x` or `any-with-x`,
 * which look at those too; an argument without a value asks for the header to be there. Values are equal by
 * value: AMQP's widths of integers are not told apart, nor seconds since 1970 as a timestamp and as an integer, nor a
 * string and its octets.
 */
export class HeadersTable<T> implements PatternTable<T> {
  readonly #entries = new Map<string, Entry<T>>();

  add(pattern: Pattern, target: T): boolean {
    const key = canonicalTable(pattern.arguments);
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      entry = { ...readCondition(pattern.arguments), targets: new TargetSet() };
      this.#entries.set(key, entry);
    }
    return entry.targets.add(target, pattern.routingKey);
  }

  remove(pattern: Pattern, target: T): boolean {
    const key = canonicalTable(pattern.arguments);
    const entry = this.#entries.get(key);
    if (!entry?.targets.remove(target, pattern.routingKey)) return false;
    if (entry.targets.isEmpty) this.#entries.delete(key);
    return true;
  }

  match(message: Routable, found: Set<T>): void {
    if (this.#entries.size === 0) return;
    const headers = message.headers();
    for (const entry of this.#entries.values()) {
      if (meets(headers, entry)) entry.targets.addTo(found);
    }
  }
}

/** What is wrong with a pattern's `x-match`, in RabbitMQ's words. */
export function problemWithMatchMode(table: FieldTable): string | undefined {
  const mode = table['x-match'];
  if (mode === undefined || MATCH_MODES.includes(mode)) return undefined;
  if (typeof mode === 'string') {
    return `Invalid x-match field value <<"${mode}">>; expected all, any, all-with-x, or any-with-x`;
  }
  return `Invalid x-match field type ${fieldType(mode)} (value ${shown(mode)}); expected longstr`;
}

function readCondition(table: FieldTable): Condition {
  const mode = table['x-match'];
  const withX = mode === 'all-with-x' || mode === 'any-with-x';
  const fields = Object.entries(table).filter(
    ([name]) => name !== 'x-match' && (withX || !name.startsWith('x-')),
  );
  return { any: mode === 'any' || mode === 'any-with-x', fields };
}

/** `any` of no fields is never met, `all` of none always. */
function meets(headers: FieldTable, condition: Condition): boolean {
  for (const [name, value] of condition.fields) {
    const met =
      Object.hasOwn(headers, name) &&
      (value === null || value === undefined || equalFields(headers[name], value));
    if (met === condition.any) return met;
  }
  return !condition.any;
}

function equalFields(a: unknown, b: unknown): boolean {
  // Most values, and fast.
  if (typeof a !== 'object' && typeof b !== 'object') return equalValues(a, b);
  if (a instanceof Date !== b instanceof Date) return equalValues(secondsIf(a), secondsIf(b));
  if (typeof a === 'string' && b instanceof Uint8Array) return equalValues(utf8.encode(a), b);
  if (typeof b === 'string' && a instanceof Uint8Array) return equalValues(a, utf8.encode(b));
  return equalValues(a, b);
}

function secondsIf(value: unknown): unknown {
  return value instanceof Date ? value.getTime() / 1_000 : value;
}

/** As RabbitMQ writes a value. */
function shown(value: unknown): string {
  if (value === null) return 'undefined';
  return value instanceof Date ? `${secondsIf(value)}` : canonicalValue(value);
}

/** RabbitMQ's word for the type of a field that holds such a value. */
function fieldType(value: unknown): string {
  switch (typeof value) {
    case 'number':
      return Number.isInteger(value) ? 'signedint' : 'double';
    case 'bigint':
      return 'long';
    case 'boolean':
      return 'bool';
    default:
      if (value === null) return 'void';
      if (value instanceof Date) return 'timestamp';
      if (value instanceof Uint8Array) return 'binary';
      return Array.isArray(value) ? 'array' : 'table';
  }
}
