import type { Binding, Bindings } from './bindings.js';
import type { ExchangeHooks, Route } from './exchange.js';
import { Exchange } from './exchange.js';
import { MAX_CACHED_ROUTE_WEIGHT } from './limits.js';
import type { Message } from './message.js';
import type { Queue } from './queue.js';

const NOWHERE: Route = { queues: [], hooks: [] };

/**
 * Finds where messages go, and keeps it at the exchange where equal routing keys go the same way. What is kept is good
 * for one version of the bindings.
 */
export class Router {
  readonly #bindings: Bindings;
  readonly #keeping = new Set<Exchange>();
  #version = 0;
  #weight = 0;

  constructor(bindings: Bindings) {
    this.#bindings = bindings;
  }

  route(exchange: Exchange, message: Message): Route {
    if (exchange.deleted) return NOWHERE;
    if (this.#version !== this.#bindings.version) this.#forget();
    return exchange.routes.get(message.routingKey) ?? this.#find(exchange, message);
  }

  /** Follows the bindings from exchange to exchange, each once: they may form cycles. */
  #find(start: Exchange, message: Message): Route {
    const exchanges = new Set([start]);
    const queues = new Set<Queue>();
    const hooks: ExchangeHooks[] = [];
    let readsHeaders = false;
    // A set that grows while it is read is read to its end.
    for (const exchange of exchanges) {
      if (exchange.hooks !== undefined) hooks.push(exchange.hooks);
      if (exchange.matching.readsHeaders) readsHeaders = true;
      const found = new Set<Binding>();
      this.#bindings.match(exchange, message, found);
      for (const { destination } of found) {
        if (destination instanceof Exchange) exchanges.add(destination);
        else queues.add(destination);
      }
    }
    const route = { queues: [...queues], hooks };
    if (!readsHeaders) this.#keep(start, message.routingKey, route);
    return route;
  }

  #keep(exchange: Exchange, routingKey: string, route: Route): void {
    const weight = 1 + route.queues.length;
    if (this.#weight + weight > MAX_CACHED_ROUTE_WEIGHT) this.#forget();
    exchange.routes.set(routingKey, route);
    this.#keeping.add(exchange);
    this.#weight += weight;
  }

  #forget(): void {
    for (const exchange of this.#keeping) exchange.routes.clear();
    this.#keeping.clear();
    this.#weight = 0;
    this.#version = this.#bindings.version;
  }
}
