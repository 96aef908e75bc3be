import type { Logger } from '../overlay/index.js';
import { PING_INTERVAL_MS } from './limits.js';
import type { LinkSession } from './link-session.js';
import { clip, clipCause } from './refusals.js';

/** Sessions with a peer, one soon after the other, that are shown; of further ones the 16th, the 32nd and so on. */
const ALL_SHOWN = 8;

/** What is logged of a link. Peers may come and go as they like, strangers above all: that is not to fill the log. */
export class LinkLog {
  readonly #peer: string;
  readonly #logger: Logger;
  /** Up to now, each of which began soon after the one before; and when the last of them began. */
  #sessions = 0;
  #begunMs = 0;

  constructor(peer: string, logger: Logger) {
    this.#peer = peer;
    this.#logger = logger;
  }

  /** A session has begun. */
  begun({ startedMs }: LinkSession): void {
    this.#sessions = startedMs - this.#begunMs < PING_INTERVAL_MS ? this.#sessions + 1 : 1;
    this.#begunMs = startedMs;
  }

  /** `isShared`: a space is. */
  linked({ version, hello, relayed }: LinkSession, isShared: boolean): void {
    const fields = { peer: this.#peer, name: clip(hello.name), version, relayed };
    this.#logger[this.#level(isShared)](fields, 'linked');
  }

  lost(cause: Error, isShared: boolean): void {
    this.#logger[this.#level(isShared)]({ peer: this.#peer, cause: clipCause(cause.message) }, 'link lost');
  }

  #level(isShared: boolean): 'info' | 'debug' {
    const isShown = this.#sessions <= ALL_SHOWN || (this.#sessions & (this.#sessions - 1)) === 0;
    return isShown && isShared ? 'info' : 'debug';
  }
}
