import type { CodecErrorCode } from './errors.js';
import { CodecError } from './errors.js';
import { MAX_TABLE_DEPTH, MAX_TABLE_VALUES } from './limits.js';

/** Keeps count of one field table while it is read, checked or written, so that all three have the same limits. */
export class TableBounds {
  readonly #code: CodecErrorCode;
  #depth = 0;
  #values = 0;

  constructor(code: CodecErrorCode) {
    this.#code = code;
  }

  /** A table or an array begins. */
  descend(): void {
    if (++this.#depth > MAX_TABLE_DEPTH) {
      throw new CodecError(this.#code, `nested more than ${MAX_TABLE_DEPTH} deep`);
    }
  }

  ascend(): void {
    this.#depth--;
  }

  countValue(): void {
    if (++this.#values > MAX_TABLE_VALUES) {
      throw new CodecError(this.#code, `more than ${MAX_TABLE_VALUES} values in one table`);
    }
  }
}
