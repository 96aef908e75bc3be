import type { Content, Logger, MemoryPressure } from '../overlay/index.js';
import { OUTBOX_LIMIT_BYTES, OUTBOX_RELIEF_BYTES, STALL_LIMIT_MS } from './limits.js';
import type { LinkSession } from './link-session.js';
import { Outbox } from './outbox.js';
import type { Participant } from './participant.js';
import { spaceIdToBytes } from './records.js';

/**
 * What this node sends to one peer: accepted into the outbox at once, sent as the peer's credit allows, kept until
 * the peer has taken it in, over any number of sessions.
 */
export class OutgoingMessages {
  readonly #peer: string;
  readonly #logger: Logger;
  readonly #now: () => number;
  readonly #outbox: Outbox;
  /** Points whose number the peer was told, in this or an earlier session. */
  readonly #named = new Set<number>();
  /** How far the peer lets this node send. */
  #limit = 0;
  /** Stalled: the peer took nothing for too long with a full outbox, and loses everything until it goes on. */
  #state: 'flowing' | 'stalled' = 'flowing';
  #progressMs = 0;
  #relief: (PromiseWithResolvers<void> & { readonly sinceMs: number }) | undefined;
  droppedMessages = 0;

  constructor(peer: string, environment: { logger: Logger; memory: MemoryPressure; now: () => number }) {
    this.#peer = peer;
    this.#logger = environment.logger;
    this.#now = environment.now;
    this.#outbox = new Outbox(environment.memory);
  }

  get heldBytes(): number {
    return this.#outbox.heldBytes;
  }

  /**
   * Accepts a message. A promise comes back when the outbox is full: it resolves when there is room, or when the
   * peer has stalled and nobody needs to wait for it.
   *
   * @param point this node's number for the point
   */
  send(point: number, to: Participant, sequence: number, content: Content): Promise<void> | undefined {
    if (this.#state === 'stalled') {
      this.droppedMessages += 1;
      return undefined;
    }
    if (!this.#named.has(point)) {
      this.#named.add(point);
      this.#outbox.appendPoint(point, spaceIdToBytes(to.spaceId), to.name);
    }
    this.#outbox.appendMessage(point, sequence, content);
    to.sentMessages += 1;
    return this.#outbox.heldBytes < OUTBOX_LIMIT_BYTES ? undefined : this.#slowDown();
  }

  flush(session: LinkSession): void {
    while (session.writable) {
      const records = this.#outbox.take(this.#limit);
      if (records === undefined) return;
      session.send(records);
    }
  }

  /**
   * A new session: sending starts again after what the peer has taken in.
   *
   * @param consumed how far that is; undefined when the peer remembers nothing of this node
   * @param creditBytes how much it lets this node send
   * @returns the offset at which the message stream begins
   */
  resume(consumed: number | undefined, creditBytes: number): number {
    const known = consumed !== undefined && this.#outbox.acknowledge(consumed);
    // A peer that started anew has seen nothing and wants nothing until it says so.
    if (!known) this.clear();
    this.#outbox.rewind();
    this.#limit = this.#outbox.acknowledged + creditBytes;
    return this.#outbox.acknowledged;
  }

  /** @throws Error when the peer acknowledges what was never sent */
  progress(consumed: number, limit: number): void {
    if (consumed > this.#outbox.acknowledged || limit > this.#limit) {
      this.#progressMs = this.#now();
      if (this.#state === 'stalled') {
        const { droppedMessages } = this;
        this.#logger.info({ peer: this.#peer, droppedMessages }, 'participant takes messages again');
      }
      this.#state = 'flowing';
    }
    if (!this.#outbox.acknowledge(consumed))
      throw new Error(`offset ${consumed} was acknowledged and never sent`);
    this.#limit = Math.max(this.#limit, limit);
    if (this.#outbox.heldBytes <= OUTBOX_RELIEF_BYTES) this.#relieve();
  }

  /** Finds a stall. To be called about every second. */
  tick(nowMs: number): void {
    const full = this.#relief;
    if (full === undefined || nowMs - Math.max(full.sinceMs, this.#progressMs) < STALL_LIMIT_MS) return;
    this.#state = 'stalled';
    const droppedMessages = this.#outbox.dropUnsent();
    this.droppedMessages += droppedMessages;
    // The names may have been among it.
    this.#named.clear();
    this.#relieve();
    this.#logger.warn(
      { peer: this.#peer, droppedMessages, stalledMs: STALL_LIMIT_MS },
      'participant has stalled: what waits for it is dropped, and what follows until it goes on',
    );
  }

  /** Gives up everything: the peer is gone, or has forgotten this node. */
  clear(): void {
    const droppedMessages = this.#outbox.clear();
    this.droppedMessages += droppedMessages;
    this.#named.clear();
    this.#state = 'flowing';
    this.#relieve();
    if (droppedMessages > 0) {
      this.#logger.warn({ peer: this.#peer, droppedMessages }, 'participant is gone, and what waited for it');
    }
  }

  #slowDown(): Promise<void> {
    this.#relief ??= { ...Promise.withResolvers<void>(), sinceMs: this.#now() };
    return this.#relief.promise;
  }

  #relieve(): void {
    this.#relief?.resolve();
    this.#relief = undefined;
  }
}
