import { Decimal, MAX_SHORT_STRING_BYTES } from '../amqp-codec/index.js';
import type { FieldTable, JoinRequest, PointType } from '../overlay/index.js';
import { equalTables, exchangeTypes, SpaceError } from '../overlay/index.js';

/** What `exchange.declare` of a point's alias asks for. */
export interface AliasArguments {
  readonly implementation: string;
  readonly request: JoinRequest;
  /** The arguments in one spelling, with what was left out: redeclarations are compared by it. */
  readonly normalised: FieldTable;
}

/** What `exchange.declare` of a space asks for. */
export interface SpaceArguments {
  readonly implementation: string;
  readonly settings: FieldTable;
  readonly normalised: FieldTable;
}

const ALIAS_FIELDS = ['exchangespace', 'exchangename', 'exchangetype', 'arguments'];

/** As the original paper's example spells `exchangename`. */
const MISSPELT_NAME = 'exchangenname';

/** Longer fields and values are cut in texts: a reply has 255 octets for field, expected and found together. */
const MAX_DESCRIBED_UNITS = 40;

/** The codec has octets that are not UTF-8 stand in a string as these. */
const NOT_UTF8 = /\p{Surrogate}/u;

/** @throws SpaceError `invalid-argument`, naming the field, what is expected and what was found */
export function parseAliasArguments(table: FieldTable): AliasArguments {
  const fields = respell(table);
  for (const name of Object.keys(fields)) {
    if (ALIAS_FIELDS.includes(name)) continue;
    throw invalid(`argument '${cut(name)}' is not understood: expected ${quoted(ALIAS_FIELDS)}`);
  }
  const exchangespace = tableIn('exchangespace', fields.exchangespace);
  const { implementation, space, ...settings } = exchangespace;
  const implementationName = nameIn('exchangespace.implementation', implementation);
  const spaceName = nameIn('exchangespace.space', space);
  const name = nameIn('exchangename', fields.exchangename);
  const type = pointType(nameIn('exchangetype', fields.exchangetype));
  const pointArguments = tableIn('arguments', fields.arguments ?? {});
  return {
    implementation: implementationName,
    request: { space: spaceName, point: { name, type, arguments: pointArguments }, settings },
    normalised: { exchangespace, exchangename: name, exchangetype: type, arguments: pointArguments },
  };
}

/** @throws SpaceError `invalid-argument` */
export function parseSpaceArguments(table: FieldTable): SpaceArguments {
  const { implementation, ...settings } = table;
  return { implementation: nameIn('implementation', implementation), settings, normalised: table };
}

/**
 * Checks that a redeclaration means what is there. The text has what matters before the names that can be long.
 *
 * @throws SpaceError `conflict`
 */
export function assertEqualArguments(exchange: string, received: FieldTable, current: FieldTable): void {
  const difference = findDifference('', received, current);
  if (difference === undefined) return;
  const { field, received: asked, current: there } = difference;
  throw new SpaceError(
    'conflict',
    `inequivalent arg '${cut(field)}': received ${describe(asked)} but current is ${describe(there)}, ` +
      `for exchange '${exchange}'`,
  );
}

interface Difference {
  readonly field: string;
  readonly received: unknown;
  readonly current: unknown;
}

/** The first values that differ, as deep inside as can be named: tables and arrays are followed. */
function findDifference(field: string, received: unknown, current: unknown): Difference | undefined {
  if (isTable(received) && isTable(current)) {
    const names = Object.keys({ ...current, ...received });
    const prefix = field === '' ? '' : `${field}.`;
    return firstOf(names, (name) => findDifference(prefix + name, own(received, name), own(current, name)));
  }
  if (Array.isArray(received) && Array.isArray(current)) {
    const indices = [...(received.length > current.length ? received : current).keys()];
    return firstOf(indices, (index) => findDifference(`${field}[${index}]`, received[index], current[index]));
  }
  return equalTables({ value: received }, { value: current }) ? undefined : { field, received, current };
}

function firstOf<T>(items: readonly T[], find: (item: T) => Difference | undefined): Difference | undefined {
  for (const item of items) {
    const found = find(item);
    if (found !== undefined) return found;
  }
  return undefined;
}

function own(table: FieldTable, name: string): unknown {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}

function respell(table: FieldTable): FieldTable {
  if (!Object.hasOwn(table, MISSPELT_NAME)) return table;
  if (Object.hasOwn(table, 'exchangename')) {
    throw invalid(`arguments 'exchangename' and '${MISSPELT_NAME}' mean the same: expected one of them`);
  }
  const { [MISSPELT_NAME]: name, ...rest } = table;
  return { ...rest, exchangename: name };
}

/** What has a name in a space is named as exchanges are: AMQP 0-9-1 §4.2.5.3, a short string. */
function nameIn(field: string, value: unknown): string {
  const expected = `argument '${field}': expected a string of 1 to ${MAX_SHORT_STRING_BYTES} bytes of UTF-8`;
  if (typeof value !== 'string') throw invalid(`${expected}, found ${describe(value)}`);
  if (NOT_UTF8.test(value)) throw invalid(`${expected}, found other bytes`);
  const bytes = Buffer.byteLength(value);
  if (bytes > 0 && bytes <= MAX_SHORT_STRING_BYTES) return value;
  throw invalid(`${expected}, found ${bytes} bytes`);
}

function tableIn(field: string, value: unknown): FieldTable {
  if (isTable(value)) return value;
  throw invalid(`argument '${field}': expected a table, found ${describe(value)}`);
}

function isTable(value: unknown): value is FieldTable {
  if (typeof value !== 'object' || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

function pointType(type: string): PointType {
  const known = exchangeTypes.find(({ name }) => name === type);
  if (known !== undefined) return known.name;
  const names = exchangeTypes.map(({ name }) => name);
  throw invalid(`argument 'exchangetype': expected one of ${quoted(names)}, found ${describe(type)}`);
}

function describe(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return `'${cut(value)}'`;
    case 'object':
      if (value === null) return 'no value';
      if (value instanceof Date) return `the timestamp ${value.getTime() / 1000}`;
      if (value instanceof Uint8Array) return `the bytes ${cut(Buffer.from(value).toString('hex'))}`;
      if (value instanceof Decimal) return `the decimal ${value.value}e-${value.scale}`;
      return Array.isArray(value) ? 'an array' : 'a table';
    default:
      return value === undefined ? 'none' : String(value);
  }
}

/** Never within a character: half of one has no octets that could be sent. */
function cut(text: string): string {
  if (text.length <= MAX_DESCRIBED_UNITS) return text;
  return `${text.slice(0, MAX_DESCRIBED_UNITS).replace(/[\ud800-\udbff]$/, '')}…`;
}

function quoted(names: readonly string[]): string {
  return names.map((name) => `'${name}'`).join(', ');
}

function invalid(message: string): SpaceError {
  return new SpaceError('invalid-argument', message);
}
