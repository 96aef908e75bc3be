import type { FieldTable } from './message.js';

/**
 * Whether two tables hold equal values under the same names; the same as having equal canonical texts, for any
 * depth the shallower of the two has. Numbers are equal by value, bytes by their octets, dates by their time.
 */
export function equalTables(a: FieldTable, b: FieldTable): boolean {
  const names = Object.keys(a);
  if (names.length !== Object.keys(b).length) return false;
  return names.every((name) => Object.hasOwn(b, name) && equalValues(a[name], b[name]));
}

/** {@link equalTables} for single values of tables. */
export function equalValues(a: unknown, b: unknown): boolean {
  // `==` compares a bigint with a number by value, and nothing else of interest.
  // biome-ignore lint/suspicious/noDoubleEquals: 5n == 5
  if (isNumber(a) && isNumber(b)) return a == b || (Number.isNaN(a) && Number.isNaN(b));
  if (isNothing(a) || isNothing(b)) return isNothing(a) && isNothing(b);
  if (typeof a !== 'object' || typeof b !== 'object') return a === b;
  return equalObjects(a as object, b as object);
}

function equalObjects(a: object, b: object): boolean {
  if (a instanceof Uint8Array || b instanceof Uint8Array) return equalBytes(a, b);
  if (a instanceof Date || b instanceof Date) return equalDates(a, b);
  if (Array.isArray(a) || Array.isArray(b)) return equalLists(a, b);
  return equalTables(a as FieldTable, b as FieldTable);
}

function equalBytes(a: object, b: object): boolean {
  if (!(a instanceof Uint8Array && b instanceof Uint8Array)) return false;
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

function equalDates(a: object, b: object): boolean {
  return a instanceof Date && b instanceof Date && a.getTime() === b.getTime();
}

function equalLists(a: object, b: object): boolean {
  if (!(Array.isArray(a) && Array.isArray(b))) return false;
  return a.length === b.length && a.every((value, i) => equalValues(value, b[i]));
}

function isNumber(value: unknown): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint';
}

function isNothing(value: unknown): value is null | undefined {
  return value === null || value === undefined;
}
