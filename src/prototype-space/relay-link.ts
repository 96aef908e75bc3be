import type { Logger, MemoryPressure } from '../overlay/index.js';
import type { Endpoint } from './home-broker.js';
import type { RelayConnection } from './relay-connection.js';
import { connectRelay } from './relay-connection.js';
import type { RelayPoint } from './relay-reader.js';
import { RelayReader } from './relay-reader.js';
import { RelayRetry } from './relay-retry.js';
import { textOf } from './text-of.js';

export type { RelayPoint, RelayReader } from './relay-reader.js';

export interface RelayLinkOptions {
  /** This node's member id. */
  readonly self: string;
  /** The other member's id. */
  readonly peer: string;
  readonly logger: Logger;
  readonly memory: MemoryPressure;
  /** `ca`: authorities that are trusted instead of the well-known ones, in PEM. */
  readonly tls?: { readonly ca: string | Buffer };
  /** For the waits between attempts. */
  readonly random?: () => number;
}

interface Target {
  readonly endpoint: Endpoint;
  readonly password: string;
}

type State =
  /** Nobody to read for, or not known yet where. */
  | { readonly name: 'idle' }
  | { readonly name: 'waiting' }
  | { readonly name: 'dialling'; readonly cancel: AbortController }
  | { readonly name: 'up'; readonly connection: RelayConnection }
  | { readonly name: 'closed' };

/**
 * The AMQP client that this node's relay is at one other member: one connection, while there is something to read, with a
 * channel for each outlet that is read. It is dialled again for ever.
 *
 * There is one connection at a time. The one before is cut off first: what it still held is lost, and nothing that comes
 * over two of them is taken twice.
 */
export class RelayLink {
  readonly #options: RelayLinkOptions;
  readonly #user: string;
  readonly #random: () => number;
  readonly #retry: RelayRetry;
  readonly #readers = new Set<RelayReader>();
  #target: Target | undefined;
  #state: State = { name: 'idle' };

  constructor(options: RelayLinkOptions) {
    this.#options = options;
    this.#user = `${options.peer}.${options.self}`;
    this.#random = options.random ?? Math.random;
    this.#retry = new RelayRetry(this.#random);
  }

  /** Another endpoint is dialled at once. Another password counts from the next login on. */
  update(endpoint: Endpoint, password: string): void {
    if (this.#state.name === 'closed') return;
    const before = this.#target;
    this.#target = { endpoint, password };
    if (before !== undefined && !sameEndpoint(before.endpoint, endpoint)) {
      this.#retry.reset();
      this.#cutOff();
      this.#state = { name: 'idle' };
    } else if (before?.password !== password && this.#state.name !== 'up') {
      // It may have been what the last attempts failed for.
      this.#retry.reset();
      if (this.#state.name === 'waiting') this.#state = { name: 'idle' };
    }
    this.#dial();
  }

  open(point: RelayPoint): RelayReader {
    const { logger } = this.#options;
    const closed = (reader: RelayReader): void => this.#closed(reader);
    const reader = new RelayReader(point, { user: this.#user, logger, random: this.#random, closed });
    this.#readers.add(reader);
    if (this.#state.name === 'up') reader.connected(this.#state.connection);
    else this.#dial();
    return reader;
  }

  /** Closes the readers too. Resolves when the connection is closed. */
  async close(): Promise<void> {
    const before = this.#state;
    this.#state = { name: 'closed' };
    this.#retry.cancel();
    for (const reader of [...this.#readers]) reader.close();
    if (before.name === 'dialling') before.cancel.abort();
    if (before.name === 'up') await before.connection.close();
  }

  #dial(): void {
    if (this.#state.name !== 'idle' || this.#target === undefined || this.#readers.size === 0) return;
    const { endpoint, password } = this.#target;
    const { memory, tls } = this.#options;
    const cancel = new AbortController();
    const attempt: State = { name: 'dialling', cancel };
    this.#state = attempt;
    const credential = { username: this.#user, password };
    // Whatever another attempt has replaced is aborted, and says nothing any more.
    const failed = (cause: unknown): void => {
      if (!cancel.signal.aborted) this.#failed(cause);
    };
    connectRelay({ endpoint, credential, memory, tlsCa: tls?.ca, signal: cancel.signal, ended: failed }).then(
      (connection) => {
        if (this.#state === attempt) this.#connected(connection);
        else connection.abort();
      },
      failed,
    );
  }

  #connected(connection: RelayConnection): void {
    this.#state = { name: 'up', connection };
    if (this.#retry.succeeded())
      this.#options.logger.info(this.#fields, 'link to another member is up again');
    for (const reader of [...this.#readers]) reader.connected(connection);
  }

  /** The attempt failed, or the connection was lost. */
  #failed(cause: unknown): void {
    if (this.#state.name !== 'dialling' && this.#state.name !== 'up') return;
    this.#state = { name: 'waiting' };
    const again = (): void => {
      this.#state = { name: 'idle' };
      this.#dial();
    };
    const isNews = this.#retry.failed(again);
    const fields = { ...this.#fields, cause: textOf(cause) };
    if (isNews) this.#options.logger.warn(fields, 'link to another member is down, trying again');
    else this.#options.logger.debug(fields, 'link to another member is down');
    for (const reader of [...this.#readers]) reader.disconnected();
  }

  #closed(reader: RelayReader): void {
    this.#readers.delete(reader);
    // In a while, as another one may be opened right away.
    if (this.#readers.size === 0) queueMicrotask(() => this.#rest());
  }

  /** There is nothing to read any more. */
  #rest(): void {
    if (this.#readers.size > 0 || this.#state.name === 'closed' || this.#state.name === 'idle') return;
    const before = this.#state;
    this.#state = { name: 'idle' };
    this.#retry.cancel();
    if (before.name === 'dialling') before.cancel.abort();
    if (before.name === 'up') void before.connection.close();
  }

  #cutOff(): void {
    const before = this.#state;
    if (before.name === 'dialling') before.cancel.abort();
    if (before.name !== 'up') return;
    before.connection.abort();
    for (const reader of [...this.#readers]) reader.disconnected();
  }

  get #fields(): object {
    return { user: this.#user, host: this.#target?.endpoint.host, port: this.#target?.endpoint.port };
  }
}

function sameEndpoint(one: Endpoint, other: Endpoint): boolean {
  return (
    one.host === other.host &&
    one.port === other.port &&
    one.tls === other.tls &&
    one.virtualHost === other.virtualHost
  );
}
