import { MAX_SPARE_SLABS, SLAB_BYTES } from './limits.js';

export interface Flushable {
  flush(): void;
}

/**
 * Writes what the connections of a gateway have gathered, once per turn of the event loop, after everything that came
 * in has been handled: one setImmediate and one socket write per connection for however many messages.
 */
export class FlushTurn {
  readonly #spareSlabs: Buffer[] = [];
  #dirty: Flushable[] = [];

  schedule(output: Flushable): void {
    if (this.#dirty.length === 0) setImmediate(this.#flushAll);
    this.#dirty.push(output);
  }

  takeSlab(): Buffer {
    return this.#spareSlabs.pop() ?? Buffer.allocUnsafeSlow(SLAB_BYTES);
  }

  /** Only for slabs that nobody refers to any more. */
  returnSlab(slab: Buffer): void {
    if (slab.length === SLAB_BYTES && this.#spareSlabs.length < MAX_SPARE_SLABS) this.#spareSlabs.push(slab);
  }

  readonly #flushAll = (): void => {
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const output of dirty) output.flush();
  };
}
