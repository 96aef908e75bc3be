import { CodecError } from '../amqp-codec/index.js';
import type { Exchange, VirtualHost } from '../broker/index.js';
import type { Content, Logger, PointReceiver } from '../overlay/index.js';
import { SpaceError } from '../overlay/index.js';
import { remoteMessage } from './message.js';

type Reception =
  /** The exchange is not there yet, so nothing can be bound to it. */
  | { readonly name: 'joining' }
  | { readonly name: 'attached'; readonly exchange: Exchange }
  | { readonly name: 'over'; readonly reason: string };

/** Routes what other participants publish to the local queues of an alias. */
export class AliasReceiver implements PointReceiver {
  readonly #virtualHost: VirtualHost;
  readonly #name: string;
  readonly #logger: Logger;
  #state: Reception = { name: 'joining' };
  #refused = 0;

  constructor(virtualHost: VirtualHost, name: string, logger: Logger) {
    this.#virtualHost = virtualHost;
    this.#name = name;
    this.#logger = logger;
  }

  /** @throws SpaceError `not-found` when the point has been deleted since it was joined */
  assertJoined(): void {
    if (this.#state.name === 'over') throw new SpaceError('not-found', this.#state.reason);
  }

  attach(exchange: Exchange): void {
    this.#state = { name: 'attached', exchange };
  }

  receive(content: Content): void {
    if (this.#state.name !== 'attached') return;
    try {
      this.#virtualHost.routeRemote(this.#state.exchange, remoteMessage(content, this.#name));
    } catch (error) {
      if (!(error instanceof CodecError)) throw error;
      this.#refused++;
      // One line for one, two, four and so on: whoever sends such messages does not fill the log.
      if ((this.#refused & (this.#refused - 1)) !== 0) return;
      this.#logger.warn(
        { exchange: this.#name, cause: error.message, refusedMessages: this.#refused },
        'message of another node is not AMQP; dropped',
      );
    }
  }

  deleted(reason: string): void {
    const before = this.#state;
    this.#state = { name: 'over', reason };
    if (before.name !== 'attached' || before.exchange.deleted) return;
    this.#logger.info({ exchange: this.#name, reason }, 'alias is gone with its point');
    this.#virtualHost.deleteExchange(this.#name, { ifUnused: false });
  }
}
