import type { MemoryPressure } from '../../src/overlay/index.js';

/** An account of memory that is high when a test says so. */
export class MemoryStub implements MemoryPressure {
  readonly #listeners = new Set<(high: boolean) => void>();
  #high = false;
  bytes = 0;

  get high(): boolean {
    return this.#high;
  }

  set high(high: boolean) {
    this.#high = high;
    for (const listener of [...this.#listeners]) listener(high);
  }

  /** How many listen for changes. */
  get listeners(): number {
    return this.#listeners.size;
  }

  add(bytes: number): void {
    this.bytes += bytes;
  }

  onChange(listener: (high: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
