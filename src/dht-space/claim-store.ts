import type { QueryEvent } from '@libp2p/kad-dht';
import type { Logger } from '../overlay/index.js';
import type { Claim, ClaimKind, ClaimRules } from './claims.js';
import { encodeClaims, sameClaims } from './claims.js';
import {
  DHT_READ_TIMEOUT_MS,
  DHT_WRITE_TIMEOUT_MS,
  MAX_RECENT_READS,
  MAX_STORE_ROUNDS,
  RECENT_READ_MS,
} from './limits.js';
import type { OverlayNode } from './node.js';
import { RecordValidator } from './record-validator.js';
import { timeLimit } from './time-limit.js';

export interface ClaimStoreOptions {
  readonly logger: Logger;
  readonly clock: () => number;
  /** Called when the claims of a key have become others, whoever told. */
  readonly changed: (key: string) => void;
}

/**
 * The claims of one kind in the DHT. What is read, and what others store here, ends in one memory, the validator's, so
 * the answer to every question is what that memory says after the network was asked. Nothing here rejects.
 */
export class ClaimStore<K extends ClaimKind> {
  readonly #node: OverlayNode;
  readonly #logger: Logger;
  readonly #validator: RecordValidator<K>;
  /** By key, the earliest first. */
  readonly #reads = new Map<string, { readonly atMs: number; readonly holders: number }>();

  constructor(node: OverlayNode, rules: ClaimRules<K>, { logger, clock, changed }: ClaimStoreOptions) {
    this.#node = node;
    this.#logger = logger;
    this.#validator = new RecordValidator(rules, clock, changed);
    this.#validator.install(node.dht);
  }

  /** The live claims known here, the preferred one first. */
  claims(key: string): readonly Claim<K>[] {
    return this.#validator.claims(key);
  }

  /** Takes in a verified record that came another way; false when it says nothing new. */
  learn(claim: Claim<K>): boolean {
    return this.#validator.learn(this.#validator.rules.keyOf(claim.record), [claim]);
  }

  /** Asks those who should know. Resolves with how many others hold a value. */
  async read(key: string, signal?: AbortSignal): Promise<number> {
    const limited = timeLimit(DHT_READ_TIMEOUT_MS, signal);
    let holders = 0;
    await this.#follow(this.#node.dht.get(Buffer.from(key), { signal: limited }), limited, (event) => {
      if (event.name === 'PEER_RESPONSE' && event.record !== undefined) holders += 1;
      // get() ends by correcting outdated holders, and throws where one refuses. Upkeep does that better.
      return event.name === 'DIAL_PEER' && event.path.index === -1 ? 'enough' : 'more';
    });
    this.#reads.delete(key);
    this.#reads.set(key, { atMs: performance.now(), holders });
    for (const [earliest, { atMs }] of this.#reads) {
      if (this.#reads.size <= MAX_RECENT_READS && performance.now() - atMs < RECENT_READ_MS) break;
      this.#reads.delete(earliest);
    }
    return holders;
  }

  /** How many others held a value when the key was read last; 0 where that is longer ago than `maxAgeMs`, or RECENT_READ_MS. */
  holdersLately(key: string, maxAgeMs = RECENT_READ_MS): number {
    const read = this.#reads.get(key);
    const isRecent = read !== undefined && performance.now() - read.atMs < Math.min(maxAgeMs, RECENT_READ_MS);
    return isRecent ? read.holders : 0;
  }

  /**
   * Stores a record beside the other claims of its key, which may be new to this node: others that know more refuse
   * it until it comes with all they know. Resolves with how many others hold it.
   */
  async put(claim: Claim<K>, signal?: AbortSignal): Promise<number> {
    const limited = timeLimit(DHT_WRITE_TIMEOUT_MS, signal);
    const key = this.#validator.rules.keyOf(claim.record);
    this.#validator.learn(key, [claim]);
    let stored = 0;
    for (let round = 0; round < MAX_STORE_ROUNDS; round++) {
      const offered = this.claims(key);
      const outcome = await this.#write(key, offered, limited);
      stored = outcome.stored;
      if (outcome.failed === 0 || limited.aborted) break;
      await this.read(key, limited);
      if (sameClaims(offered, this.claims(key))) break;
    }
    return stored;
  }

  async #write(key: string, claims: readonly Claim<K>[], signal: AbortSignal) {
    const outcome = { stored: 0, failed: 0 };
    const events = this.#node.dht.put(Buffer.from(key), encodeClaims(claims), { signal });
    await this.#follow(events, signal, (event) => {
      if (event.name === 'PEER_RESPONSE' && event.messageName === 'PUT_VALUE') outcome.stored += 1;
      if (event.name === 'QUERY_ERROR') outcome.failed += 1;
      return 'more';
    });
    return outcome;
  }

  async #follow(
    events: AsyncIterable<QueryEvent>,
    signal: AbortSignal,
    seen: (event: QueryEvent) => 'more' | 'enough',
  ): Promise<void> {
    try {
      for await (const event of events) {
        if (event.name === 'QUERY_ERROR') this.#node.routing.suspect(event.from);
        if (seen(event) === 'enough') break;
      }
    } catch (error) {
      if (!signal.aborted) this.#logger.debug({ error }, 'a query of the DHT ended early');
    }
  }
}
