import { randomBytes } from 'node:crypto';
import type { FieldTable, MethodArguments } from '../amqp-codec/index.js';
import { CodecError } from '../amqp-codec/index.js';
import type { Content, Interest, Logger, Pattern } from '../overlay/index.js';
import { EVERYTHING, interestKey } from '../overlay/index.js';
import type { OutletOffer } from './protocol.js';
import type { RelayChannel } from './relay-channel.js';
import type { RelayConnection } from './relay-connection.js';
import { RelayRetry } from './relay-retry.js';
import { textOf } from './text-of.js';

/** What is read at another member for one point, and what becomes of it. */
export interface RelayPoint {
  readonly outlet: OutletOffer;
  /** What is wanted now. */
  interest(): Iterable<Interest>;
  /** The object is lent as its buffer is. */
  receive(content: Content): void;
  /** The reader's state is another one. */
  changed(): void;
}

export interface RelayReaderOptions {
  /** As the one that logs in is called at the other member. Names of its queues begin with it. */
  readonly user: string;
  readonly logger: Logger;
  readonly random: () => number;
  readonly closed: (reader: RelayReader) => void;
}

/** The only consumer of its channel. It is in every delivery, so it is short. */
const CONSUMER_TAG = 'r';

type State =
  /** Without a connection, or until the next attempt. */
  | { readonly name: 'down' }
  /** What opens the channel has been sent: the binds, and behind them basic.consume. */
  | { readonly name: 'opening' | 'linked'; readonly channel: RelayChannel; readonly queue: string }
  | { readonly name: 'closed' };

/**
 * Reads one outlet of another member: a queue of its own there, bound to what is wanted.
 *
 *     down ──(connected)──▶ opening ──(consume-ok)──▶ linked
 *      ▲ └──(some time after the channel was closed)──▶ │
 *      └──────────(channel or connection lost)──────────┘          any ──▶ closed
 */
export class RelayReader {
  readonly #point: RelayPoint;
  readonly #options: RelayReaderOptions;
  readonly #retry: RelayRetry;
  #state: State = { name: 'down' };
  #connection: RelayConnection | undefined;
  #receivedMessages = 0;
  #failing = false;
  /** A queue that was declared and never consumed, so that nothing but the end of the connection deletes it. */
  #leftover: string | undefined;
  /** Keys of the interest that the binding to the outlet for everything stands for. */
  readonly #wide = new Set<string>();

  constructor(point: RelayPoint, options: RelayReaderOptions) {
    this.#point = point;
    this.#options = options;
    this.#retry = new RelayRetry(options.random);
  }

  get state(): 'linked' | 'down' {
    return this.#state.name === 'linked' ? 'linked' : 'down';
  }

  /** The last attempt to link has failed, and others will follow: nothing to wait for. */
  get failing(): boolean {
    return this.#failing;
  }

  get receivedMessages(): number {
    return this.#receivedMessages;
  }

  /**
   * Resolves when the other member has bound it, or cannot be reached. Then, and while the link is still being made, it is
   * the point's `interest` that counts, so it has to have it already.
   */
  bind(interest: Interest): Promise<void> {
    const state = this.#state;
    if (state.name !== 'opening' && state.name !== 'linked') return Promise.resolve();
    const { channel, queue } = state;
    return new Promise((resolve) => {
      if (!this.#tried(channel, () => this.#bind(channel, queue, interest, () => resolve()))) resolve();
    });
  }

  unbind(interest: Interest): void {
    const state = this.#state;
    if (state.name !== 'opening' && state.name !== 'linked') return;
    const { channel, queue } = state;
    this.#tried(channel, () => this.#unbind(channel, queue, interest));
  }

  /** The point's `changed` is not called any more. */
  close(): void {
    const before = this.#state;
    if (before.name === 'closed') return;
    this.#state = { name: 'closed' };
    this.#retry.cancel();
    if (before.name !== 'down') before.channel.close();
    this.#options.closed(this);
  }

  /** For the link: there is a connection now. */
  connected(connection: RelayConnection): void {
    this.#connection = connection;
    this.#leftover = undefined;
    this.#open();
  }

  /** For the link: there is none any more. */
  disconnected(): void {
    this.#connection = undefined;
    this.#retry.reset();
    this.#down();
  }

  #open(): void {
    const connection = this.#connection;
    if (connection === undefined || this.#state.name !== 'down') return;
    try {
      this.#openOn(connection);
    } catch (error) {
      this.#failed(error);
    }
  }

  /** All at once; the answers come in the same order. */
  #openOn(connection: RelayConnection): void {
    const queue = `${this.#options.user}.${this.#point.outlet.number}.${randomBytes(8).toString('hex')}`;
    const channel: RelayChannel = connection.openChannel({
      receive: (content) => {
        this.#receivedMessages++;
        this.#point.receive(content);
      },
      closed: (cause) => this.#failed(cause),
    });
    this.#state = { name: 'opening', channel, queue };
    this.#tried(channel, () => {
      if (this.#leftover !== undefined) {
        const deletion = { queue: this.#leftover, ifUnused: false, ifEmpty: false, noWait: false };
        channel.request('queue.delete', deletion);
        this.#leftover = undefined;
      }
      this.#declare(channel, queue);
      this.#wide.clear();
      for (const interest of this.#point.interest()) this.#bind(channel, queue, interest);
      this.#consume(channel, queue);
    });
  }

  #declare(channel: RelayChannel, queue: string): void {
    const flags = { passive: false, durable: false, exclusive: true, autoDelete: true, noWait: false };
    channel.request('queue.declare', { queue, ...flags, arguments: {} }, (answered) => {
      if (answered) this.#leftover = queue;
    });
  }

  #consume(channel: RelayChannel, queue: string): void {
    // Without acknowledgements: delivery is best effort, and TCP holds up whoever sends too much.
    const flags = { noLocal: false, noAck: true, exclusive: false, noWait: false };
    const consumer = { queue, consumerTag: CONSUMER_TAG, ...flags, arguments: {} };
    channel.request('basic.consume', consumer, (answered) => {
      if (!answered) return;
      this.#leftover = undefined;
      if (this.#state.name === 'opening') this.#linked(channel, queue);
    });
  }

  #linked(channel: RelayChannel, queue: string): void {
    const isNews = this.#retry.succeeded();
    if (isNews) this.#options.logger.info(this.#fields, 'outlet of another member is read again');
    this.#state = { name: 'linked', channel, queue };
    this.#failing = false;
    this.#point.changed();
  }

  /** @throws CodecError, Error */
  #bind(channel: RelayChannel, queue: string, interest: Interest, settled?: () => void): void {
    const { exchange, everything } = this.#point.outlet;
    if (interest !== EVERYTHING) {
      try {
        const binding = { ...bindingOf(queue, exchange, interest), noWait: false };
        channel.request('queue.bind', binding, settled);
        return;
      } catch (error) {
        // What is too large for the other broker cannot be asked for in particular.
        if (!(error instanceof CodecError)) throw error;
      }
    }
    this.#wide.add(interestKey(interest));
    const binding = { queue, exchange: everything, routingKey: '', noWait: false, arguments: {} };
    channel.request('queue.bind', binding, settled);
  }

  /** Says the same as the bind did, to the octet: it is by these that a broker finds a binding. */
  #unbind(channel: RelayChannel, queue: string, interest: Interest): void {
    const { exchange, everything } = this.#point.outlet;
    if (this.#wide.delete(interestKey(interest))) {
      if (this.#wide.size > 0) return;
      channel.request('queue.unbind', { queue, exchange: everything, routingKey: '', arguments: {} });
    } else if (interest !== EVERYTHING) {
      channel.request('queue.unbind', bindingOf(queue, exchange, interest));
    }
  }

  /** What the other member has made impossible, such as by names that AMQP cannot say, ends the attempt. */
  #tried(channel: RelayChannel, ask: () => void): boolean {
    try {
      ask();
      return true;
    } catch (error) {
      channel.close();
      this.#failed(error);
      return false;
    }
  }

  #failed(error: unknown): void {
    if (this.#state.name === 'closed') return;
    const isNews = this.#retry.failed(() => this.#open());
    const fields = { ...this.#fields, cause: textOf(error) };
    if (isNews) this.#options.logger.warn(fields, 'outlet of another member cannot be read, trying again');
    else this.#options.logger.debug(fields, 'outlet of another member cannot be read');
    this.#down();
  }

  #down(): void {
    if (this.#state.name === 'closed') return;
    const isNews = this.#state.name === 'linked' || !this.#failing;
    this.#state = { name: 'down' };
    this.#failing = true;
    if (isNews) this.#point.changed();
  }

  get #fields(): object {
    return { user: this.#options.user, outlet: this.#point.outlet.exchange };
  }
}

function bindingOf(queue: string, exchange: string, pattern: Pattern): MethodArguments<'queue.unbind'> {
  // Apps have said it in AMQP; what they did not is refused by the encoding.
  return { queue, exchange, routingKey: pattern.routingKey, arguments: pattern.arguments as FieldTable };
}
