import type { Exchange, Publisher } from '../broker/index.js';
import type { Connection } from './connection.js';
import type { Publication } from './content-assembly.js';
import type { Deliveries } from './deliveries.js';
import { methodFrame } from './frames.js';
import type { ContentMessage } from './message.js';
import { checkProperties } from './publish-checks.js';
import { ChannelError, ConnectionError, NO_ROUTE } from './reply-code.js';
import { Transaction } from './transaction.js';

/** What a publisher is told: nothing, that its messages are taken, or whether its transaction is. */
type Mode =
  | { readonly name: 'plain' }
  | { readonly name: 'confirm'; published: number; confirmed: number }
  | { readonly name: 'transaction'; readonly transaction: Transaction };

/** What one channel publishes. */
export class Publishing implements Publisher {
  readonly #channel: number;
  readonly #connection: Connection;
  readonly #deliveries: Deliveries;
  #mode: Mode = { name: 'plain' };

  constructor(channel: number, connection: Connection, deliveries: Deliveries) {
    this.#channel = channel;
    this.#connection = connection;
    this.#deliveries = deliveries;
  }

  get transaction(): Transaction | undefined {
    return this.#mode.name === 'transaction' ? this.#mode.transaction : undefined;
  }

  selectConfirm(): void {
    if (this.#mode.name === 'transaction') {
      throw new ChannelError('precondition-failed', 'cannot switch from tx to confirm mode');
    }
    if (this.#mode.name === 'plain') this.#mode = { name: 'confirm', published: 0, confirmed: 0 };
  }

  selectTransaction(): void {
    if (this.#mode.name === 'confirm') {
      throw new ChannelError('precondition-failed', 'cannot switch from confirm to tx mode');
    }
    if (this.#mode.name === 'transaction') return;
    this.#mode = { name: 'transaction', transaction: new Transaction(this.#connection.services.memory) };
  }

  slowDown(until: Promise<void>): void {
    this.#connection.intake.pauseUntil(until);
  }

  publish(publication: Publication, message: ContentMessage, flags: number): void {
    this.#connection.publishes();
    const { immediate, mandatory } = publication;
    if (immediate || mandatory || this.#mode.name === 'transaction') this.#checkModes(publication);
    const exchange = this.#connection.virtualHost.exchange(publication.exchange);
    checkProperties(message, flags, this.#connection.session.user.name);
    if (this.#mode.name === 'transaction') {
      this.#hold(this.#mode.transaction, exchange, publication, message);
      return;
    }
    this.#route(exchange, publication, message);
    if (this.#mode.name === 'confirm' && this.#mode.published++ === this.#mode.confirmed) {
      this.#connection.confirmsSoon(this);
    }
  }

  /** Confirms everything that was published since the last time, with one method. */
  confirm(): void {
    if (this.#mode.name !== 'confirm') return;
    const { published, confirmed } = this.#mode;
    this.#mode.confirmed = published;
    const multiple = published - confirmed > 1;
    const ack = methodFrame(this.#channel, 'basic.ack', { deliveryTag: published, multiple });
    this.#connection.output.frame(ack);
  }

  /** Publishes and settles what the transaction holds, in this order as RabbitMQ, all within this call. */
  commit(): void {
    const transaction = this.#assertTransaction();
    const { virtualHost } = this.#connection;
    for (const { exchange } of transaction.publications) {
      if (virtualHost.exchange(exchange.name) === exchange) continue;
      throw new ChannelError('not-found', `exchange '${exchange.name}' was replaced during the transaction`);
    }
    for (const held of transaction.publications) this.#route(held.exchange, held.publication, held.message);
    for (const held of transaction.clear()) this.#deliveries.settle(held.deliveries, held.settlement);
  }

  /** AMQP 0-9-1 §1.9.2.5: publications are forgotten, acknowledgements never happened. */
  rollback(): void {
    for (const { deliveries } of this.#assertTransaction().clear()) this.#deliveries.restore(deliveries);
  }

  /** The channel is over: what was accepted is confirmed, and what a transaction held is as if rolled back. */
  release(): void {
    if (this.#mode.name === 'transaction') this.rollback();
    else if (this.#mode.name === 'confirm' && this.#mode.published > this.#mode.confirmed) this.confirm();
    this.#mode = { name: 'plain' };
  }

  #route(exchange: Exchange, publication: Publication, message: ContentMessage): void {
    const { virtualHost, services } = this.#connection;
    services.counters.published++;
    const queues = virtualHost.publish(exchange, message, this);
    if (queues > 0 || !publication.mandatory) return;
    const { exchange: name, routingKey } = publication;
    const frame = methodFrame(this.#channel, 'basic.return', { ...NO_ROUTE, exchange: name, routingKey });
    this.#connection.output.content(frame, this.#channel, message);
  }

  #hold(
    transaction: Transaction,
    exchange: Exchange,
    publication: Publication,
    message: ContentMessage,
  ): void {
    // Refused now and not at the commit, which could not be atomic otherwise.
    if (exchange.internal) {
      const where = `exchange '${exchange.name}' in vhost '${this.#connection.virtualHost.name}'`;
      throw new ChannelError('access-refused', `cannot publish to internal ${where}`);
    }
    transaction.addPublication({ exchange, publication, message });
  }

  #checkModes(publication: Publication): void {
    const { aliases } = this.#connection.services;
    const { exchange, immediate, mandatory } = publication;
    if (aliases?.refusesTransactions(this.#connection.virtualHost, exchange)) {
      const what = immediate ? 'immediate' : mandatory ? 'mandatory' : 'a transaction';
      throw new ChannelError(
        'not-implemented',
        `${what} cannot be honoured beyond this node: '${exchange}' is an alias`,
      );
    }
    // RabbitMQ dropped `immediate`, and so did the clients.
    if (immediate) throw new ConnectionError('not-implemented', 'immediate=true');
  }

  #assertTransaction(): Transaction {
    if (this.#mode.name === 'transaction') return this.#mode.transaction;
    throw new ChannelError('precondition-failed', 'channel is not transactional');
  }
}
