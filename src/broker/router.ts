import type { Binding, Bindings } from './bindings.js';
import type { ExchangeHooks, Route } from './exchange.js';
import { Exchange } from './exchange.js';
import { MAX_CACHED_ROUTE_WEIGHT } from './limits.js';
import type { Message, Routable } from './message.js';
import type { Queue } from './queue.js';

const NOWHERE: Route = { queues: [], hooks: [] };

interface FoundRoute extends Route {
  /** Equal routing keys need not go the same way. */
  readonly readsHeaders: boolean;
}

/**
 * Finds where messages go, and keeps it at the exchange where equal routing keys go the same way. What is kept is good
 * for one version of the bindings and until {@link forget} is called.
 */
export class Router {
  readonly #bindings: Bindings;
  readonly #findExchange: (name: string) => Exchange | undefined;
  readonly #keeping = new Set<Exchange>();
  #version = 0;
  #weight = 0;

  /** `findExchange` is for alternate exchanges, which need not exist. */
  constructor(bindings: Bindings, findExchange: (name: string) => Exchange | undefined) {
    this.#bindings = bindings;
    this.#findExchange = findExchange;
  }

  route(exchange: Exchange, message: Message): Route {
    if (exchange.deleted) return NOWHERE;
    if (this.#version !== this.#bindings.version) this.forget();
    if (message.alsoTo !== undefined) return this.#find(exchange, copies(message));
    return exchange.routes.get(message.routingKey) ?? this.#findAndKeep(exchange, message);
  }

  /** An exchange came or went: it may be an alternate of others. */
  forget(): void {
    for (const exchange of this.#keeping) exchange.routes.clear();
    this.#keeping.clear();
    this.#weight = 0;
    this.#version = this.#bindings.version;
  }

  #findAndKeep(exchange: Exchange, message: Message): Route {
    const route = this.#find(exchange, [message]);
    if (!route.readsHeaders) this.#keep(exchange, message.routingKey, route);
    return route;
  }

  /**
   * Follows the bindings from exchange to exchange, each once: they may form cycles. `copies`: the same message once
   * for each of its routing keys. At an exchange where none of them matches, its alternate is the way on.
   */
  #find(start: Exchange, copies: readonly Routable[]): FoundRoute {
    const exchanges = new Set([start]);
    const queues = new Set<Queue>();
    const hooks: ExchangeHooks[] = [];
    let readsHeaders = false;
    // A set that grows while it is read is read to its end.
    for (const exchange of exchanges) {
      if (exchange.hooks !== undefined) hooks.push(exchange.hooks);
      if (exchange.matching.readsHeaders) readsHeaders = true;
      const found = new Set<Binding>();
      for (const copy of copies) this.#bindings.match(exchange, copy, found);
      for (const { destination } of found) {
        if (destination instanceof Exchange) exchanges.add(destination);
        else queues.add(destination);
      }
      if (found.size === 0 && exchange.alternate !== undefined) {
        const alternate = this.#findExchange(exchange.alternate);
        if (alternate !== undefined) exchanges.add(alternate);
      }
    }
    return { queues: [...queues], hooks, readsHeaders };
  }

  #keep(exchange: Exchange, routingKey: string, route: Route): void {
    const weight = 1 + route.queues.length;
    if (this.#weight + weight > MAX_CACHED_ROUTE_WEIGHT) this.forget();
    exchange.routes.set(routingKey, route);
    this.#keeping.add(exchange);
    this.#weight += weight;
  }
}

/** RabbitMQ's sender-selected distribution: the message with each of its routing keys. */
function copies(message: Message): readonly Routable[] {
  const headers = () => message.headers();
  return [message, ...(message.alsoTo ?? []).map((routingKey) => ({ routingKey, headers }))];
}
