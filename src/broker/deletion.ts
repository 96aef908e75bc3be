import type { Binding, Bindings } from './bindings.js';
import type { Definitions } from './definitions.js';
import type { Exchange } from './exchange.js';
import type { Exchanges } from './exchanges.js';
import type { Queue } from './queue.js';
import type { Queues } from './queues.js';

/**
 * One deletion and all it takes along:
 *
 *     queue, exchange ──▶ its bindings ──▶ auto-delete exchanges that lost their last one ──▶ …
 *
 * First everything is removed; only `finish` tells anybody, so that who hears of it finds the end state. An
 * exchange's hooks hear `unbound` for each binding, then `deleted`.
 */
export class Deletion {
  readonly #queues: Queues;
  readonly #exchanges: Exchanges;
  readonly #bindings: Bindings;
  readonly #definitions: Definitions | undefined;
  readonly #deletedQueues: Queue[] = [];
  readonly #calls: (() => void)[] = [];
  /** Exchanges to look at: a chain of them can be long, so it is not followed by recursion. */
  readonly #doomed: Exchange[] = [];

  constructor(
    queues: Queues,
    exchanges: Exchanges,
    bindings: Bindings,
    definitions: Definitions | undefined,
  ) {
    this.#queues = queues;
    this.#exchanges = exchanges;
    this.#bindings = bindings;
    this.#definitions = definitions;
  }

  binding(binding: Binding): this {
    this.#remove([binding]);
    return this;
  }

  queue(queue: Queue): this {
    if (!this.#queues.remove(queue)) return this;
    this.#definitions?.queueDeleted(queue);
    this.#deletedQueues.push(queue);
    this.#remove(this.#bindings.to(queue));
    return this;
  }

  exchange(exchange: Exchange): this {
    this.#doomed.push(exchange);
    return this;
  }

  /** Tells consumers and hooks; the number of messages that went with the queues. */
  finish(): number {
    let exchange = this.#doomed.pop();
    while (exchange !== undefined) {
      this.#removeExchange(exchange);
      exchange = this.#doomed.pop();
    }
    let messages = 0;
    for (const queue of this.#deletedQueues) messages += queue.delete();
    for (const call of this.#calls) call();
    return messages;
  }

  #removeExchange(exchange: Exchange): void {
    if (!this.#exchanges.remove(exchange)) return;
    this.#definitions?.exchangeDeleted(exchange);
    this.#remove(this.#bindings.from(exchange));
    const hooks = exchange.hooks;
    if (hooks !== undefined) this.#calls.push(() => hooks.deleted());
    this.#remove(this.#bindings.to(exchange));
  }

  #remove(bindings: readonly Binding[]): void {
    for (const binding of bindings) {
      this.#bindings.remove(binding);
      this.#definitions?.unbound(binding);
      const { source, pattern } = binding;
      const hooks = source.hooks;
      if (hooks !== undefined) this.#calls.push(() => hooks.unbound(pattern));
      if (source.autoDelete && !this.#bindings.isSource(source)) this.#doomed.push(source);
    }
  }
}
