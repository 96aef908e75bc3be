import { MAX_SLAB_BYTES, MIN_SLAB_BYTES } from './limits.js';

/** What one group writes and deletes. Keys and values lie in slabs, so a message costs two views of them. */
export class Batch {
  readonly keys: Buffer[] = [];
  /** Undefined: the key is deleted. */
  readonly values: (Buffer | undefined)[] = [];
  slab: Buffer = Buffer.alloc(0);
  #end = 0;

  /** Where in `slab` so many octets can be written; {@link putAt} takes them. */
  room(bytes: number): number {
    if (this.slab.length - this.#end < bytes) {
      const usual = Math.min(MIN_SLAB_BYTES + 2 * this.slab.length, MAX_SLAB_BYTES);
      this.slab = Buffer.allocUnsafeSlow(Math.max(bytes, usual));
      this.#end = 0;
    }
    const at = this.#end;
    this.#end += bytes;
    return at;
  }

  /** A key and its value that were laid out side by side. */
  putAt(at: number, keyBytes: number, valueBytes: number): void {
    const value = at + keyBytes;
    this.keys.push(this.slab.subarray(at, value));
    this.values.push(this.slab.subarray(value, value + valueBytes));
  }

  put(key: Buffer, value: Buffer): void {
    this.keys.push(key);
    this.values.push(value);
  }

  delete(key: Buffer): void {
    this.keys.push(key);
    this.values.push(undefined);
  }
}
