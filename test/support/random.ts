/** What random tests start from: the environment variable SEED, else a new one. They name it in their titles. */
export const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 32));

/** Numbers that look random and are the same for the same seed (mulberry32). */
export class Random {
  #state: number;

  constructor(state: number) {
    this.#state = state;
  }

  /** A whole number from 0 to `below` − 1. */
  int(below: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  }

  pick<T>(choices: readonly T[]): T {
    if (choices.length === 0) throw new Error('nothing to pick from');
    return choices[this.int(choices.length)] as T;
  }

  /** A list of up to `most` elements. */
  list<T>(most: number, element: () => T): T[] {
    return Array.from({ length: this.int(most + 1) }, element);
  }
}
