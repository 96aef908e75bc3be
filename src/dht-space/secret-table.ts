import type { ExchangeType, Pattern, PatternTable, Routable } from '../overlay/index.js';
import { routingKeyToken } from './interest-wire.js';
import type { Participant } from './participant.js';

/**
 * How publishers of a direct point match interest that they can not read: patterns hold tokens, and a message's
 * routing key is turned into the token it would have for each participant. The interest table above remembers the
 * result per routing key.
 */
export function secretDirect(spaceId: string, point: string): ExchangeType {
  return {
    name: 'direct',
    readsHeaders: false,
    // The interest table of a point has participants as its targets, and nothing else.
    createTable: <T>() => new SecretTable(spaceId, point) as unknown as PatternTable<T>,
    problemWith: () => undefined,
  };
}

class SecretTable implements PatternTable<Participant> {
  readonly #spaceId: string;
  readonly #point: string;
  readonly #tokens = new Map<Participant, Set<string>>();

  constructor(spaceId: string, point: string) {
    this.#spaceId = spaceId;
    this.#point = point;
  }

  add(pattern: Pattern, target: Participant): boolean {
    let tokens = this.#tokens.get(target);
    if (tokens === undefined) {
      tokens = new Set();
      this.#tokens.set(target, tokens);
    }
    if (tokens.has(pattern.routingKey)) return false;
    tokens.add(pattern.routingKey);
    return true;
  }

  remove(pattern: Pattern, target: Participant): boolean {
    const tokens = this.#tokens.get(target);
    if (!tokens?.delete(pattern.routingKey)) return false;
    if (tokens.size === 0) this.#tokens.delete(target);
    return true;
  }

  match(message: Routable, found: Set<Participant>): void {
    for (const [participant, tokens] of this.#tokens) {
      const token = routingKeyToken(message.routingKey, this.#spaceId, this.#point, participant.link.peer);
      if (tokens.has(token)) found.add(participant);
    }
  }
}
