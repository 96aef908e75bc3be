import type { Binding, Destination } from './bindings.js';
import { Bindings } from './bindings.js';
import { DeadLetters } from './dead-letters.js';
import { Definitions } from './definitions.js';
import { Deletion } from './deletion.js';
import { BrokerError, describe } from './errors.js';
import type { Exchange, ExchangeDecoration, ExchangeSpec, Route } from './exchange.js';
import type { ExchangeType, Pattern } from './exchange-type.js';
import { assertNotDefault, Exchanges } from './exchanges.js';
import type { MemoryAccount } from './memory-account.js';
import type { Message } from './message.js';
import { cleanName, createQueueName } from './names.js';
import type { Publisher } from './publisher.js';
import { NOBODY } from './publisher.js';
import type { Owner, Queue, QueueContext, QueueSpec } from './queue.js';
import type { QueueRules } from './queue-rules.js';
import type { PagingLimits } from './queue-store.js';
import { PAGING_LIMITS } from './queue-store.js';
import { Queues } from './queues.js';
import { Router } from './router.js';
import type { Storage } from './storage.js';

export interface VirtualHostOptions {
  /** The registry of exchange types; `direct`, `fanout`, `topic` and `headers` must be there. */
  readonly exchangeTypes: readonly ExchangeType[];
  readonly memory: MemoryAccount;
  /** Without it everything is kept in memory. */
  readonly storage?: Storage | undefined;
  /** Makes an exchange that was decorated what it was, as the virtual host is restored. */
  readonly restoreDecoration?:
    | ((virtualHost: VirtualHost, name: string, spec: ExchangeSpec) => ExchangeDecoration | undefined)
    | undefined;
  readonly paging?: PagingLimits | undefined;
  readonly queueRules?: QueueRules | undefined;
  /** Hears what went wrong and concerns no client. */
  readonly warn?: ((text: string, error?: unknown) => void) | undefined;
}

export interface QueueBinding {
  readonly queue: string;
  readonly exchange: string;
  readonly pattern: Pattern;
}

export interface ExchangeBinding {
  readonly destination: string;
  readonly source: string;
  readonly pattern: Pattern;
}

/**
 * Exchanges, queues and bindings under one roof. Methods throw a {@link BrokerError} for what they refuse, and
 * have then changed nothing.
 */
export class VirtualHost {
  readonly name: string;
  readonly #exchanges: Exchanges;
  readonly #queues: Queues;
  readonly #bindings = new Bindings();
  readonly #router: Router;
  readonly #deadLetters: DeadLetters;
  readonly #default: Exchange;
  /** Undefined: nothing is kept. */
  readonly #definitions: Definitions | undefined;
  readonly #rules: QueueRules | undefined;

  constructor(name: string, options: VirtualHostOptions) {
    const { exchangeTypes, memory, storage, paging = PAGING_LIMITS, warn = () => {} } = options;
    this.name = name;
    this.#rules = options.queueRules;
    this.#router = new Router(this.#bindings, (exchange) => this.#exchanges.find(exchange));
    this.#exchanges = new Exchanges(name, exchangeTypes, () => this.#router.forget());
    this.#default = this.#exchanges.get('');
    this.#deadLetters = new DeadLetters({
      findExchange: (exchange) => this.#exchanges.find(exchange),
      route: (exchange, message) => this.#route(exchange, message),
      warn: (text) => warn(`${text} in vhost '${name}'`),
    });
    const context: QueueContext = {
      virtualHost: name,
      memory,
      paging,
      deadLetters: this.#deadLetters,
      rules: options.queueRules,
      unused: (queue) => {
        if (queue.autoDelete) this.#deletion().queue(queue).finish();
      },
      expired: (queue) => this.#deletion().queue(queue).finish(),
      warn,
    };
    this.#queues = new Queues(context, storage);
    this.#definitions = storage && new Definitions(name, storage);
    this.#definitions?.restore(this.#exchanges, this.#queues, this.#bindings, (exchange, spec) =>
      options.restoreDecoration?.(this, exchange, spec),
    );
  }

  /**
   * Declares an exchange, or asserts that it exists with these properties. A decoration counts only where it is
   * new.
   */
  declareExchange(name: string, spec: ExchangeSpec, decoration?: ExchangeDecoration): Exchange {
    const existing = this.#exchanges.find(cleanName(name));
    const exchange = this.#exchanges.declare(cleanName(name), spec, decoration);
    if (existing === undefined) this.#definitions?.exchangeDeclared(exchange);
    return exchange;
  }

  /** What `declareExchange` would refuse, for whoever has to prepare a decoration before it can be declared. */
  assertDeclarable(name: string, spec: ExchangeSpec): void {
    this.#exchanges.assertDeclarable(cleanName(name), spec);
  }

  /** @throws BrokerError `command-invalid`: there are no exchanges of this type */
  assertExchangeType(name: string): void {
    this.#exchanges.assertType(name);
  }

  /** A passive declare: the exchange must exist, and must not be the default one. */
  assertExchange(name: string): Exchange {
    return this.#exchanges.get(explicitName(name));
  }

  /** For publishing. The name is taken as it is. */
  exchange(name: string): Exchange {
    return this.#exchanges.get(name);
  }

  findExchange(name: string): Exchange | undefined {
    return this.#exchanges.find(cleanName(name));
  }

  /** No such exchange: nothing to do. */
  deleteExchange(name: string, options: { readonly ifUnused: boolean }): void {
    const exchange = this.#exchanges.findDeletable(cleanName(name));
    if (exchange === undefined) return;
    if (options.ifUnused && this.#bindings.isSource(exchange)) {
      const label = describe('exchange', exchange.name, this.name);
      throw new BrokerError('precondition-failed', `${label} in use`);
    }
    this.#deletion().exchange(exchange).finish();
  }

  /**
   * Settles when the source's hook is content with the binding; undefined when there is nothing to wait for.
   */
  bindExchange(binding: ExchangeBinding): Promise<void> | undefined {
    const [from, to] = [explicitName(binding.source), explicitName(binding.destination)];
    return this.#bind(this.#exchanges.get(from), this.#exchanges.get(to), binding.pattern);
  }

  /** No such exchange or binding: nothing to do, as in RabbitMQ. */
  unbindExchange(binding: ExchangeBinding): void {
    const source = this.#exchanges.find(explicitName(binding.source));
    const destination = this.#exchanges.find(explicitName(binding.destination));
    const existing = this.#findBinding(source, destination, binding.pattern);
    if (existing !== undefined) this.#deletion().binding(existing).finish();
  }

  /**
   * Declares a queue, or asserts that it exists with these properties; an empty name asks for a new one, which is then
   * `newName`.
   */
  declareQueue(name: string, spec: QueueSpec, owner: Owner, newName = createQueueName()): Queue {
    const existing = this.#queues.find(cleanName(name));
    if (existing === undefined) this.#rules?.assertDeclarable(name === '' ? newName : cleanName(name), spec);
    const queue = this.#queues.declare(cleanName(name), spec, owner, newName);
    if (existing === undefined) {
      this.#definitions?.queueDeclared(queue);
      this.#rules?.declared(queue);
    }
    return queue;
  }

  findQueue(name: string): Queue | undefined {
    return this.#queues.find(cleanName(name));
  }

  /** A passive declare. Not found, or locked to another owner: refused. */
  assertQueue(name: string, owner: Owner): Queue {
    return this.queue(cleanName(name), owner);
  }

  /** For consume and get: as a passive declare, but the name is taken as it is. */
  queue(name: string, owner: Owner): Queue {
    const queue = this.#queues.get(name, owner);
    queue.used();
    return queue;
  }

  /** The number of messages deleted with it: 0 when there is no such queue. */
  deleteQueue(
    name: string,
    options: { readonly ifUnused: boolean; readonly ifEmpty: boolean },
    owner: Owner,
  ): number {
    const queue = this.#queues.find(cleanName(name));
    if (queue === undefined) return 0;
    this.#queues.assertAccess(queue, owner);
    const label = describe('queue', queue.name, this.name);
    if (options.ifEmpty && queue.messageCount > 0) {
      throw new BrokerError('precondition-failed', `${label} not empty`);
    }
    if (options.ifUnused && queue.consumerCount > 0) {
      throw new BrokerError('precondition-failed', `${label} in use`);
    }
    return this.#deletion().queue(queue).finish();
  }

  /** The number of messages dropped; those out for acknowledgement stay. The name is taken as it is. */
  purgeQueue(name: string, owner: Owner): number {
    return this.#queues.get(name, owner).purge();
  }

  /** As {@link bindExchange}. */
  bindQueue(binding: QueueBinding, owner: Owner): Promise<void> | undefined {
    const source = this.#exchanges.get(explicitName(binding.exchange));
    return this.#bind(source, this.#queues.get(cleanName(binding.queue), owner), binding.pattern);
  }

  /** As {@link unbindExchange}. */
  unbindQueue(binding: QueueBinding, owner: Owner): void {
    const source = this.#exchanges.find(explicitName(binding.exchange));
    const queue = this.#queues.find(cleanName(binding.queue));
    const existing = this.#findBinding(source, queue, binding.pattern);
    if (queue === undefined || existing === undefined) return;
    this.#queues.assertAccess(queue, owner);
    this.#deletion().binding(existing).finish();
  }

  /** Bindings with this queue as destination, beside the one to the default exchange. */
  bindingCount(queue: Queue): number {
    return this.#bindings.countTo(queue);
  }

  /** The node stops: what is in the store is to be there at its next start. */
  stop(): void {
    for (const queue of this.#queues.all()) queue.stop();
  }

  /** The virtual host goes, and everything in it. */
  delete(): void {
    const deletion = this.#deletion();
    for (const queue of this.#queues.all()) deletion.queue(queue);
    for (const exchange of this.#exchanges.all()) deletion.exchange(exchange);
    deletion.finish();
  }

  /** Settles when what was declared, deleted, bound and unbound so far is kept; undefined: it is. */
  settled(): Promise<void> | undefined {
    return this.#definitions?.settled();
  }

  /** A connection has ended: its exclusive queues go. */
  releaseOwner(owner: Owner): void {
    const deletion = this.#deletion();
    for (const queue of this.#queues.of(owner)) deletion.queue(queue);
    deletion.finish();
  }

  /**
   * Routes a local publication. The number of queues that it came to, also where they are full; hooks that heard of it
   * don't count.
   */
  publish(exchange: Exchange, message: Message, publisher: Publisher): number {
    if (exchange.internal) {
      const label = describe('exchange', exchange.name, this.name);
      throw new BrokerError('access-refused', `cannot publish to internal ${label}`);
    }
    if (exchange === this.#default) {
      if (message.alsoTo !== undefined) return enqueue(message, this.#queuesNamedBy(message), publisher);
      return this.#queues.find(message.routingKey)?.enqueue(message, publisher) ? 1 : 0;
    }
    const route = this.#router.route(exchange, message);
    for (const hooks of route.hooks) {
      const pause = hooks.published(message);
      if (pause !== undefined) publisher.slowDown(pause);
    }
    return enqueue(message, route.queues, publisher);
  }

  /**
   * Routes a message of another node: to queues as `publish`, and no hook hears of it, so it is not sent on. Full
   * queues drop what they refuse: its publisher is out of reach.
   */
  routeRemote(exchange: Exchange, message: Message): number {
    return enqueue(message, this.#router.route(exchange, message).queues, NOBODY);
  }

  #route(exchange: Exchange, message: Message): Route {
    if (exchange !== this.#default) return this.#router.route(exchange, message);
    return { queues: this.#queuesNamedBy(message), hooks: [] };
  }

  #queuesNamedBy(message: Message): readonly Queue[] {
    const names = new Set([message.routingKey, ...(message.alsoTo ?? [])]);
    return [...names].flatMap((name) => this.#queues.find(name) ?? []);
  }

  #findBinding(
    source: Exchange | undefined,
    destination: Destination | undefined,
    pattern: Pattern,
  ): Binding | undefined {
    return source && destination && this.#bindings.find(source, destination, pattern);
  }

  #bind(source: Exchange, destination: Destination, pattern: Pattern): Promise<void> | undefined {
    const existing = this.#bindings.find(source, destination, pattern);
    if (existing !== undefined) return existing.settled;
    const max = this.#rules?.maxBindingsPerQueue;
    if (max !== undefined && this.#bindings.countTo(destination) >= max) {
      const text = `cannot bind: limit of ${max} bindings of '${destination.name}' is reached`;
      throw new BrokerError('precondition-failed', text);
    }
    const problem = source.matching.problemWith(pattern);
    if (problem !== undefined) throw new BrokerError('precondition-failed', problem);
    const binding = this.#bindings.add(source, destination, pattern);
    this.#definitions?.bound(binding);
    binding.settled = source.hooks?.bound(pattern);
    // What the decoration refuses is undone, unless that has been done meanwhile.
    binding.settled?.catch(() => {
      if (this.#bindings.find(source, destination, pattern) === binding) {
        this.#deletion().binding(binding).finish();
      }
    });
    return binding.settled;
  }

  #deletion(): Deletion {
    return new Deletion(this.#queues, this.#exchanges, this.#bindings, this.#definitions);
  }
}

/** The name of an exchange, which may not be the default one. */
function explicitName(name: string): string {
  const clean = cleanName(name);
  assertNotDefault(clean);
  return clean;
}

function enqueue(message: Message, queues: readonly Queue[], publisher: Publisher): number {
  let count = 0;
  for (const queue of queues) {
    if (queue.enqueue(message, publisher)) count++;
  }
  return count;
}
