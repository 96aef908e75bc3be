import type { Binding, Bindings, Destination } from './bindings.js';
import { BrokerError, describe } from './errors.js';
import type { ExchangeDecoration, ExchangeHooks, ExchangeSpec } from './exchange.js';
import { Exchange } from './exchange.js';
import type { Exchanges } from './exchanges.js';
import type { FieldTable } from './message.js';
import type { Queue } from './queue.js';
import type { Queues } from './queues.js';
import type { Definition, Storage } from './storage.js';
import { StorageError } from './storage-error.js';
import { whenSynced } from './when-synced.js';

/** What a definition says beside its key. The store gives back what it was given. */
type ExchangeDefinition = Omit<ExchangeSpec, 'durable'>;
type QueueDefinition = {
  readonly autoDelete: boolean;
  readonly arguments: FieldTable;
  readonly storageId: number;
};
type BindingDefinition = { readonly routingKey: string; readonly arguments: FieldTable };

/** What an exchange is beyond its type; undefined for one that is just that. */
export type RestoreDecoration = (name: string, spec: ExchangeSpec) => ExchangeDecoration | undefined;

/**
 * What of a virtual host's exchanges, queues and bindings is kept: those that are durable, bindings where both ends are.
 */
export class Definitions {
  readonly #virtualHost: string;
  readonly #storage: Storage;

  constructor(virtualHost: string, storage: Storage) {
    this.#virtualHost = virtualHost;
    this.#storage = storage;
  }

  /**
   * Makes again what there was at the end of the last run. What was predeclared is there already.
   *
   * @throws StorageError, BrokerError: it makes no sense to this version
   */
  restore(
    exchanges: Exchanges,
    queues: Queues,
    bindings: Bindings,
    restoreDecoration: RestoreDecoration | undefined,
  ): void {
    for (const { kind, key, value } of this.#storage.definitions) {
      const [virtualHost, name = '', destinationKind, destination = ''] = key;
      if (virtualHost !== this.#virtualHost) continue;
      if (kind === 'exchange') {
        const spec: ExchangeSpec = { ...(value as unknown as ExchangeDefinition), durable: true };
        const decoration = restoreDecoration?.(name, spec) ?? this.#placeholder(exchanges, name, spec.type);
        exchanges.declare(name, spec, decoration);
      } else if (kind === 'queue') {
        const { storageId, ...spec } = value as unknown as QueueDefinition;
        queues.recover(name, { ...spec, durable: true, exclusive: false }, storageId);
      } else if (kind === 'binding') {
        const source = exchanges.find(name);
        const target = destinationKind === 'queue' ? queues.find(destination) : exchanges.find(destination);
        const { routingKey, arguments: args } = value as unknown as BindingDefinition;
        if (source === undefined || target === undefined) throw this.#incomplete(name, destination);
        const pattern = { routingKey, arguments: args };
        bindings.add(source, target, pattern).settled = source.hooks?.bound(pattern);
      }
    }
  }

  exchangeDeclared(exchange: Exchange): void {
    if (!exchange.durable) return;
    const { type, autoDelete, internal } = exchange;
    const value: ExchangeDefinition = { type, autoDelete, internal, arguments: exchange.arguments };
    this.#storage.define({ kind: 'exchange', key: [this.#virtualHost, exchange.name], value });
  }

  exchangeDeleted(exchange: Exchange): void {
    if (exchange.durable) this.#storage.undefine('exchange', [this.#virtualHost, exchange.name]);
  }

  queueDeclared(queue: Queue): void {
    if (queue.storageId === undefined) return;
    const { autoDelete, storageId } = queue;
    const value: QueueDefinition = { autoDelete, arguments: queue.arguments, storageId };
    this.#storage.define({ kind: 'queue', key: [this.#virtualHost, queue.name], value });
  }

  queueDeleted(queue: Queue): void {
    if (queue.storageId !== undefined) this.#storage.undefine('queue', [this.#virtualHost, queue.name]);
  }

  bound(binding: Binding): void {
    if (!isDurable(binding)) return;
    this.#storage.define({ kind: 'binding', key: this.#bindingKey(binding), value: { ...binding.pattern } });
  }

  unbound(binding: Binding): void {
    if (isDurable(binding)) this.#storage.undefine('binding', this.#bindingKey(binding));
  }

  /** Settles when all of this is on the disk; undefined: it is. */
  settled(): Promise<void> | undefined {
    return whenSynced(this.#storage, this.#storage.definedIn);
  }

  /** An exchange of a type that nobody here knows keeps its place and its bindings, and takes no messages. */
  #placeholder(exchanges: Exchanges, name: string, type: string): ExchangeDecoration | undefined {
    if (exchanges.hasType(type)) return undefined;
    const text = `${describe('exchange', name, this.#virtualHost)} is of the type '${type}', which is not known`;
    const hooks: ExchangeHooks = {
      published() {
        throw new BrokerError('precondition-failed', text);
      },
      bound() {
        return undefined;
      },
      unbound() {},
      deleted() {},
    };
    return { matching: exchanges.get('').matching, hooks };
  }

  #bindingKey({ source, destination, key }: Binding): Definition['key'] {
    return [this.#virtualHost, source.name, kindOf(destination), destination.name, key];
  }

  #incomplete(source: string, destination: string): StorageError {
    const which = `the binding of '${destination}' to '${source}' in vhost '${this.#virtualHost}'`;
    return new StorageError('damaged', `one end of ${which} is not there`);
  }
}

function isDurable({ source, destination }: Binding): boolean {
  return source.durable && destination.durable;
}

function kindOf(destination: Destination): 'exchange' | 'queue' {
  return destination instanceof Exchange ? 'exchange' : 'queue';
}
