import { CodecError, decodeHeader } from '../amqp-codec/index.js';
import type { MessageFormat } from '../broker/index.js';
import { ContentMessage } from './message.js';

/*
 * How a store keeps messages of the gateway. Numbers are big-endian; a string is its length (1 octet; a further key 4) and
 * UTF-8:
 *
 *     version (1) | exchange | routing key | number of further keys (2) | … | length of the header (4) | header | body
 *
 * Further keys are those of the message where somebody has looked for them already, else their number is KEYS_IN_HEADERS.
 */
const VERSION = 1;
const KEYS_IN_HEADERS = 0xffff;
/** Opening of a message without names and further keys: version, two lengths, number of keys, length of the header. */
const OPENING_BYTES = 1 + 2 + 2 + 4;
const KEY_LENGTH_BYTES = 4;

export const contentFormat: MessageFormat = {
  encode(message) {
    // Every message of the broker is one of the gateway's.
    const content = message as ContentMessage;
    const { bytes, headerStart, headerEnd, bodyStart, bodyEnd } = content;
    const opening = encodeOpening(content);
    if (headerEnd === bodyStart) return [opening, bytes.subarray(headerStart, bodyEnd)];
    return [opening, bytes.subarray(headerStart, headerEnd), bytes.subarray(bodyStart, bodyEnd)];
  },

  decode(bytes) {
    try {
      return decodeMessage(bytes);
    } catch (cause) {
      throw new CodecError(
        'syntax-error',
        `not a stored message: ${cause instanceof Error ? cause.message : cause}`,
      );
    }
  },
};

function encodeOpening({ exchange, routingKey, knownKeys, headerStart, headerEnd }: ContentMessage): Buffer {
  const keys = knownKeys ?? [];
  let size = OPENING_BYTES + Buffer.byteLength(exchange) + Buffer.byteLength(routingKey);
  for (const key of keys) size += KEY_LENGTH_BYTES + Buffer.byteLength(key);
  const opening = Buffer.allocUnsafe(size);
  let at = opening.writeUInt8(VERSION, 0);
  for (const name of [exchange, routingKey]) {
    at = opening.writeUInt8(opening.write(name, at + 1), at) + opening.readUInt8(at);
  }
  at = opening.writeUInt16BE(knownKeys === undefined ? KEYS_IN_HEADERS : keys.length, at);
  for (const key of keys) {
    const length = opening.write(key, at + KEY_LENGTH_BYTES);
    at = opening.writeUInt32BE(length, at) + length;
  }
  opening.writeUInt32BE(headerEnd - headerStart, at);
  return opening;
}

function decodeMessage(bytes: Buffer): ContentMessage {
  const version = bytes.readUInt8(0);
  if (version !== VERSION) throw new RangeError(`version ${version} instead of ${VERSION}`);
  let at = 1;
  const text = (lengthBytes: number): string => {
    const length = bytes.readUIntBE(at, lengthBytes);
    const start = at + lengthBytes;
    at = start + length;
    if (at > bytes.length) throw new RangeError('cut short');
    return bytes.toString('utf8', start, at);
  };
  const exchange = text(1);
  const routingKey = text(1);
  const keyCount = bytes.readUInt16BE(at);
  at += 2;
  const keys: string[] = [];
  if (keyCount !== KEYS_IN_HEADERS) while (keys.length < keyCount) keys.push(text(KEY_LENGTH_BYTES));
  const headerStart = at + 4;
  const headerEnd = headerStart + bytes.readUInt32BE(at);
  if (headerEnd > bytes.length) throw new RangeError('cut short');
  const { bodySize } = decodeHeader(bytes, headerStart, headerEnd);
  if (bodySize !== bytes.length - headerEnd) throw new RangeError(`${bodySize} octets of body expected`);
  const message = new ContentMessage(
    exchange,
    routingKey,
    bytes,
    headerStart,
    headerEnd,
    headerEnd,
    bytes.length,
    'owned',
  );
  if (keyCount !== KEYS_IN_HEADERS) message.knownKeys = keys;
  return message;
}
