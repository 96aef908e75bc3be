import type { MemoryAccount } from '../broker/index.js';
import { BODY_AHEAD_BYTES } from './limits.js';

/**
 * A content that comes in several frames, gathered in one buffer. What is allocated follows what has come in, so a
 * header that announces much and sends little costs little; all of it is booked until it is handed over.
 */
export class GrowingContent {
  readonly headerBytes: number;
  readonly #bodySize: number;
  readonly #memory: MemoryAccount;
  #bytes: Buffer;
  #bodyBytes = 0;
  #bookedBytes = 0;

  constructor(
    source: Buffer,
    headerStart: number,
    headerEnd: number,
    bodySize: number,
    memory: MemoryAccount,
  ) {
    this.headerBytes = headerEnd - headerStart;
    this.#bodySize = bodySize;
    this.#memory = memory;
    this.#bytes = this.#allocate();
    source.copy(this.#bytes, 0, headerStart, headerEnd);
  }

  /** Header and body; complete when `bodyBytes` has reached the size announced. */
  get bytes(): Buffer {
    return this.#bytes;
  }

  get bodyBytes(): number {
    return this.#bodyBytes;
  }

  /** At most what is missing. */
  append(source: Buffer, start: number, end: number): void {
    const at = this.headerBytes + this.#bodyBytes;
    this.#bodyBytes += end - start;
    if (at + end - start > this.#bytes.length) {
      const grown = this.#allocate();
      this.#bytes.copy(grown, 0, 0, at);
      this.#bytes = grown;
    }
    source.copy(this.#bytes, at, start, end);
  }

  /** Nothing is booked any more; the bytes are somebody else's, or nobody's. */
  release(): void {
    this.#memory.add(-this.#bookedBytes);
    this.#bookedBytes = 0;
  }

  #allocate(): Buffer {
    const bodyBytes = Math.min(this.#bodySize, 2 * this.#bodyBytes + BODY_AHEAD_BYTES);
    const bytes = Buffer.allocUnsafe(this.headerBytes + bodyBytes);
    this.#memory.add(bytes.length - this.#bookedBytes);
    this.#bookedBytes = bytes.length;
    return bytes;
  }
}
