import type { Grant } from './grant.js';
import type { Right } from './grant-claims.js';
import { coversName, RoutingKeys } from './grant-patterns.js';
import { MAX_KEY_DECISIONS } from './limits.js';

/** Which routing keys somebody may use. A decision is made once per key. */
class KeyFilter {
  readonly #keys: RoutingKeys;
  readonly #decided = new Map<string, boolean>();

  constructor(patterns: readonly string[]) {
    this.#keys = new RoutingKeys(patterns);
  }

  get isEverything(): boolean {
    return this.#keys.isEverything;
  }

  allows(routingKey: string): boolean {
    if (this.isEverything) return true;
    const decided = this.#decided.get(routingKey);
    if (decided !== undefined) return decided;
    if (this.#decided.size >= MAX_KEY_DECISIONS) this.#decided.clear();
    const allowed = this.#keys.matches(routingKey);
    this.#decided.set(routingKey, allowed);
    return allowed;
  }

  covers(pattern: string): boolean {
    return this.#keys.covers(pattern);
  }
}

/** What a member may do at one point, by all of its grants together. */
export class PointAccess {
  /** Of open spaces, and of the owner. */
  static readonly everything = new PointAccess({
    publish: new KeyFilter(['#']),
    subscribe: new KeyFilter(['#']),
    mayAdminister: true,
  });
  static readonly nothing = new PointAccess({
    publish: undefined,
    subscribe: undefined,
    mayAdminister: false,
  });

  readonly #publish: KeyFilter | undefined;
  readonly #subscribe: KeyFilter | undefined;
  /** Delete the point for everybody. */
  readonly mayAdminister: boolean;

  private constructor(of: {
    publish: KeyFilter | undefined;
    subscribe: KeyFilter | undefined;
    mayAdminister: boolean;
  }) {
    this.#publish = of.publish;
    this.#subscribe = of.subscribe;
    this.mayAdminister = of.mayAdminister;
  }

  /** @param grants in force, of one holder and one space */
  static of(grants: readonly Grant[], point: string): PointAccess {
    const ofPoint = grants.filter((grant) => coversPoint(grant, point));
    if (ofPoint.length === 0) return PointAccess.nothing;
    return new PointAccess({
      publish: filter(ofPoint, 'publish'),
      subscribe: filter(ofPoint, 'subscribe'),
      mayAdminister: ofPoint.some(({ claims }) => claims.rights.includes('administer')),
    });
  }

  /** Any right at all: there is something to take part for. */
  get mayAttach(): boolean {
    return this.mayDefine || this.#subscribe !== undefined;
  }

  /** Say what the point is, where nobody has, and keep it known. */
  get mayDefine(): boolean {
    return this.#publish !== undefined || this.mayAdminister;
  }

  /** With any routing keys. */
  get publishesEverything(): boolean {
    return this.#publish?.isEverything ?? false;
  }

  mayPublish(routingKey: string): boolean {
    return this.#publish?.allows(routingKey) ?? false;
  }

  maySubscribe(routingKey: string): boolean {
    return this.#subscribe?.allows(routingKey) ?? false;
  }

  get subscribes(): boolean {
    return this.#subscribe !== undefined;
  }

  /** Whether all that matches a topic pattern is allowed. */
  coversPattern(pattern: string): boolean {
    return this.#subscribe?.covers(pattern) ?? false;
  }
}

function coversPoint({ claims }: Grant, point: string): boolean {
  return claims.points.some((pattern) => coversName(pattern, point));
}

function filter(grants: readonly Grant[], right: Right): KeyFilter | undefined {
  const having = grants.filter(({ claims }) => claims.rights.includes(right));
  return having.length === 0 ? undefined : new KeyFilter(having.flatMap(({ claims }) => claims.routingKeys));
}
