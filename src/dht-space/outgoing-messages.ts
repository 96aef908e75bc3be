import type { Content, Logger, MemoryPressure } from '../overlay/index.js';
import { MAX_POINTS_PER_LINK, OUTBOX_LIMIT_BYTES, OUTBOX_RELIEF_BYTES, STALL_LIMIT_MS } from './limits.js';
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
  #emptied: PromiseWithResolvers<void> | undefined;
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
    if (!this.#named.has(point)) this.#name(point, to);
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
   * @param consumed how far that is; 0 when the peer cannot tell
   * @param creditBytes how much it lets this node send
   * @returns the offset at which the message stream begins
   * @throws Error when the peer acknowledges what was never sent
   */
  resume(consumed: number, creditBytes: number): number {
    const before = this.#outbox.acknowledged;
    if (!this.#outbox.resume(consumed)) throw neverSent(consumed);
    // With nothing left to acknowledge, no progress would ever tell that it goes on.
    if (consumed > before || this.#outbox.heldBytes === 0) this.#flow();
    this.#limit = this.#outbox.acknowledged + creditBytes;
    this.#release();
    return this.#outbox.acknowledged;
  }

  /** @throws Error when the peer acknowledges what was never sent */
  progress(consumed: number, limit: number): void {
    const before = this.#outbox.acknowledged;
    if (!this.#outbox.acknowledge(consumed)) throw neverSent(consumed);
    // More credit alone is no progress, or a peer that takes nothing could hold up publishers for ever.
    if (consumed > before) this.#progressMs = this.#now();
    if (consumed > before || limit > this.#limit) this.#flow();
    this.#limit = Math.max(this.#limit, limit);
    this.#release();
  }

  /** Resolves when the peer has taken in all that was accepted for it, or was given up. */
  emptied(): Promise<void> {
    if (this.#outbox.heldBytes === 0) return Promise.resolve();
    this.#emptied ??= Promise.withResolvers<void>();
    return this.#emptied.promise;
  }

  /** Finds a stall. To be called about every second. */
  tick(nowMs: number): void {
    this.#outbox.tick();
    const full = this.#relief;
    if (full === undefined || nowMs - Math.max(full.sinceMs, this.#progressMs) < STALL_LIMIT_MS) return;
    this.#state = 'stalled';
    const droppedMessages = this.#outbox.dropUnsent();
    this.droppedMessages += droppedMessages;
    // The names may have been among it.
    this.#named.clear();
    this.#release();
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
    this.#release();
    if (droppedMessages > 0) {
      this.#logger.warn({ peer: this.#peer, droppedMessages }, 'participant is gone, and what waited for it');
    }
  }

  #name(point: number, to: Participant): void {
    // Naming a point anew is harmless, and this node may have left those that are forgotten here.
    if (this.#named.size >= MAX_POINTS_PER_LINK) this.#named.clear();
    this.#named.add(point);
    this.#outbox.appendPoint(point, spaceIdToBytes(to.spaceId), to.name);
  }

  #flow(): void {
    if (this.#state === 'flowing') return;
    this.#state = 'flowing';
    const { droppedMessages } = this;
    this.#logger.info({ peer: this.#peer, droppedMessages }, 'participant takes messages again');
  }

  #slowDown(): Promise<void> {
    this.#relief ??= { ...Promise.withResolvers<void>(), sinceMs: this.#now() };
    return this.#relief.promise;
  }

  /** Lets go whoever waits for room, or for all to be taken in, when that is so. */
  #release(): void {
    const { heldBytes } = this.#outbox;
    if (this.#state === 'stalled' || heldBytes <= OUTBOX_RELIEF_BYTES) {
      this.#relief?.resolve();
      this.#relief = undefined;
    }
    if (heldBytes === 0) {
      this.#emptied?.resolve();
      this.#emptied = undefined;
    }
  }
}

function neverSent(consumed: number): Error {
  return new Error(`offset ${consumed} was acknowledged and no record was sent that ends there`);
}
