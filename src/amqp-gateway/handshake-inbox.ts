import type { Method, MethodArguments } from '../amqp-codec/index.js';
import { FRAME_HEARTBEAT, FRAME_METHOD } from '../amqp-codec/index.js';
import type { ClientReceiver, HeaderReceiver } from './client-stream.js';
import { misplacedFrame, readMethod } from './frame-errors.js';
import { ConnectionError } from './reply-code.js';

/** The client has left in the middle of the handshake, with connection.close or without a word. */
export class ClientLeft extends Error {
  override readonly name = 'ClientLeft';
  readonly politely: boolean;

  constructor(politely: boolean) {
    super('the client left during the handshake');
    this.politely = politely;
  }
}

/** What a client says during the handshake. */
type HandshakeMethod = 'connection.start-ok' | 'connection.tune-ok' | 'connection.open';

interface EarlyFrame {
  readonly type: number;
  readonly channel: number;
  readonly bytes: Buffer;
}

/**
 * What a client sends during the handshake, one thing after the other for whoever awaits it. What comes before its turn
 * waits: the handshake itself waits for nobody but the client, so that is one read of the socket at most.
 */
export class HandshakeInbox implements HeaderReceiver {
  readonly #frames: EarlyFrame[] = [];
  #header: Buffer | undefined;
  #over: unknown;
  #arrived = () => {};

  protocolHeader(header: Buffer): void {
    this.#header = header;
    this.#arrived();
  }

  frame(type: number, channel: number, bytes: Buffer, start: number, end: number): void {
    this.#frames.push({ type, channel, bytes: Buffer.from(bytes.subarray(start, end)) });
    this.#arrived();
  }

  malformed(error: unknown): void {
    this.#over ??= error;
    this.#arrived();
  }

  ended(): void {
    this.malformed(new ClientLeft(false));
  }

  async receiveHeader(): Promise<Buffer> {
    while (this.#header === undefined) await this.#more();
    return this.#header;
  }

  /** @throws ConnectionError where the client sends anything else, ClientLeft, CodecError */
  async receive<N extends HandshakeMethod>(name: N): Promise<MethodArguments<N>> {
    for (;;) {
      const frame = this.#frames.shift();
      if (frame === undefined) await this.#more();
      else if (!isHeartbeat(frame)) return argumentsOf(frame, name);
    }
  }

  /** Hands what has come beyond the handshake, good or bad, to whoever takes the frames from now on. */
  passOn(receiver: ClientReceiver): void {
    for (const { type, channel, bytes } of this.#frames.splice(0))
      receiver.frame(type, channel, bytes, 0, bytes.length);
    if (this.#over instanceof ClientLeft) receiver.ended();
    else if (this.#over !== undefined) receiver.malformed(this.#over);
  }

  async #more(): Promise<void> {
    if (this.#over !== undefined) throw this.#over;
    await new Promise<void>((resolve) => {
      this.#arrived = resolve;
    });
  }
}

function isHeartbeat({ type, channel, bytes }: EarlyFrame): boolean {
  return type === FRAME_HEARTBEAT && channel === 0 && bytes.length === 0;
}

/** What a connection waits for, as RabbitMQ calls it. */
const STATES: { readonly [N in HandshakeMethod]: string } = {
  'connection.start-ok': 'starting',
  'connection.tune-ok': 'tuning',
  'connection.open': 'opening',
};

function argumentsOf<N extends HandshakeMethod>(
  { type, channel, bytes }: EarlyFrame,
  name: N,
): MethodArguments<N> {
  // AMQP 0-9-1 §4.2.3: class connection is on channel 0.
  if (type !== FRAME_METHOD || channel !== 0) throw misplacedFrame(type, bytes, 0, bytes.length);
  const method: Method = readMethod(bytes, 0, bytes.length);
  if (method.name === 'connection.close') throw new ClientLeft(true);
  if (method.name === name) return method.arguments as MethodArguments<N>;
  const text = `unexpected method in connection state ${STATES[name]}`;
  throw new ConnectionError('channel-error', text, { methodId: bytes.readUInt32BE(0) });
}
