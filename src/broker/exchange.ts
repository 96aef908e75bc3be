import type { ExchangeType, Pattern } from './exchange-type.js';
import type { FieldTable, Message } from './message.js';
import type { Queue } from './queue.js';

/** The one declare argument that RabbitMQ gives a meaning. */
export const ALTERNATE_EXCHANGE = 'alternate-exchange';

export interface ExchangeSpec {
  readonly type: string;
  readonly durable: boolean;
  readonly autoDelete: boolean;
  readonly internal: boolean;
  readonly arguments: FieldTable;
}

/** Makes an exchange more than its type: it shows the spec's type, matches as `matching`, and tells `hooks`. */
export interface ExchangeDecoration {
  readonly matching: ExchangeType;
  readonly hooks: ExchangeHooks;
}

/**
 * What a decorated exchange tells. Bindings and exchanges are as they will be by the time a hook hears of it,
 * so hooks may call the broker. Only `published` may throw.
 */
export interface ExchangeHooks {
  /** The exchange is there, before it is bound to anything. */
  attached?(exchange: Exchange): void;
  /**
   * Once for each local publication that reaches the exchange, directly or through other exchanges, before any
   * queue gets it. The publisher is asked to pause until the promise settles. Throwing refuses the publication.
   */
  published(message: Message): Promise<void> | undefined;
  /** A binding with this exchange as source is there; the answer to the client waits for the promise. */
  bound(pattern: Pattern): Promise<void> | undefined;
  /** A binding with this exchange as source is gone, for whatever reason. */
  unbound(pattern: Pattern): void;
  /** The exchange is gone, after `unbound` for each of its bindings. */
  deleted(): void;
}

/** Where a message goes: to queues, each once, and past decorated exchanges. */
export interface Route {
  readonly queues: readonly Queue[];
  readonly hooks: readonly ExchangeHooks[];
}

/** What an exchange is. Where its messages go is up to the bindings. */
export class Exchange {
  readonly name: string;
  /** The type as declared; a decorated exchange matches by the rules of another. */
  readonly type: string;
  readonly durable: boolean;
  readonly autoDelete: boolean;
  /** Internal exchanges get messages from other exchanges only. */
  readonly internal: boolean;
  readonly arguments: FieldTable;
  /** Where messages go on to that match none of its bindings (`alternate-exchange`); it need not exist. */
  readonly alternate: string | undefined;
  readonly matching: ExchangeType;
  readonly hooks: ExchangeHooks | undefined;
  /** By routing key: what the router has found so far. */
  readonly routes = new Map<string, Route>();
  /** Set as it is removed from its virtual host. What is published to it from then on goes nowhere. */
  deleted = false;

  constructor(name: string, spec: ExchangeSpec, matching: ExchangeType, hooks: ExchangeHooks | undefined) {
    this.name = name;
    this.type = spec.type;
    this.durable = spec.durable;
    this.autoDelete = spec.autoDelete;
    this.internal = spec.internal;
    this.arguments = spec.arguments;
    const alternate = spec.arguments[ALTERNATE_EXCHANGE];
    this.alternate = typeof alternate === 'string' ? alternate : undefined;
    this.matching = matching;
    this.hooks = hooks;
  }
}
