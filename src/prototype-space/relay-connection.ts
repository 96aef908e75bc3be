import type { Method } from '../amqp-codec/index.js';
import {
  CONNECTION_CLOSE_ID,
  CONNECTION_CLOSE_OK_ID,
  decodeMethod,
  FRAME_HEARTBEAT,
  FRAME_METHOD,
  HEARTBEAT_FRAME,
  methodFrame,
} from '../amqp-codec/index.js';
import type { MemoryPressure } from '../overlay/index.js';
import type { Credential, Endpoint } from './home-broker.js';
import {
  HEARTBEAT_SECONDS,
  RELAY_ANSWER_TIMEOUT_MS,
  RELAY_CLOSE_TIMEOUT_MS,
  RELAY_LOGIN_TIMEOUT_MS,
} from './limits.js';
import type { ChannelOwner, ChannelPort } from './relay-channel.js';
import { RelayChannel } from './relay-channel.js';
import type { Tuning } from './relay-login.js';
import { RelayLogin, replyOf } from './relay-login.js';
import type { StreamReceiver } from './relay-stream.js';
import { RelayStream } from './relay-stream.js';

export interface RelayConnectionOptions {
  readonly endpoint: Endpoint;
  readonly credential: Credential;
  readonly memory: MemoryPressure;
  /** Authorities that are trusted instead of the well-known ones, in PEM. */
  readonly tlsCa?: string | Buffer | undefined;
  readonly heartbeatSeconds?: number;
  /** Gives up the login; of no meaning after it. */
  readonly signal?: AbortSignal;
  /** The connection has ended, and not because this side closed or aborted it. */
  readonly ended: (cause: Error) => void;
}

/** Half-intervals without an octet after which the other side counts as gone: two whole intervals. */
const SILENT_TICKS = 4;

/**
 * Logs in at a broker.
 *
 * Rejects with an Error that names host and port, and the broker's reply if there was one.
 */
export function connectRelay(options: RelayConnectionOptions): Promise<RelayConnection> {
  const { endpoint, credential, tlsCa, signal, heartbeatSeconds = HEARTBEAT_SECONDS } = options;
  return new Promise<RelayConnection>((resolve, reject) => {
    const stream = new RelayStream(endpoint, tlsCa, (ready) => {
      const opened = (tuning: Tuning): StreamReceiver => {
        clear();
        const connection = new RelayConnection(ready, tuning, options);
        resolve(connection);
        return connection;
      };
      const refused = (cause: Error): void => {
        clear();
        reject(cause);
      };
      const { virtualHost } = endpoint;
      return new RelayLogin(ready, { ...credential, virtualHost, heartbeatSeconds, opened, refused });
    });
    const limit = (): void => stream.end(new Error(`no login within ${RELAY_LOGIN_TIMEOUT_MS / 1000} s`));
    const timer = setTimeout(limit, RELAY_LOGIN_TIMEOUT_MS);
    const cancel = (): void => stream.end(new Error('given up'));
    const clear = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', cancel);
    };
    signal?.addEventListener('abort', cancel, { once: true });
    if (signal?.aborted) cancel();
  });
}

/** A connection to a broker, from the end of the login on. */
export class RelayConnection implements StreamReceiver, ChannelPort {
  readonly maxFrameBytes: number;
  readonly #stream: RelayStream;
  readonly #maxChannels: number;
  readonly #memory: MemoryPressure;
  readonly #ended: (cause: Error) => void;
  readonly #channels = new Map<number, RelayChannel>();
  readonly #heartbeatMs: number;
  readonly #timer: NodeJS.Timeout;
  readonly #stopListening: () => void;
  /** `closing`: everything but the answer is discarded. */
  #state: 'open' | 'closing' | 'ended' = 'open';
  #lastChannel = 0;
  #silentTicks = 0;

  constructor(stream: RelayStream, tuning: Tuning, { memory, ended }: RelayConnectionOptions) {
    this.#stream = stream;
    this.#memory = memory;
    this.#ended = ended;
    this.maxFrameBytes = tuning.maxFrameBytes;
    this.#maxChannels = tuning.maxChannels;
    this.#heartbeatMs = tuning.heartbeatSeconds * 1000;
    this.#timer = setInterval(() => this.#tick(), this.#heartbeatMs / 2);
    this.#stopListening = memory.onChange((high) => stream.read(!high));
    if (memory.high) stream.read(false);
  }

  get where(): string {
    return this.#stream.where;
  }

  get chunk(): Buffer {
    return this.#stream.chunk;
  }

  /** @throws Error when the broker allows no more channels */
  openChannel(owner: ChannelOwner): RelayChannel {
    const number = this.#freeNumber();
    const channel = new RelayChannel(number, this, owner);
    this.#channels.set(number, channel);
    channel.request('channel.open', {});
    return channel;
  }

  send(frame: Buffer): void {
    this.#stream.send(frame);
  }

  forget(channel: number): void {
    this.#channels.delete(channel);
  }

  /** Says goodbye. Resolves when the socket is closed, for which the broker has a limited time. */
  async close(): Promise<void> {
    if (this.#state === 'open') {
      this.#state = 'closing';
      this.#release();
      const reply = { replyCode: 200, replyText: 'Goodbye', classId: 0, methodId: 0 };
      this.#stream.send(methodFrame(0, 'connection.close', reply));
      this.#stream.read(true);
      const timer = setTimeout(() => this.abort(), RELAY_CLOSE_TIMEOUT_MS);
      void this.#stream.closed.then(() => clearTimeout(timer));
    }
    await this.#stream.closed;
  }

  /** Ends it at once. */
  abort(): void {
    this.#state = 'ended';
    this.#release();
    this.#stream.abort();
  }

  frame(type: number, number: number, bytes: Buffer, start: number, end: number): void {
    const channel = this.#channels.get(number);
    if (channel !== undefined) channel.frame(type, bytes, start, end);
    else if (this.#state === 'closing') this.#discard(type, number, bytes, start, end);
    else if (number === 0) this.#control(type, bytes, start, end);
    else throw new Error(`a frame of type ${type} on channel ${number}, which is not open`);
  }

  ended(cause: Error): void {
    const before = this.#state;
    this.#state = 'ended';
    if (before === 'open') this.#ended(cause);
    this.#release();
  }

  #control(type: number, bytes: Buffer, start: number, end: number): void {
    if (type === FRAME_HEARTBEAT) return;
    if (type !== FRAME_METHOD) throw new Error(`a frame of type ${type} on channel 0`);
    this.#controlled(decodeMethod(bytes, start, end));
  }

  #controlled(method: Method): void {
    switch (method.name) {
      case 'connection.close':
        this.#stream.send(methodFrame(0, 'connection.close-ok', {}));
        this.#stream.end(new Error(`the connection was closed: ${replyOf(method.arguments)}`));
        return;
      // For those who publish.
      case 'connection.blocked':
      case 'connection.unblocked':
        return;
      default:
        throw new Error(`${method.name} was not expected`);
    }
  }

  #discard(type: number, number: number, bytes: Buffer, start: number, end: number): void {
    if (type !== FRAME_METHOD || number !== 0 || end - start < 4) return;
    const id = bytes.readUInt32BE(start);
    // Both sides closed at once.
    if (id === CONNECTION_CLOSE_ID) this.#stream.send(methodFrame(0, 'connection.close-ok', {}));
    if (id === CONNECTION_CLOSE_ID || id === CONNECTION_CLOSE_OK_ID) this.#stream.finish();
  }

  #tick(): void {
    this.#stream.send(HEARTBEAT_FRAME);
    // While this side does not listen, silence means nothing.
    const heard = this.#stream.heard || this.#memory.high;
    this.#silentTicks = heard ? 0 : this.#silentTicks + 1;
    if (this.#silentTicks >= SILENT_TICKS) {
      this.#stream.end(new Error(`nothing was heard for ${(2 * this.#heartbeatMs) / 1000} s`));
    } else if (!this.#memory.high) {
      this.#checkAnswers();
    }
  }

  #checkAnswers(): void {
    for (const channel of this.#channels.values()) {
      if (channel.tick() * (this.#heartbeatMs / 2) <= RELAY_ANSWER_TIMEOUT_MS) continue;
      this.#stream.end(new Error(`a request was not answered for ${RELAY_ANSWER_TIMEOUT_MS / 1000} s`));
      return;
    }
  }

  #freeNumber(): number {
    if (this.#channels.size >= this.#maxChannels) {
      throw new Error(`${this.where}: no more than ${this.#maxChannels} channels are allowed`);
    }
    do this.#lastChannel = (this.#lastChannel % this.#maxChannels) + 1;
    while (this.#channels.has(this.#lastChannel));
    return this.#lastChannel;
  }

  #release(): void {
    clearInterval(this.#timer);
    this.#stopListening();
    const channels = [...this.#channels.values()];
    this.#channels.clear();
    for (const channel of channels) channel.abandon();
  }
}
