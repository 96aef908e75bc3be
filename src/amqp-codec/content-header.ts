import type { DomainCodec } from './domains.js';
import { DOMAINS } from './domains.js';
import { CodecError, inField } from './errors.js';
import type { Properties, PropertyName } from './properties.js';
import { PROPERTIES } from './properties.js';
import { Reader } from './reader.js';
import { scratch } from './writer.js';

/** Class basic, the only one with content (AMQP 0-9-1 §1.8). */
const CLASS_BASIC = 60;

/** Where the flags are in the payload, after class id, weight and body size; and the properties after them. */
const FLAGS_OFFSET = 12;
export const PROPERTIES_OFFSET = FLAGS_OFFSET + 2;

/** What opens the payload of a content header frame (AMQP 0-9-1 §4.2.6.1). */
export interface ContentHeader {
  readonly classId: number;
  /** In octets. Above 2^53 the nearest number, which is above any limit too. */
  readonly bodySize: number;
  /** Which properties follow; see {@link PROPERTY_FLAGS}. */
  readonly flags: number;
}

interface PropertyPlan {
  readonly name: PropertyName;
  readonly flag: number;
  readonly codec: DomainCodec<unknown>;
}

const PLANS = Object.entries(PROPERTIES).map(
  ([name, domain], index): PropertyPlan => ({
    name: name as PropertyName,
    flag: 0x8000 >> index,
    codec: DOMAINS[domain],
  }),
);

/** The bit of each property in `ContentHeader.flags`. */
export const PROPERTY_FLAGS = Object.fromEntries(PLANS.map(({ name, flag }) => [name, flag])) as {
  readonly [P in PropertyName]: number;
};

/**
 * Reads what opens the header, and checks the properties without decoding them: a header that passes can be sent on
 * to others, and {@link decodeProperties} will not throw.
 *
 * @throws CodecError `unexpected-frame` for another class than basic or a weight, `syntax-error` for anything else
 */
export function decodeHeader(bytes: Buffer, start: number, end: number): ContentHeader {
  const reader = new Reader(bytes, start, end);
  const header = readOpening(reader);
  for (const plan of PLANS) {
    if ((header.flags & plan.flag) !== 0) check(reader, plan);
  }
  finish(reader);
  return header;
}

/** @throws CodecError as {@link decodeHeader} does, and only then */
export function decodeProperties(bytes: Buffer, start: number, end: number): Properties {
  const reader = new Reader(bytes, start, end);
  const { flags } = readOpening(reader);
  const properties: Record<string, unknown> = {};
  for (const { name, flag, codec } of PLANS) {
    if ((flags & flag) === 0) continue;
    try {
      properties[name] = codec.read(reader);
    } catch (error) {
      throw inField(name, error);
    }
  }
  finish(reader);
  return properties;
}

/**
 * Encodes the payload of a content header frame.
 *
 * @throws CodecError `unencodable`
 */
export function encodeHeader(bodySize: number, properties: Properties): Buffer {
  const writer = scratch();
  writer.short(CLASS_BASIC);
  writer.short(0);
  writer.longlong(bodySize);
  writer.short(0);
  let flags = 0;
  for (const { name, flag, codec } of PLANS) {
    const value = properties[name];
    if (value === undefined) continue;
    try {
      codec.write(writer, value);
    } catch (error) {
      throw inField(name, error);
    }
    flags |= flag;
  }
  writer.patchShort(FLAGS_OFFSET, flags);
  return writer.copy();
}

function readOpening(reader: Reader): ContentHeader {
  const classId = reader.short();
  if (classId !== CLASS_BASIC) throw new CodecError('frame-error', `content of class ${classId}`);
  const weight = reader.short();
  if (weight !== 0) throw new CodecError('syntax-error', `${weight} instead of 0`, 'weight');
  const bodySize = reader.longlong();
  // AMQP 0-9-1 §4.2.6.1: bit 0 announces further flags. No property needs them, and RabbitMQ passes over the two spare bits.
  const flags = reader.short();
  return { classId, bodySize, flags };
}

function check(reader: Reader, plan: PropertyPlan): void {
  try {
    plan.codec.check(reader);
  } catch (error) {
    throw inField(plan.name, error);
  }
}

function finish(reader: Reader): void {
  if (reader.left > 0) throw new CodecError('syntax-error', `${reader.left} octets too many`, 'properties');
}
