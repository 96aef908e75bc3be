import { exchangeArgument } from './argument-checks.js';
import { assertEquivalent, assertEquivalentArguments } from './equivalence.js';
import { BrokerError, describe } from './errors.js';
import type { ExchangeDecoration, ExchangeSpec } from './exchange.js';
import { ALTERNATE_EXCHANGE, Exchange } from './exchange.js';
import type { ExchangeType } from './exchange-type.js';
import { MAX_EXCHANGES } from './limits.js';
import { assertNotReserved } from './names.js';

/** AMQP 0-9-1 §3.1.3.1 to §3.1.3.4; `amq.headers` is RabbitMQ's second name for `amq.match`. */
const PREDECLARED: readonly (readonly [name: string, type: string])[] = [
  ['', 'direct'],
  ['amq.direct', 'direct'],
  ['amq.fanout', 'fanout'],
  ['amq.topic', 'topic'],
  ['amq.headers', 'headers'],
  ['amq.match', 'headers'],
];

/** Where RabbitMQ's tracing publishes what it sees. Here nothing is traced; who binds a queue to it gets nothing. */
const TRACE_EXCHANGE = 'amq.rabbitmq.trace';

/** RabbitMQ's texts tell words of its runtime from others; clients' tests match both. These are the likely ones. */
const ERLANG_WORDS: ReadonlySet<string> = new Set([
  '',
  'none',
  'invalid',
  'unknown',
  'undefined',
  'test',
  'foo',
  'bar',
]);

/** The exchanges of a virtual host, by name. */
export class Exchanges {
  readonly #virtualHost: string;
  readonly #onChange: () => void;
  readonly #types: ReadonlyMap<string, ExchangeType>;
  readonly #exchanges = new Map<string, Exchange>();

  /** `onChange`: an exchange came or went. */
  constructor(virtualHost: string, types: readonly ExchangeType[], onChange: () => void) {
    this.#virtualHost = virtualHost;
    this.#onChange = onChange;
    this.#types = new Map(types.map((type) => [type.name, type]));
    const properties = { durable: true, autoDelete: false, internal: false, arguments: {} };
    for (const [name, type] of PREDECLARED) this.#add(name, { type, ...properties }, undefined);
    this.#add(TRACE_EXCHANGE, { type: 'topic', ...properties, internal: true }, undefined);
  }

  find(name: string): Exchange | undefined {
    return this.#exchanges.get(name);
  }

  /** As they are now. */
  all(): readonly Exchange[] {
    return [...this.#exchanges.values()];
  }

  hasType(name: string): boolean {
    return this.#types.has(name);
  }

  /** @throws BrokerError `command-invalid`: there is no such type */
  assertType(name: string): void {
    this.#type(name);
  }

  /** @throws BrokerError `not-found` */
  get(name: string): Exchange {
    const exchange = this.#exchanges.get(name);
    if (exchange === undefined) throw new BrokerError('not-found', `no ${this.#label(name)}`);
    return exchange;
  }

  declare(name: string, spec: ExchangeSpec, decoration: ExchangeDecoration | undefined): Exchange {
    if (decoration === undefined) this.#type(spec.type);
    return this.assertDeclarable(name, spec) ?? this.#add(name, spec, decoration);
  }

  /**
   * Everything about a declaration but the type, in RabbitMQ's order: a reserved name is refused only where nothing
   * has it. Gives what is there already.
   */
  assertDeclarable(name: string, spec: ExchangeSpec): Exchange | undefined {
    assertNotDefault(name);
    const existing = this.#exchanges.get(name);
    if (existing === undefined) this.#assertCreatable(name, spec);
    else this.#assertEquivalent(existing, spec);
    return existing;
  }

  /** What may be deleted, if it is there. */
  findDeletable(name: string): Exchange | undefined {
    assertNotDefault(name);
    if (name.startsWith('amq.')) {
      throw new BrokerError('access-refused', `deletion of system ${this.#label(name)} not allowed`);
    }
    return this.#exchanges.get(name);
  }

  /** False when it was gone already. */
  remove(exchange: Exchange): boolean {
    if (exchange.deleted) return false;
    exchange.deleted = true;
    this.#exchanges.delete(exchange.name);
    this.#onChange();
    return true;
  }

  #add(name: string, spec: ExchangeSpec, decoration: ExchangeDecoration | undefined): Exchange {
    const matching = decoration?.matching ?? this.#type(spec.type);
    const exchange = new Exchange(name, spec, matching, decoration?.hooks);
    this.#exchanges.set(name, exchange);
    this.#onChange();
    exchange.hooks?.attached?.(exchange);
    return exchange;
  }

  #type(name: string): ExchangeType {
    const type = this.#types.get(name);
    if (type !== undefined) return type;
    const problem = ERLANG_WORDS.has(name) ? 'invalid' : 'unknown';
    throw new BrokerError('command-invalid', `${problem} exchange type '${name}'`);
  }

  #assertEquivalent(existing: Exchange, spec: ExchangeSpec): void {
    const label = this.#label(existing.name);
    assertEquivalent(label, 'type', spec.type, existing.type);
    assertEquivalent(label, 'durable', spec.durable, existing.durable);
    assertEquivalent(label, 'auto_delete', spec.autoDelete, existing.autoDelete);
    assertEquivalent(label, 'internal', spec.internal, existing.internal);
    assertEquivalentArguments(label, [ALTERNATE_EXCHANGE], spec.arguments, existing.arguments);
  }

  #assertCreatable(name: string, spec: ExchangeSpec): void {
    assertNotReserved('exchange', name);
    exchangeArgument(this.#label(name), spec.arguments, ALTERNATE_EXCHANGE);
    if (this.#exchanges.size >= MAX_EXCHANGES) {
      const limit = `exchange limit in vhost '${this.#virtualHost}' (${MAX_EXCHANGES}) is reached`;
      throw new BrokerError('precondition-failed', `cannot declare exchange '${name}': ${limit}`);
    }
  }

  #label(name: string): string {
    return describe('exchange', name, this.#virtualHost);
  }
}

/** The default exchange routes to queues by name and can be published to, nothing else. */
export function assertNotDefault(name: string): void {
  if (name === '') throw new BrokerError('access-refused', 'operation not permitted on the default exchange');
}
