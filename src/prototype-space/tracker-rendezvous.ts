import type { Channel, ChannelModel, ConsumeMessage } from 'amqplib';
import { connect } from 'amqplib';
import type { Credential, Endpoint } from './home-broker.js';
import {
  HEARTBEAT_SECONDS,
  HOME_LOGIN_TIMEOUT_MS,
  MAX_UNSENT_REPLY_BYTES,
  MAX_WAITING_REQUEST_BYTES,
  MAX_WAITING_REQUESTS,
  REPLY_EXPIRATION_MS,
} from './limits.js';
import { TRACKER_KEY } from './protocol.js';
import { withinLimit } from './within-limit.js';

export interface RendezvousOptions {
  readonly login: Endpoint & Credential;
  /** The exchange of the space. */
  readonly space: string;
  received(message: ConsumeMessage): void;
  /** The connection has ended, and was not closed from here. Called only after `listen` has resolved. */
  ended(cause: unknown): void;
}

/** One connection of the tracker, as an AMQP application, to the broker that has its space's exchange. */
export class Rendezvous {
  readonly connection: ChannelModel;
  readonly #options: RendezvousOptions;
  readonly #channel: Channel;
  #state: 'quiet' | 'listening' | 'over' = 'quiet';
  #cause: unknown;
  /** Octets that were published since the connection last had none to write. */
  #unsentBytes = 0;

  private constructor(options: RendezvousOptions, connection: ChannelModel, channel: Channel) {
    this.#options = options;
    this.connection = connection;
    this.#channel = channel;
    connection.on('close', (error) => this.#closed(error));
    // The broker has closed the channel, which is of no use to anybody without it.
    channel.on('error', (error) => this.#fail(error));
    channel.on('drain', () => {
      this.#unsentBytes = 0;
    });
  }

  static async open(options: RendezvousOptions): Promise<Rendezvous> {
    const connection = await logIn(options.login);
    // What goes wrong is told with its end.
    connection.on('error', () => {});
    try {
      return new Rendezvous(options, connection, await connection.createChannel());
    } catch (error) {
      void connection.close().catch(() => {});
      throw error;
    }
  }

  /**
   * Takes requests from now on.
   *
   * @throws an error of amqplib with `code` 404 where there is no such exchange
   */
  async listen(): Promise<void> {
    const { queue } = await this.#channel.assertQueue('', {
      exclusive: true,
      durable: false,
      maxLength: MAX_WAITING_REQUESTS,
      arguments: { 'x-max-length-bytes': MAX_WAITING_REQUEST_BYTES },
    });
    await this.#channel.bindQueue(queue, this.#options.space, TRACKER_KEY);
    const take = (message: ConsumeMessage | null) => {
      if (message !== null) this.#options.received(message);
      else this.#fail(new Error('the queue of requests was deleted'));
    };
    await this.#channel.consume(queue, take, { noAck: true });
    if (this.#state === 'over') throw this.#cause;
    this.#state = 'listening';
  }

  /** Also false where it cannot be told. */
  async exchangeIsThere(): Promise<boolean> {
    try {
      const channel = await this.connection.createChannel();
      channel.on('error', () => {});
      await channel.checkExchange(this.#options.space);
      await channel.close();
      return true;
    } catch {
      return false;
    }
  }

  /** The broker does not take what it is sent, or not fast enough. */
  get full(): boolean {
    return this.#unsentBytes > MAX_UNSENT_REPLY_BYTES;
  }

  /** To a reply address. It has no effect where nobody has that address, or the connection is gone. */
  send(to: string, body: Buffer, correlationId?: string): void {
    if (this.#state === 'over') return;
    const accepted = this.#channel.publish('', to, body, {
      contentType: 'application/json',
      expiration: REPLY_EXPIRATION_MS,
      ...(correlationId !== undefined && { correlationId }),
    });
    this.#unsentBytes = accepted ? 0 : this.#unsentBytes + body.length;
  }

  /** What was sent before is with the broker when it resolves. */
  async close(): Promise<void> {
    if (this.#state === 'over') return;
    this.#state = 'over';
    const late = () => new Error('the broker does not close the connection');
    // First the channel: the close of a connection overtakes what its channels have yet to send.
    const closed = (async () => {
      await this.#channel.close();
      await this.connection.close();
    })();
    await withinLimit(closed, HOME_LOGIN_TIMEOUT_MS, late).catch(() => {});
  }

  #fail(cause: unknown): void {
    this.#cause ??= cause;
    void this.connection.close().catch(() => {});
  }

  #closed(error: unknown): void {
    const before = this.#state;
    this.#state = 'over';
    this.#cause ??= error ?? new Error('the connection was closed');
    if (before === 'listening') this.#options.ended(this.#cause);
  }
}

async function logIn({
  host,
  port,
  tls,
  virtualHost,
  username,
  password,
}: Endpoint & Credential): Promise<ChannelModel> {
  const login = connect(
    {
      protocol: tls ? 'amqps' : 'amqp',
      hostname: host,
      port,
      username,
      password,
      // amqplib takes it for a part of a URL.
      vhost: encodeURIComponent(virtualHost),
      heartbeat: HEARTBEAT_SECONDS,
    },
    { noDelay: true, timeout: HOME_LOGIN_TIMEOUT_MS },
  );
  const late = () => new Error(`no login within ${HOME_LOGIN_TIMEOUT_MS} ms`);
  try {
    return await withinLimit(login, HOME_LOGIN_TIMEOUT_MS, late);
  } catch (error) {
    void login.then((connection) => connection.close()).catch(() => {});
    throw error;
  }
}
