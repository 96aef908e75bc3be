import type { FieldTable, VirtualHost } from '../broker/index.js';

/** An exchange.declare which is not passive, of a type that the broker itself does not have. */
export interface AliasDeclaration {
  readonly name: string;
  readonly type: string;
  readonly durable: boolean;
  readonly autoDelete: boolean;
  readonly internal: boolean;
  readonly arguments: FieldTable;
}

/**
 * Exchange types that stand for something beyond this broker: where AMQP meets exchange spaces. Whatever its
 * promises reject with becomes the client's reply; later requests on the same channel wait for them.
 */
export interface AliasHandler {
  /** Whether exchanges of this type are declared here and not by the broker. */
  declares(type: string): boolean;
  /** Declares the exchange, or asserts that it exists with equal arguments. `signal`: the client has gone. */
  declare(virtualHost: VirtualHost, declaration: AliasDeclaration, signal: AbortSignal): Promise<void>;
  /** Deletes the exchange; undefined when it is none of these, and the broker's to delete. */
  delete(
    virtualHost: VirtualHost,
    name: string,
    options: { readonly ifUnused: boolean },
  ): Promise<void> | undefined;
  /** Whether publishing to this exchange excludes transactions, `mandatory` and `immediate`, which end at this node. */
  refusesTransactions(virtualHost: VirtualHost, exchange: string): boolean;
}
