import { MAX_SEQUENCE_RANGES } from './limits.js';

/**
 * A set of whole numbers that mostly arrive in order, as ranges without gaps. At most {@link
 * MAX_SEQUENCE_RANGES} are kept: above that the lowest gap is closed, which counts the numbers in it as seen.
 * So memory is bounded whatever comes, at the price that a number which is that late counts as a duplicate.
 */
export class RangeSet {
  // Parallel and ascending; range i is starts[i] to ends[i], both included, and no two ranges touch.
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  /** The highest number; −Infinity while there is none. */
  #last = Number.NEGATIVE_INFINITY;

  get ranges(): number {
    return this.#starts.length;
  }

  has(n: number): boolean {
    const i = this.#rangeUpTo(n);
    return i >= 0 && n <= (this.#ends[i] as number);
  }

  /** False when it was there already. */
  add(n: number): boolean {
    if (n === this.#last + 1) {
      this.#last = n;
      this.#ends[this.#ends.length - 1] = n;
      return true;
    }
    return this.#insert(n);
  }

  #insert(n: number): boolean {
    if (!Number.isSafeInteger(n)) throw new RangeError(`${n} is not a whole number`);
    const before = this.#rangeUpTo(n);
    const after = before + 1;
    if (before >= 0 && n <= (this.#ends[before] as number)) return false;
    const touchesBefore = before >= 0 && this.#ends[before] === n - 1;
    const touchesAfter = this.#starts[after] === n + 1;
    if (touchesBefore && touchesAfter) this.#merge(before);
    else if (touchesBefore) this.#ends[before] = n;
    else if (touchesAfter) this.#starts[after] = n;
    else {
      this.#starts.splice(after, 0, n);
      this.#ends.splice(after, 0, n);
      if (this.#starts.length > MAX_SEQUENCE_RANGES) this.#merge(0);
    }
    if (n > this.#last) this.#last = n;
    return true;
  }

  /** Makes one range of range `i`, the next one and the gap between them. */
  #merge(i: number): void {
    this.#starts.splice(i + 1, 1);
    this.#ends.splice(i, 1);
  }

  /** The last range that starts at or before `n`; −1 when there is none. */
  #rangeUpTo(n: number): number {
    let low = 0;
    let high = this.#starts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#starts[middle] as number) <= n) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}
