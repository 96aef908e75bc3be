/** How many deliveries may wait for their acknowledgement: of one consumer, or of all on a channel. 0: no limit. */
export class Prefetch {
  limit: number;
  #outstanding = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  get hasRoom(): boolean {
    return this.limit === 0 || this.#outstanding < this.limit;
  }

  take(): void {
    this.#outstanding++;
  }

  giveBack(): void {
    this.#outstanding--;
  }
}
