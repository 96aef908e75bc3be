import { methodFrame } from '../amqp-codec/index.js';
import type { Exchange, Publisher, User } from '../broker/index.js';
import { whenSynced } from '../broker/index.js';
import { Confirms } from './confirms.js';
import type { Connection } from './connection.js';
import type { Publication } from './content-assembly.js';
import type { Deliveries } from './deliveries.js';
import type { ContentMessage } from './message.js';
import type { Sender } from './publish-checks.js';
import { prepare } from './publish-checks.js';
import { ChannelError, ConnectionError, NO_ROUTE } from './reply-code.js';
import { Transaction } from './transaction.js';

/** What a publisher is told: nothing, that its messages are taken, or whether its transaction is. */
type Mode =
  | { readonly name: 'plain' }
  | { readonly name: 'confirm'; readonly confirms: Confirms }
  | { readonly name: 'transaction'; readonly transaction: Transaction };

/** What one channel publishes. */
export class Publishing implements Publisher, Sender {
  readonly #channel: number;
  readonly #connection: Connection;
  readonly #deliveries: Deliveries;
  #mode: Mode = { name: 'plain' };
  /** Of what is being published: the group it is stored in, 0 where it is not, and whether a queue refused it. */
  #group = 0;
  #refused = false;

  constructor(channel: number, connection: Connection, deliveries: Deliveries) {
    this.#channel = channel;
    this.#connection = connection;
    this.#deliveries = deliveries;
  }

  get transaction(): Transaction | undefined {
    return this.#mode.name === 'transaction' ? this.#mode.transaction : undefined;
  }

  get user(): User {
    return this.#connection.session.user;
  }

  get replyTo(): string | undefined {
    return this.#deliveries.replyTo;
  }

  selectConfirm(): void {
    if (this.#mode.name === 'transaction') {
      throw new ChannelError('precondition-failed', 'cannot switch from tx to confirm mode');
    }
    if (this.#mode.name !== 'plain') return;
    this.#mode = { name: 'confirm', confirms: new Confirms(this.#channel, this.#connection) };
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

  storing(group: number): void {
    if (group > this.#group) this.#group = group;
    const congestion = this.#connection.services.commit?.congestion;
    if (congestion !== undefined) this.slowDown(congestion);
  }

  refused(): void {
    this.#refused = true;
  }

  publish(publication: Publication, message: ContentMessage): void {
    this.#connection.publishes();
    const { immediate, mandatory } = publication;
    if (immediate || mandatory || this.#mode.name === 'transaction') this.#checkModes(publication);
    this.#connection.authorization.assertPublish(publication.exchange);
    const exchange = this.#connection.virtualHost.exchange(publication.exchange);
    const prepared = prepare(message, this);
    if (this.#mode.name === 'transaction') {
      this.#hold(this.#mode.transaction, exchange, publication, prepared);
      return;
    }
    this.#group = 0;
    this.#refused = false;
    const queues = this.#route(exchange, publication, prepared);
    if (this.#mode.name !== 'confirm') return;
    const { confirms } = this.#mode;
    if (this.#refused) confirms.refused();
    else confirms.taken(this.#group);
    // RabbitMQ confirms what no queue takes before it looks at the next publication: its basic.return is told apart so.
    if (queues === 0) confirms.confirm();
  }

  /**
   * Publishes and settles what the transaction holds, in this order as RabbitMQ, all within this call. Settles when what
   * was published is safe.
   */
  commit(): Promise<void> | undefined {
    const transaction = this.#assertTransaction();
    const { virtualHost } = this.#connection;
    for (const { exchange } of transaction.publications) {
      if (virtualHost.exchange(exchange.name) === exchange) continue;
      throw new ChannelError('not-found', `exchange '${exchange.name}' was replaced during the transaction`);
    }
    this.#group = 0;
    for (const held of transaction.publications) this.#route(held.exchange, held.publication, held.message);
    for (const held of transaction.clear()) this.#deliveries.settle(held.deliveries, held.settlement);
    const { commit } = this.#connection.services;
    return commit && whenSynced(commit, this.#group);
  }

  /** AMQP 0-9-1 §1.9.2.5: publications are forgotten, acknowledgements never happened. */
  rollback(): void {
    for (const { deliveries } of this.#assertTransaction().clear()) this.#deliveries.restore(deliveries);
  }

  /** The channel is over: what is safe is confirmed, and what a transaction held is as if rolled back. */
  release(): void {
    if (this.#mode.name === 'transaction') this.rollback();
    else if (this.#mode.name === 'confirm') this.#mode.confirms.release();
    this.#mode = { name: 'plain' };
  }

  /** Returns how many queues took it. */
  #route(exchange: Exchange, publication: Publication, message: ContentMessage): number {
    const { virtualHost, services } = this.#connection;
    services.counters.published++;
    if (publication.exchange === '') services.replies.deliver(message);
    const queues = virtualHost.publish(exchange, message, this);
    if (queues > 0 || !publication.mandatory) return queues;
    const { exchange: name, routingKey } = publication;
    const frame = methodFrame(this.#channel, 'basic.return', { ...NO_ROUTE, exchange: name, routingKey });
    this.#connection.output.content(frame, this.#channel, message);
    return queues;
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
