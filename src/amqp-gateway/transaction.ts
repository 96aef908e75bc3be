import type { Exchange, MemoryAccount } from '../broker/index.js';
import type { Publication } from './content-assembly.js';
import type { Delivery, Settlement } from './deliveries.js';
import { MAX_TRANSACTION_BYTES, MAX_TRANSACTION_OPERATIONS } from './limits.js';
import type { ContentMessage } from './message.js';
import { ChannelError } from './reply-code.js';

export interface HeldPublication {
  readonly exchange: Exchange;
  readonly publication: Publication;
  readonly message: ContentMessage;
}

export interface HeldSettlement {
  readonly deliveries: readonly Delivery[];
  readonly settlement: Settlement;
}

/**
 * What a tx channel has done since the last commit or rollback, in order and without effect so far (AMQP 0-9-1 §1.9).
 * What can be refused was checked before it was added; its memory is booked.
 */
export class Transaction {
  readonly #memory: MemoryAccount;
  #publications: HeldPublication[] = [];
  #settlements: HeldSettlement[] = [];
  #operations = 0;
  #bytes = 0;

  constructor(memory: MemoryAccount) {
    this.#memory = memory;
  }

  addPublication(held: HeldPublication): void {
    const bytes = held.message.sizeBytes;
    this.#count(bytes);
    held.message.retain();
    this.#memory.add(bytes);
    this.#publications.push(held);
  }

  addSettlement(held: HeldSettlement): void {
    // First, so that they are not lost where the limit ends the channel.
    this.#settlements.push(held);
    this.#count(0);
  }

  get publications(): readonly HeldPublication[] {
    return this.#publications;
  }

  /** Starts anew, and hands over the settlements: they are to be carried out, or undone. */
  clear(): readonly HeldSettlement[] {
    const settlements = this.#settlements;
    this.#memory.add(-this.#bytes);
    this.#publications = [];
    this.#settlements = [];
    this.#operations = 0;
    this.#bytes = 0;
    return settlements;
  }

  #count(bytes: number): void {
    if (this.#bytes + bytes > MAX_TRANSACTION_BYTES) {
      throw new ChannelError(
        'precondition-failed',
        `transaction holds more than ${MAX_TRANSACTION_BYTES} octets`,
      );
    }
    if (this.#operations === MAX_TRANSACTION_OPERATIONS) {
      const limit = MAX_TRANSACTION_OPERATIONS;
      throw new ChannelError('precondition-failed', `transaction holds more than ${limit} operations`);
    }
    this.#bytes += bytes;
    this.#operations++;
  }
}
