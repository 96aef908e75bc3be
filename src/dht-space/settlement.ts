import { MAX_SYNCED_SPACES } from './limits.js';

/**
 * Changes sent over one control stream are numbered, so that one number acknowledges all before it; and each space
 * is marked once the other side has told all about its part in it. What is waited for here is also over when the
 * session is: whoever waits for "the participants linked now" must not wait for one that is not.
 */
export class Settlement {
  #sent = 0;
  #acknowledged = 0;
  /** When the change that is acknowledged next was first seen to wait; undefined while none does. */
  #waitingMs: number | undefined;
  #over = false;
  readonly #waiting: { readonly number: number; readonly resolve: () => void }[] = [];
  readonly #synced = new Map<string, PromiseWithResolvers<void>>();

  /** The number of the change that is being sent. */
  next(): number {
    this.#sent += 1;
    return this.#sent;
  }

  /** @throws Error when the number was never sent */
  acknowledge(number: number): void {
    if (number > this.#sent) throw new Error(`change ${number} was acknowledged and never sent`);
    this.#acknowledged = Math.max(this.#acknowledged, number);
    this.#waitingMs = undefined;
    while ((this.#waiting[0]?.number ?? Number.POSITIVE_INFINITY) <= number) this.#waiting.shift()?.resolve();
  }

  /** For how long the other side has acknowledged nothing although it should. To be called about every second. */
  overdueMs(nowMs: number): number {
    if (this.#acknowledged >= this.#sent) return 0;
    this.#waitingMs ??= nowMs;
    return nowMs - this.#waitingMs;
  }

  /** Resolves when all that was sent so far is acknowledged. */
  settled(): Promise<void> {
    if (this.#over || this.#acknowledged >= this.#sent) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push({ number: this.#sent, resolve });
    return promise;
  }

  /**
   * The other side may tell of a space before this node is in it, as it remembers an earlier time: that is kept for as
   * many spaces as {@link MAX_SYNCED_SPACES}, so that whoever enters one then does not wait for what has come.
   */
  markSynced(spaceId: string): void {
    if (this.#synced.size >= MAX_SYNCED_SPACES && !this.#synced.has(spaceId)) return;
    this.#sync(spaceId).resolve();
  }

  /** Resolves when the other side has told all about its part in the space. */
  synced(spaceId: string): Promise<void> {
    return this.#over ? Promise.resolve() : this.#sync(spaceId).promise;
  }

  end(): void {
    this.#over = true;
    for (const { resolve } of this.#waiting.splice(0)) resolve();
    for (const { resolve } of this.#synced.values()) resolve();
  }

  #sync(spaceId: string): PromiseWithResolvers<void> {
    let entry = this.#synced.get(spaceId);
    if (entry === undefined) {
      entry = Promise.withResolvers<void>();
      this.#synced.set(spaceId, entry);
    }
    return entry;
  }
}
