import type { Method, MethodArguments, MethodName } from '../amqp-codec/index.js';
import {
  CHANNEL_CLOSE_ID,
  CHANNEL_CLOSE_OK_ID,
  CodecError,
  FRAME_METHOD,
  FRAME_OVERHEAD_BYTES,
  methodFrame,
} from '../amqp-codec/index.js';
import type { Content } from '../overlay/index.js';
import { MAX_PENDING_REQUESTS } from './limits.js';
import { RelayDeliveries } from './relay-deliveries.js';
import { replyOf } from './relay-login.js';

/** Whose channel it is. */
export interface ChannelOwner {
  /** The object is lent as its buffer is. */
  receive(content: Content): void;
  /** The other side has closed the channel, or cancelled its consumer. Called once, and not when the connection ends. */
  closed(cause: Error): void;
}

/** The connection, as its channels need it. */
export interface ChannelPort {
  readonly where: string;
  readonly chunk: Buffer;
  readonly maxFrameBytes: number;
  send(frame: Buffer): void;
  /** The number is free again. */
  forget(channel: number): void;
}

/** The request that a method answers: both have one name, but for the ending. */
type RequestOf<Answer extends MethodName> = Answer extends `${infer Request}-ok` ? Request : never;

interface PendingRequest {
  readonly answer: string;
  /** False: the channel was closed before. */
  readonly settled: ((answered: boolean) => void) | undefined;
}

/**
 * One channel: requests, which are answered in their order (AMQP 0-9-1 §4.3), and what its consumer is sent.
 *
 *     open ──▶ closing (this side closed it: everything but the answer is discarded) ──▶ closed
 *       └──────(the other side closed it, or the connection has ended)─────────────────▶
 */
export class RelayChannel {
  readonly #number: number;
  readonly #port: ChannelPort;
  readonly #owner: ChannelOwner;
  readonly #deliveries: RelayDeliveries;
  #pending: PendingRequest[] = [];
  #unansweredTicks = 0;
  #state: 'open' | 'closing' | 'closed' = 'open';

  constructor(number: number, port: ChannelPort, owner: ChannelOwner) {
    this.#number = number;
    this.#port = port;
    this.#owner = owner;
    const method = (received: Method): void => this.#method(received);
    this.#deliveries = new RelayDeliveries({ method, content: (content) => owner.receive(content) }, port);
  }

  /** To be called at fixed times. Returns how often it was, since an answer was last given or not due. */
  tick(): number {
    this.#unansweredTicks = this.#pending.length > 0 ? this.#unansweredTicks + 1 : 0;
    return this.#unansweredTicks;
  }

  /**
   * @throws CodecError `unencodable` for what does not fit its fields or a frame, Error where too many requests wait for
   * their answers; nothing is sent then
   */
  request<N extends RequestOf<MethodName>>(
    name: N,
    args: MethodArguments<N>,
    settled?: (answered: boolean) => void,
  ): void {
    const frame = methodFrame(this.#number, name, args);
    const payloadBytes = frame.length - FRAME_OVERHEAD_BYTES;
    if (frame.length > this.#port.maxFrameBytes) {
      throw new CodecError('unencodable', `${payloadBytes} octets do not fit a frame`, name);
    }
    if (this.#state !== 'open') {
      settled?.(false);
      return;
    }
    if (this.#pending.length >= MAX_PENDING_REQUESTS) {
      throw new Error(`${this.#port.where}: it answers no requests`);
    }
    this.#pending.push({ answer: `${name}-ok`, settled });
    this.#port.send(frame);
  }

  /** The owner hears nothing of it any more. */
  close(): void {
    if (this.#state !== 'open') return;
    this.#state = 'closing';
    const reply = { replyCode: 200, replyText: 'Goodbye', classId: 0, methodId: 0 };
    this.#port.send(methodFrame(this.#number, 'channel.close', reply));
    this.#giveUp();
  }

  frame(type: number, bytes: Buffer, start: number, end: number): void {
    if (this.#state === 'open') this.#deliveries.frame(type, bytes, start, end);
    else this.#discard(type, bytes, start, end);
  }

  /** The connection has ended, which the owner knows. */
  abandon(): void {
    this.#state = 'closed';
    this.#giveUp();
  }

  #method(method: Method): void {
    switch (method.name) {
      case 'channel.close':
        this.#port.send(methodFrame(this.#number, 'channel.close-ok', {}));
        this.#port.forget(this.#number);
        this.abandon();
        this.#closed(`the channel was closed: ${replyOf(method.arguments)}`);
        return;
      case 'basic.cancel':
        // RabbitMQ's extension consumer_cancel_notify: such as when the queue was deleted.
        this.close();
        this.#closed('the consumer was cancelled');
        return;
      case 'channel.flow':
        this.#port.send(methodFrame(this.#number, 'channel.flow-ok', method.arguments));
        return;
      default:
        this.#answered(method.name);
    }
  }

  #answered(name: MethodName): void {
    const request = this.#pending[0];
    if (request?.answer !== name) {
      throw new Error(`${name} where ${request === undefined ? 'nothing' : request.answer} was expected`);
    }
    this.#pending.shift();
    this.#unansweredTicks = 0;
    request.settled?.(true);
  }

  #closed(cause: string): void {
    this.#owner.closed(new Error(`${this.#port.where}: ${cause}`));
  }

  #giveUp(): void {
    const pending = this.#pending;
    this.#pending = [];
    for (const { settled } of pending) settled?.(false);
  }

  /** This side has closed the channel, and what was on its way comes still. */
  #discard(type: number, bytes: Buffer, start: number, end: number): void {
    if (type !== FRAME_METHOD || end - start < 4) return;
    const id = bytes.readUInt32BE(start);
    // Both sides closed at once: each answers the other.
    if (id === CHANNEL_CLOSE_ID) this.#port.send(methodFrame(this.#number, 'channel.close-ok', {}));
    if (id !== CHANNEL_CLOSE_OK_ID) return;
    this.#state = 'closed';
    this.#port.forget(this.#number);
  }
}
