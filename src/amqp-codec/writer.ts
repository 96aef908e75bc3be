import { CodecError } from './errors.js';
import { MAX_ENCODED_BYTES, MAX_SHORT_STRING_BYTES } from './limits.js';
import { escapedOctetsOf } from './text.js';

const INITIAL_BYTES = 1024;
const HIGH = 0x1_0000_0000;

/** Writes the elementary types (AMQP 0-9-1 §4.2.5) one after the other into a buffer that grows and is used again. */
export class Writer {
  #bytes = Buffer.from(new ArrayBuffer(INITIAL_BYTES));
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  /** Starts anew, whatever the last user left behind. */
  reset(): this {
    this.#length = 0;
    return this;
  }

  /** A copy of what was written. */
  copy(): Buffer {
    const copy = Buffer.allocUnsafe(this.#length);
    this.#bytes.copy(copy, 0, 0, this.#length);
    return copy;
  }

  octet(value: number): void {
    const start = this.#take(1);
    this.#view.setUint8(start, integer(value, 0, 0xff));
  }

  /** Sets bits of the octet written last. */
  addBits(bits: number): void {
    const last = this.#length - 1;
    this.#view.setUint8(last, this.#view.getUint8(last) | bits);
  }

  short(value: number): void {
    const start = this.#take(2);
    this.#view.setUint16(start, integer(value, 0, 0xffff));
  }

  long(value: number): void {
    const start = this.#take(4);
    this.#view.setUint32(start, integer(value, 0, 0xffff_ffff));
  }

  longlong(value: number): void {
    integer(value, 0, Number.MAX_SAFE_INTEGER);
    const start = this.#take(8);
    this.#view.setUint32(start, Math.floor(value / HIGH));
    this.#view.setUint32(start + 4, value % HIGH);
  }

  int32(value: number): void {
    const start = this.#take(4);
    this.#view.setInt32(start, value);
  }

  int64(value: bigint): void {
    const start = this.#take(8);
    this.#view.setBigInt64(start, value);
  }

  double(value: number): void {
    const start = this.#take(8);
    this.#view.setFloat64(start, value);
  }

  /** Nothing is cut: a longer string throws `unencodable`. */
  shortString(value: string): void {
    const start = this.#take(1);
    // A UTF-16 unit makes an octet at least.
    if (value.length > MAX_SHORT_STRING_BYTES || this.#text(value) > MAX_SHORT_STRING_BYTES) {
      throw new CodecError('unencodable', `more than ${MAX_SHORT_STRING_BYTES} octets`);
    }
    this.#view.setUint8(start, this.#length - start - 1);
  }

  longString(value: string): void {
    const start = this.beginLength();
    this.#text(value);
    this.endLength(start);
  }

  longBytes(value: Uint8Array): void {
    this.long(value.length);
    this.octets(value);
  }

  /** Leaves room for the length of what follows until {@link endLength}, which takes the value returned. */
  beginLength(): number {
    return this.#take(4);
  }

  endLength(start: number): void {
    this.#view.setUint32(start, this.#length - start - 4);
  }

  /** Writes over a short written before. */
  patchShort(start: number, value: number): void {
    this.#view.setUint16(start, value);
  }

  /** Returns how many octets it made. */
  #text(value: string): number {
    const start = this.#length;
    this.#reserve(value.length);
    for (let index = 0; index < value.length; index++) {
      const code = value.charCodeAt(index);
      if (code > 0x7f) return this.#nonAscii(value);
      this.#bytes[start + index] = code;
    }
    this.#length = start + value.length;
    return value.length;
  }

  #nonAscii(value: string): number {
    const escaped = escapedOctetsOf(value);
    if (escaped !== undefined) return this.octets(escaped);
    const length = Buffer.byteLength(value);
    const start = this.#take(length);
    this.#bytes.write(value, start, 'utf8');
    return length;
  }

  /** As they are. Returns how many. */
  octets(value: Uint8Array): number {
    const start = this.#take(value.length);
    this.#bytes.set(value, start);
    return value.length;
  }

  /** Claims `count` octets and returns where they start. */
  #take(count: number): number {
    this.#reserve(count);
    const start = this.#length;
    this.#length = start + count;
    return start;
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#bytes.length) return;
    if (needed > MAX_ENCODED_BYTES) {
      throw new CodecError('unencodable', `above ${MAX_ENCODED_BYTES} octets in all`);
    }
    const size = Math.min(Math.max(needed, this.#bytes.length * 2), MAX_ENCODED_BYTES);
    const grown = Buffer.from(new ArrayBuffer(size));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}

function integer(value: number, lowest: number, highest: number): number {
  if (Number.isInteger(value) && value >= lowest && value <= highest) return value;
  throw new CodecError('unencodable', `${value} is no integer from ${lowest} to ${highest}`);
}

const shared = new Writer();

/** The writer that all encoding uses in turn: encoding never waits for anything, so there is one user at a time. */
export function scratch(): Writer {
  return shared.reset();
}
