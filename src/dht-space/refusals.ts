import type { Logger } from '../overlay/index.js';

/**
 * What a granted space refuses its peers, members or not:
 * - `lookup`: a question for the space by who shows no grant that counts
 * - `member`: a member record without one
 * - `link`: what only members may say or ask
 * - `attach`: taking part in a point that no grant covers
 * - `interest`: wanting more than the grant allows; messages are held back one by one
 * - `message`: publishing outside of the grant
 * - `definition`: saying what a point is, or that it is deleted, without the right
 */
export type RefusalCause = 'lookup' | 'member' | 'link' | 'attach' | 'interest' | 'message' | 'definition';

/** Counts what is refused, and logs it: the first, the second, the fourth and so on, so that nobody can fill the log. */
export class Refusals {
  readonly #logger: Logger;
  readonly #space: string;
  readonly #counts = new Map<RefusalCause, number>();

  constructor(logger: Logger, space: string) {
    this.#logger = logger;
    this.#space = space;
  }

  add(
    refused: RefusalCause,
    fields: { readonly peer: string; readonly cause: string; readonly point?: string },
  ): void {
    const count = this.count(refused) + 1;
    this.#counts.set(refused, count);
    if ((count & (count - 1)) !== 0) return;
    this.#logger.warn({ space: this.#space, refused, count, ...fields }, 'refused in a granted space');
  }

  count(refused: RefusalCause): number {
    return this.#counts.get(refused) ?? 0;
  }
}
