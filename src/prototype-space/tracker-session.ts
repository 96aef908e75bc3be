import type { Channel, ChannelModel, ConsumeMessage } from 'amqplib';
import { connect } from 'amqplib';
import { SpaceError } from '../overlay/index.js';
import {
  HEARTBEAT_SECONDS,
  MAX_REPLY_BYTES,
  REQUEST_TIMEOUT_MS,
  TRACKER_LOGIN_TIMEOUT_MS,
} from './limits.js';
import { encodeMessage, parseEvent, parseReply } from './parse-messages.js';
import type { TrackerErrorCode, TrackerEvent, TrackerReply, TrackerRequest } from './protocol.js';
import { TRACKER_KEY } from './protocol.js';
import type { TrackerAddress } from './settings.js';
import { textOf } from './text-of.js';
import { explained } from './tracker-errors.js';
import { withinLimit } from './within-limit.js';

/** RabbitMQ's direct reply-to: a queue of one's own that nobody has to permit. */
const REPLY_TO = 'amq.rabbitmq.reply-to';

/** The answer that is `ok`. */
export type Answer = Extract<TrackerReply, { readonly reply: 'ok' }>;

/** The tracker has refused a request. */
export class TrackerRefusal extends Error {
  override readonly name = 'TrackerRefusal';
  readonly code: TrackerErrorCode;
  /** With `conflict`: the point. */
  readonly point: string | undefined;

  constructor({ code, text, point }: Extract<TrackerReply, { readonly reply: 'error' }>) {
    super(text);
    this.code = code;
    this.point = point;
  }
}

export interface SessionOptions {
  readonly address: TrackerAddress;
  readonly space: string;
  /** Who may have signed the broker's certificate, in PEM. */
  readonly tlsCa?: string | undefined;
  /** What an answer tells of the others in points: before anything that came after it. */
  learned(points: NonNullable<Answer['points']>): void;
  /** What the tracker tells unasked. */
  event(event: TrackerEvent): void;
  /** Something came that is no message of the protocol; it was dropped. */
  misunderstood(problem: string): void;
  /** The connection has ended, for whatever reason. Not called for one that was closed from here. */
  ended(cause: SpaceError): void;
}

interface Pending {
  resolve(answer: Answer): void;
  reject(error: unknown): void;
  readonly timer: NodeJS.Timeout;
}

/** One login of a member at its space's tracker, over AMQP and nothing else. */
export class TrackerSession {
  readonly #options: SessionOptions;
  readonly #connection: ChannelModel;
  readonly #channel: Channel;
  /** By correlation id. */
  readonly #pending = new Map<string, Pending>();
  #requests = 0;
  #state: 'opening' | 'open' | 'over' = 'opening';

  private constructor(options: SessionOptions, connection: ChannelModel, channel: Channel) {
    this.#options = options;
    this.#connection = connection;
    this.#channel = channel;
  }

  /** @throws SpaceError `not-found` when there is no such broker or exchange, `refused` when the broker lets nobody in */
  static async open(options: SessionOptions): Promise<TrackerSession> {
    const opening = TrackerSession.#open(options);
    return withinLimit(opening, TRACKER_LOGIN_TIMEOUT_MS, () => {
      void opening.then((late) => late.close()).catch(() => {});
      const silence = new Error(`no answer within ${TRACKER_LOGIN_TIMEOUT_MS / 1000} s`);
      return explained(silence, options.address, options.space);
    });
  }

  static async #open(options: SessionOptions): Promise<TrackerSession> {
    const { address, space } = options;
    let connection: ChannelModel | undefined;
    try {
      connection = await logIn(options);
      // Whatever happens to it from now on is known by its end.
      connection.on('error', () => {});
      const channel = await connection.createChannel();
      const session = new TrackerSession(options, connection, channel);
      session.#listen();
      await channel.checkExchange(space);
      await channel.consume(REPLY_TO, (message) => session.#received(message), { noAck: true });
      session.#state = 'open';
      return session;
    } catch (error) {
      void connection?.close().catch(() => {});
      throw explained(error, address, space);
    }
  }

  /** The address of this side of the connection: how the tracker's broker sees this node. */
  get localAddress(): string | undefined {
    return localAddressOf(this.#connection);
  }

  /**
   * @throws SpaceError `refused`, `not-found` when the request does not reach a tracker in time
   * @throws TrackerRefusal when the tracker says no
   */
  async request(request: TrackerRequest): Promise<Answer> {
    const { address, space } = this.#options;
    if (this.#state !== 'open')
      throw new SpaceError('not-found', `the connection to ${at(address)} has ended`);
    this.#requests += 1;
    const correlationId = String(this.#requests);
    const body = encodeMessage(request);
    return new Promise<Answer>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(correlationId);
        reject(
          new SpaceError(
            'not-found',
            `the tracker of exchange space '${space}' at ${at(address)} does not answer`,
          ),
        );
      }, REQUEST_TIMEOUT_MS);
      this.#pending.set(correlationId, { resolve, reject, timer });
      this.#channel.publish(space, TRACKER_KEY, body, {
        mandatory: true,
        userId: address.username,
        replyTo: REPLY_TO,
        correlationId,
        contentType: 'application/json',
      });
    });
  }

  async close(): Promise<void> {
    if (this.#state === 'over') return;
    this.#end(new SpaceError('not-found', 'closed'));
    await this.#connection.close().catch(() => {});
  }

  #listen(): void {
    const { address, space } = this.#options;
    let cause: unknown;
    this.#channel.on('error', (error) => {
      cause = error;
    });
    this.#channel.on('return', (message) => this.#returned(message.properties.correlationId));
    const ended = (error?: unknown): void => {
      // Whoever is opening it hears of that by the call that fails.
      if (this.#state !== 'open') return;
      const reason = explained(cause ?? error ?? new Error('the connection was closed'), address, space);
      this.#end(reason);
      void this.#connection.close().catch(() => {});
      this.#options.ended(reason);
    };
    this.#channel.on('close', () => ended());
    this.#connection.on('close', ended);
  }

  #end(reason: SpaceError): void {
    this.#state = 'over';
    for (const { reject, timer } of this.#pending.values()) {
      clearTimeout(timer);
      reject(reason);
    }
    this.#pending.clear();
  }

  #received(message: ConsumeMessage | null): void {
    if (message === null || this.#state === 'over') return;
    const { content, properties } = message;
    try {
      if (content.length > MAX_REPLY_BYTES)
        throw new Error(`${content.length} octets, more than ${MAX_REPLY_BYTES}`);
      if (properties.correlationId === undefined) this.#options.event(parseEvent(content));
      else this.#answered(properties.correlationId, parseReply(content));
    } catch (error) {
      this.#options.misunderstood(textOf(error));
    }
  }

  #answered(correlationId: unknown, reply: TrackerReply): void {
    const pending = this.#settle(correlationId);
    if (reply.reply === 'ok') {
      if (reply.points !== undefined) this.#options.learned(reply.points);
      pending?.resolve(reply);
    } else pending?.reject(new TrackerRefusal(reply));
  }

  /** Nobody listens behind the exchange: it is an exchange like others, or its tracker is not up. */
  #returned(correlationId: unknown): void {
    const { address, space } = this.#options;
    const text = `exchange '${space}' at ${at(address)} is no exchange space, or its tracker is not running`;
    this.#settle(correlationId)?.reject(new NoTracker('not-found', text));
  }

  #settle(correlationId: unknown): Pending | undefined {
    if (typeof correlationId !== 'string') return undefined;
    const pending = this.#pending.get(correlationId);
    this.#pending.delete(correlationId);
    clearTimeout(pending?.timer);
    return pending;
  }
}

/** The exchange is there, and no tracker behind it. One that has just been started may still be on its way. */
export class NoTracker extends SpaceError {}

async function logIn({ address, tlsCa }: SessionOptions): Promise<ChannelModel> {
  const { host, port, virtualHost, username, password, tls } = address;
  const url = {
    protocol: tls ? 'amqps' : 'amqp',
    hostname: host,
    port,
    username,
    password,
    // amqplib takes it for a part of a URL.
    vhost: encodeURIComponent(virtualHost),
    heartbeat: HEARTBEAT_SECONDS,
  };
  const socket = { timeout: TRACKER_LOGIN_TIMEOUT_MS, noDelay: true, ...(tlsCa && { ca: tlsCa }) };
  return connect(url, socket);
}

function localAddressOf(connection: ChannelModel): string | undefined {
  // Not in amqplib's types: the socket below.
  const { stream } = connection.connection as { stream?: { localAddress?: string } };
  return stream?.localAddress;
}

function at({ host, port }: TrackerAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
