import type { FieldTable } from './field-table.js';
import type { Reader } from './reader.js';
import { checkTable } from './table-check.js';
import { TableReader } from './table-reader.js';
import { TableWriter } from './table-writer.js';
import { dateOf, secondsOf } from './timestamp.js';
import type { Writer } from './writer.js';

/** How the values of one domain are read and written, and passed over with the same checks as reading has. */
export interface DomainCodec<T> {
  read(reader: Reader): T;
  write(writer: Writer, value: T): void;
  check(reader: Reader): void;
}

/**
 * The elementary types of AMQP 0-9-1 §4.2.5 that take whole octets. Two the specification does not tell apart:
 * `lenientShortstr` may hold other octets than UTF-8 (see text.ts), `bytes` is a longstr without text (security tokens).
 */
export const DOMAINS = {
  octet: domain<number>(
    (reader) => reader.octet(),
    (writer, value) => writer.octet(value),
  ),
  short: domain<number>(
    (reader) => reader.short(),
    (writer, value) => writer.short(value),
  ),
  long: domain<number>(
    (reader) => reader.long(),
    (writer, value) => writer.long(value),
  ),
  longlong: domain<number>(
    (reader) => reader.longlong(),
    (writer, value) => writer.longlong(value),
  ),
  shortstr: domain<string>(
    (reader) => reader.shortString(),
    (writer, value) => writer.shortString(value),
  ),
  lenientShortstr: domain<string>(
    (reader) => reader.lenientShortString(),
    (writer, value) => writer.shortString(value),
    (reader) => reader.take(reader.octet()),
  ),
  longstr: domain<string>(
    (reader) => reader.longString(),
    (writer, value) => writer.longString(value),
  ),
  bytes: domain<Buffer>(
    (reader) => reader.longBytes(),
    (writer, value) => writer.longBytes(value),
  ),
  timestamp: domain<Date>(
    (reader) => dateOf(reader.longlong()),
    (writer, value) => writer.longlong(secondsOf(value)),
    (reader) => reader.take(8),
  ),
  table: domain<FieldTable>(
    (reader) => new TableReader(reader, true).table(),
    (writer, value) => new TableWriter(writer).table(value),
    checkTable,
  ),
} as const;

function domain<T>(
  read: (reader: Reader) => T,
  write: (writer: Writer, value: T) => void,
  check: (reader: Reader) => void = read,
): DomainCodec<T> {
  return { read, write, check };
}

/** `bit` has no codec of its own, because neighbouring bits share an octet (§4.2.5.2). */
export type Domain = keyof typeof DOMAINS | 'bit';

export type TypeOf<D extends Domain> = D extends keyof typeof DOMAINS
  ? ReturnType<(typeof DOMAINS)[D]['read']>
  : boolean;
