import { MAX_COUNTED_USERS, OCTETS_PER_REQUEST, REQUEST_BURST, REQUESTS_PER_SECOND } from './limits.js';

interface Bucket {
  /** Below zero after something large: what comes next waits longer. */
  tokens: number;
  filledMs: number;
}

/** How much each AMQP user may still ask: a token bucket, from which octets take as well. */
export class TrackerAllowance {
  readonly #buckets = new Map<string, Bucket>();

  /** Takes the token of one request. False: there is none. */
  take(user: string, nowMs: number): boolean {
    const bucket = this.#buckets.get(user) ?? this.#add(user, nowMs);
    bucket.tokens = filled(bucket, nowMs);
    bucket.filledMs = nowMs;
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }

  /** What a request and all that came of it have as octets. */
  charge(user: string, octets: number): void {
    const bucket = this.#buckets.get(user);
    if (bucket !== undefined) bucket.tokens -= octets / OCTETS_PER_REQUEST;
  }

  /** Forgets users that have all of their allowance anyway. */
  sweep(nowMs: number): void {
    for (const [user, bucket] of this.#buckets) {
      if (filled(bucket, nowMs) >= REQUEST_BURST) this.#buckets.delete(user);
    }
  }

  #add(user: string, nowMs: number): Bucket {
    if (this.#buckets.size >= MAX_COUNTED_USERS) this.#buckets.clear();
    const bucket = { tokens: REQUEST_BURST, filledMs: nowMs };
    this.#buckets.set(user, bucket);
    return bucket;
  }
}

function filled({ tokens, filledMs }: Bucket, nowMs: number): number {
  const since = Math.max(0, nowMs - filledMs);
  return Math.min(REQUEST_BURST, tokens + (since / 1000) * REQUESTS_PER_SECOND);
}
