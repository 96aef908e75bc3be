import { isUtf8 } from 'node:buffer';
import { CodecError } from './errors.js';
import { CACHED_TEXT_BYTES, TEXT_CACHE_SLOTS } from './limits.js';

/** What is said of octets that should be UTF-8: RabbitMQ's words. */
export const MALFORMED_UTF8 = 'Malformed UTF-8 in shortstr';

/*
 * Octets and strings. Peers send octets that are not UTF-8 where the specification wants UTF-8, and RabbitMQ carries
 * them; so must we. An octet that is no part of a UTF-8 character stands in a string as the lone surrogate U+DC00 + octet,
 * which UTF-8 cannot spell: different octets never make equal strings, and encoding gives the same octets back.
 */
const ESCAPE = 0xdc00;
const FIRST_ESCAPE = '\udc80';
const LAST_ESCAPE = '\udcff';
const LONE_SURROGATE = /\p{Surrogate}/u;
const REPLACEMENT_CHARACTER = '\ufffd';

/** Octets as a string, without loss. */
export function textOf(bytes: Buffer, start: number, end: number): string {
  const text = bytes.toString('utf8', start, end);
  return text.includes(REPLACEMENT_CHARACTER) ? escapedTextOf(bytes, start, end) : text;
}

function escapedTextOf(bytes: Buffer, start: number, end: number): string {
  let text = '';
  let from = start;
  let at = start;
  while (at < end) {
    const length = characterLength(bytes, at, end);
    if (length > 0) {
      at += length;
      continue;
    }
    text += bytes.toString('utf8', from, at) + String.fromCharCode(ESCAPE + bytes.readUInt8(at));
    at += 1;
    from = at;
  }
  return text + bytes.toString('utf8', from, end);
}

/** How many octets the UTF-8 character at `at` has (RFC 3629 §4); 0 if there is none. */
function characterLength(bytes: Buffer, at: number, end: number): number {
  const first = bytes.readUInt8(at);
  if (first < 0x80) return 1;
  const length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (first < 0xc2 || first > 0xf4 || length > end - at) return 0;
  const second = bytes.readUInt8(at + 1);
  // No overlong forms, no surrogates, nothing above U+10FFFF.
  const lowest = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const highest = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  if (second < lowest || second > highest) return 0;
  for (let next = at + 2; next < at + length; next++) {
    if ((bytes.readUInt8(next) & 0xc0) !== 0x80) return 0;
  }
  return length;
}

/** The octets of a string that plain UTF-8 encoding would damage; undefined if there is nothing to damage. */
export function escapedOctetsOf(text: string): Buffer | undefined {
  if (!LONE_SURROGATE.test(text)) return undefined;
  const octets = Buffer.alloc(Buffer.byteLength(text));
  let length = 0;
  for (const character of text) {
    if (!LONE_SURROGATE.test(character)) {
      length += octets.write(character, length);
    } else if (character >= FIRST_ESCAPE && character <= LAST_ESCAPE) {
      octets.writeUInt8(character.charCodeAt(0) - ESCAPE, length++);
    } else {
      throw new CodecError('unencodable', 'half of a surrogate pair');
    }
  }
  return octets.subarray(0, length);
}

/*
 * Publishers repeat a few exchange names and routing keys. The cache saves the string, and as the same string comes
 * back every time, maps find it by its pointer and its hash is known. One slot per hash; the latest text keeps it.
 */
const cache: string[] = new Array<string>(TEXT_CACHE_SLOTS).fill('');

/** Octets as a string, which must be UTF-8. */
export function strictTextOf(bytes: Buffer, start: number, end: number): string {
  if (start === end) return '';
  if (end - start > CACHED_TEXT_BYTES) return checkedTextOf(bytes, start, end);
  let hash = 0;
  for (let at = start; at < end; at++) hash = (Math.imul(hash, 31) + (bytes[at] ?? 0)) | 0;
  const slot = hash & (TEXT_CACHE_SLOTS - 1);
  const cached = cache[slot] ?? '';
  if (isAscii(cached, bytes, start, end)) return cached;
  const text = checkedTextOf(bytes, start, end);
  cache[slot] = text;
  return text;
}

/** Whether the octets spell `text` in ASCII. Other texts never match, since their characters exceed an octet's 7 bits. */
function isAscii(text: string, bytes: Buffer, start: number, end: number): boolean {
  if (text.length !== end - start) return false;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code !== bytes[start + index] || code > 0x7f) return false;
  }
  return true;
}

function checkedTextOf(bytes: Buffer, start: number, end: number): string {
  const text = bytes.toString('utf8', start, end);
  if (text.includes(REPLACEMENT_CHARACTER) && !isUtf8(bytes.subarray(start, end))) {
    throw new CodecError('syntax-error', MALFORMED_UTF8);
  }
  return text;
}
