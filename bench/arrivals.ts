export const SEQUENCE_OFFSET = 8;
/** Room for the time of publication and the message's number. */
export const MIN_BODY_BYTES = 12;

/** Books every message that arrives at one consumer: when it was sent, and whether it was due. */
export class Arrivals {
  readonly #seen: Uint8Array;
  readonly #latenciesMs: Float64Array;
  #newest = -1;
  received = 0;
  duplicates = 0;
  outOfOrder = 0;
  lastMs = 0;

  constructor(expected: number) {
    this.#seen = new Uint8Array(expected);
    this.#latenciesMs = new Float64Array(expected);
  }

  get isComplete(): boolean {
    return this.received === this.#seen.length;
  }

  get latenciesMs(): Float64Array {
    return this.#latenciesMs.subarray(0, this.received);
  }

  take(bytes: Buffer, start: number): void {
    const sequence = bytes.readUInt32LE(start + SEQUENCE_OFFSET);
    this.lastMs = performance.now();
    if (this.#seen[sequence] !== 0) {
      this.duplicates += 1;
      return;
    }
    this.#seen[sequence] = 1;
    this.#latenciesMs[this.received] = this.lastMs - bytes.readDoubleLE(start);
    this.received += 1;
    if (sequence < this.#newest) this.outOfOrder += 1;
    else this.#newest = sequence;
  }
}

/** Of all arrivals together. */
export function percentileUs(all: readonly Arrivals[], fraction: number): number {
  const latencies = new Float64Array(all.reduce((sum, { received }) => sum + received, 0));
  let filled = 0;
  for (const { latenciesMs } of all) {
    latencies.set(latenciesMs, filled);
    filled += latenciesMs.length;
  }
  latencies.sort();
  return Math.round((latencies[Math.floor((latencies.length - 1) * fraction)] ?? 0) * 1_000);
}
