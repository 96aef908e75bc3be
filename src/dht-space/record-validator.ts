import type { KadDHT } from '@libp2p/kad-dht';
import type { Claim, ClaimKind, ClaimRules } from './claims.js';
import { decodeClaims, liveClaims, mergeClaims, sameClaims } from './claims.js';
import { RecordError } from './envelope.js';
import { MAX_STORED_VALUE_BYTES, STORED_ENTRY_BYTES } from './limits.js';

/**
 * Decides what this node stores for the DHT in one namespace, and remembers the best of all it has seen, be it stored
 * here by others, stored elsewhere by itself, or read. A value to be stored has to contain every live claim that is
 * remembered, at the same sequence or a later one. So sequences never go back, and of two authors who write at the
 * same time neither removes the other's claim: whoever is refused reads, merges, and stores again.
 */
export class RecordValidator<K extends ClaimKind> {
  readonly rules: ClaimRules<K>;
  readonly #clock: () => number;
  readonly #changed: (key: string) => void;
  /** By key, the least recently changed one first. */
  readonly #remembered = new Map<string, readonly Claim<K>[]>();
  #bytes = 0;

  /** @param changed called when the claims of a key have become others */
  constructor(rules: ClaimRules<K>, clock: () => number, changed: (key: string) => void) {
    this.rules = rules;
    this.#clock = clock;
    this.#changed = changed;
  }

  /** From here on the DHT asks this validator about its namespace. */
  install(dht: KadDHT): void {
    dht.validators[this.rules.namespace] = (key, value, options) => {
      // kad-dht hands over options when it reads and none when it is asked to store.
      this.validate(Buffer.from(key).toString(), value, options === undefined ? 'store' : 'read');
    };
    dht.selectors[this.rules.namespace] = (key, values) => this.select(Buffer.from(key).toString(), values);
  }

  /** All live claims of a key, the preferred one first. */
  claims(key: string): readonly Claim<K>[] {
    return liveClaims(this.#remembered.get(key) ?? [], this.#clock());
  }

  /** Takes in verified records; false when all of them were known, or newer ones. */
  learn(key: string, records: readonly Claim<K>[]): boolean {
    const before = this.claims(key);
    const after = mergeClaims(this.rules, [...before, ...records]);
    if (sameClaims(before, after)) return false;
    this.#forget(key);
    this.#remembered.set(key, after);
    this.#bytes += costOf(after);
    for (const oldest of this.#remembered.keys()) {
      if (this.#bytes <= MAX_STORED_VALUE_BYTES) break;
      this.#forget(oldest);
    }
    this.#changed(key);
    return true;
  }

  /**
   * Learns what a value says. An outdated value that was read is no reason to refuse it: kad-dht would not go on to
   * the peers that its sender named.
   *
   * @throws RecordError
   */
  validate(key: string, value: Uint8Array, purpose: 'store' | 'read'): void {
    const offered = decodeClaims(this.rules, value, this.#clock());
    if (offered.length === 0) throw new RecordError('expired', 'all claims have expired');
    if (offered.some(({ record }) => this.rules.keyOf(record) !== key)) {
      throw new RecordError('foreign', 'the record belongs under another key');
    }
    this.learn(key, offered);
    if (purpose === 'store' && !sameClaims(mergeClaims(this.rules, offered), this.claims(key))) {
      throw new RecordError('outdated', 'there are newer or further records of this name');
    }
  }

  /** The index of the value that says most of what is known. kad-dht sends it to the holders of others. */
  select(key: string, values: readonly Uint8Array[]): number {
    const known = this.claims(key).map(({ bytes }) => Buffer.from(bytes));
    const counts = values.map((value) => known.filter((bytes) => Buffer.from(value).includes(bytes)).length);
    return counts.indexOf(Math.max(...counts));
  }

  #forget(key: string): void {
    this.#bytes -= costOf(this.#remembered.get(key) ?? []);
    this.#remembered.delete(key);
  }
}

function costOf(claims: readonly { readonly bytes: Uint8Array }[]): number {
  return claims.reduce((sum, { bytes }) => sum + bytes.length + STORED_ENTRY_BYTES, 0);
}
