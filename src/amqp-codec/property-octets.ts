import { PROPERTIES_OFFSET, PROPERTY_FLAGS } from './content-header.js';
import type { PropertyName } from './properties.js';

/*
 * Properties as they lie in the payload of a content header. All of this is for payloads that `decodeHeader` has let
 * pass, and does without a look at the properties that it is not about.
 */

const {
  headers: HEADERS,
  deliveryMode: DELIVERY_MODE,
  priority: PRIORITY,
  timestamp: TIMESTAMP,
} = PROPERTY_FLAGS;

const FLAGS_OFFSET = PROPERTIES_OFFSET - 2;
const FIRST_FLAG = 0x8000;

/** Where the property starts, or would start if it were there. `flags`: those of the header. */
export function propertyStart(
  bytes: Buffer,
  headerStart: number,
  flags: number,
  property: PropertyName,
): number {
  const last = PROPERTY_FLAGS[property];
  let at = headerStart + PROPERTIES_OFFSET;
  for (let flag = FIRST_FLAG; flag > last; flag >>= 1) {
    if ((flags & flag) !== 0) at = endOf(bytes, at, flag);
  }
  return at;
}

/** Where a property ends that starts at `start`. */
export function propertyEnd(bytes: Buffer, start: number, property: PropertyName): number {
  return endOf(bytes, start, PROPERTY_FLAGS[property]);
}

/**
 * The same header with some properties replaced by other octets, or left out where these are undefined. Every other
 * octet stays: decoding and encoding again could change the types of numbers in the headers.
 */
export function editHeader(
  bytes: Buffer,
  start: number,
  end: number,
  edits: ReadonlyMap<PropertyName, Buffer | undefined>,
): Buffer {
  const flags = bytes.readUInt16BE(start + FLAGS_OFFSET);
  let newFlags = flags;
  const parts: Buffer[] = [];
  let from = start;
  // In the order of the wire.
  for (const property of Object.keys(PROPERTY_FLAGS) as PropertyName[]) {
    if (!edits.has(property)) continue;
    const flag = PROPERTY_FLAGS[property];
    const at = propertyStart(bytes, start, flags, property);
    const octets = edits.get(property);
    parts.push(bytes.subarray(from, at));
    if (octets !== undefined) parts.push(octets);
    newFlags = octets === undefined ? newFlags & ~flag : newFlags | flag;
    from = (flags & flag) === 0 ? at : endOf(bytes, at, flag);
  }
  const header = Buffer.concat([...parts, bytes.subarray(from, end)]);
  header.writeUInt16BE(newFlags, FLAGS_OFFSET);
  return header;
}

function endOf(bytes: Buffer, at: number, flag: number): number {
  switch (flag) {
    case HEADERS:
      return at + 4 + bytes.readUInt32BE(at);
    case DELIVERY_MODE:
    case PRIORITY:
      return at + 1;
    case TIMESTAMP:
      return at + 8;
    default:
      return at + 1 + bytes.readUInt8(at);
  }
}
