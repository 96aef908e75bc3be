import { CodecError } from './errors.js';
import { strictTextOf, textOf } from './text.js';

/** 2^32: the weight of the high half of a 64-bit integer. */
const HIGH = 0x1_0000_0000;

/** Reads the elementary types (AMQP 0-9-1 §4.2.5) from a range of a buffer, and never beyond it. */
export class Reader {
  readonly bytes: Buffer;
  #position: number;
  #end: number;

  constructor(bytes: Buffer, start: number, end: number) {
    this.bytes = bytes;
    this.#position = start;
    this.#end = end;
  }

  get position(): number {
    return this.#position;
  }

  get left(): number {
    return this.#end - this.#position;
  }

  /** Passes over `count` octets and returns where they start. */
  take(count: number): number {
    const start = this.#position;
    if (count > this.#end - start) {
      throw new CodecError('syntax-error', `${count} octets expected, ${this.#end - start} left`);
    }
    this.#position = start + count;
    return start;
  }

  /** Narrows the range to the next `count` octets; returns the end to give to {@link leave}. */
  enter(count: number): number {
    const outerEnd = this.#end;
    const start = this.take(count);
    this.#position = start;
    this.#end = start + count;
    return outerEnd;
  }

  leave(outerEnd: number): void {
    this.#end = outerEnd;
  }

  octet(): number {
    return this.bytes.readUInt8(this.take(1));
  }

  short(): number {
    return this.bytes.readUInt16BE(this.take(2));
  }

  long(): number {
    return this.bytes.readUInt32BE(this.take(4));
  }

  /** Above 2^53 the nearest number, which is no tag or size that we gave out: it gets the answer for an unknown one. */
  longlong(): number {
    const start = this.take(8);
    return this.bytes.readUInt32BE(start) * HIGH + this.bytes.readUInt32BE(start + 4);
  }

  /** A short string that must be UTF-8. */
  shortString(): string {
    const length = this.octet();
    const start = this.take(length);
    return strictTextOf(this.bytes, start, start + length);
  }

  /** A short string of any octets, see text.ts. */
  lenientShortString(): string {
    return this.#text(this.octet());
  }

  /** A long string of any octets, see text.ts. */
  longString(): string {
    return this.#text(this.long());
  }

  /** The octets of a long string, copied: what is read from is only lent. */
  longBytes(): Buffer {
    const length = this.long();
    const start = this.take(length);
    return Buffer.from(this.bytes.subarray(start, start + length));
  }

  #text(length: number): string {
    const start = this.take(length);
    return textOf(this.bytes, start, start + length);
  }
}
