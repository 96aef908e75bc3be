import type { Content } from '../overlay/index.js';
import { BODY_AHEAD_BYTES } from './limits.js';

/** The content that is handed on; one object for all, as it is only lent. */
export class LentContent implements Content {
  routingKey = '';
  bytes: Buffer = Buffer.alloc(0);
  headerStart = 0;
  headerEnd = 0;
  bodyStart = 0;
  bodyEnd = 0;
}

/**
 * A content that does not lie in one piece, gathered in one buffer: the header, and the body behind it. What is
 * allocated follows what has come in, so a header that announces much and sends little costs little.
 *
 * It is not booked as memory of messages: what fills the memory would then be what is waited for while it is full. Each
 * channel gathers one content at most.
 */
export class GatheredContent {
  readonly headerBytes: number;
  readonly #bodySize: number;
  #bytes: Buffer;
  #bodyBytes = 0;

  constructor(source: Buffer, headerStart: number, headerEnd: number, bodySize: number) {
    this.headerBytes = headerEnd - headerStart;
    this.#bodySize = bodySize;
    this.#bytes = Buffer.allocUnsafe(this.headerBytes + Math.min(bodySize, BODY_AHEAD_BYTES));
    source.copy(this.#bytes, 0, headerStart, headerEnd);
  }

  /** Complete when `bodyBytes` has reached the size announced. */
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
    if (this.headerBytes + this.#bodyBytes > this.#bytes.length) this.#grow(at);
    source.copy(this.#bytes, at, start, end);
  }

  #grow(usedBytes: number): void {
    const bodyBytes = Math.min(this.#bodySize, 2 * this.#bodyBytes + BODY_AHEAD_BYTES);
    const grown = Buffer.allocUnsafe(this.headerBytes + bodyBytes);
    this.#bytes.copy(grown, 0, 0, usedBytes);
    this.#bytes = grown;
  }
}
