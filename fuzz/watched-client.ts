import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import type { Method, MethodName } from '../src/amqp-codec/index.js';
import {
  decodeMethod,
  FRAME_BODY,
  FRAME_HEADER,
  FRAME_HEARTBEAT,
  FrameParser,
  PROTOCOL_HEADER,
} from '../src/amqp-codec/index.js';
import { GUEST, methodFrame } from '../test/support/amqp-raw-client.js';
import type { Plain } from './script.js';
import { Fault, WatchedChannel } from './watched-channel.js';

const POLL_MS = 2;

/**
 * A client that sends what it is told and checks all that comes: well-formed frames no larger than agreed, answers to
 * what was asked, in order, contents in one piece, tags in sequence, and no INTERNAL_ERROR.
 */
export class WatchedClient {
  state: 'greeting' | 'open' | 'closing' | 'ended' = 'greeting';
  /** The first thing that was wrong. */
  fault: string | undefined;
  readonly declaredQueues = new Set<string>();
  readonly #socket: Socket;
  readonly #frameMax: number;
  readonly #channels = new Map<number, WatchedChannel>();
  readonly #parser: FrameParser;
  #blind = false;

  private constructor(socket: Socket, frameMax: number) {
    this.#socket = socket;
    this.#frameMax = frameMax;
    const sink = { frame: this.#frame.bind(this) };
    this.#parser = new FrameParser(sink, Math.max(frameMax, 16_384));
    socket.on('data', (chunk) => this.#read(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.state = 'ended';
    });
  }

  /** Resolves when connection.open is answered, or has failed. */
  static async connect(port: number, frameMax: number, limitMs: number): Promise<WatchedClient> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    const client = new WatchedClient(socket, frameMax);
    socket.write(PROTOCOL_HEADER);
    await client.#until(() => client.state !== 'greeting', limitMs);
    if (client.state === 'greeting') client.#found('the handshake hangs');
    return client;
  }

  get isBlind(): boolean {
    return this.#blind;
  }

  channel(number: number): WatchedChannel {
    const existing = this.#channels.get(number);
    if (existing !== undefined) return existing;
    const channel = new WatchedChannel();
    channel.blind = this.#blind;
    this.#channels.set(number, channel);
    return channel;
  }

  /** What is left out of the arguments is zero, false or empty. */
  method(number: number, name: MethodName, args: Plain): void {
    const octets = methodFrame(number, name, args);
    this.channel(number).asked(name, args.noWait === true);
    this.#socket.write(octets);
  }

  write(octets: Buffer): void {
    this.#socket.write(octets);
  }

  /** What follows may be anything, so answers can't be foreseen any more. */
  goBlind(): void {
    this.#blind = true;
    for (const channel of this.#channels.values()) channel.blind = true;
  }

  end(how: 'close' | 'reset' | 'half'): void {
    if (this.state === 'ended') return;
    if (how === 'reset') this.#socket.resetAndDestroy();
    else if (how === 'half') this.#socket.end();
    else if (this.state === 'open') {
      this.state = 'closing';
      this.#socket.write(methodFrame(0, 'connection.close'));
    }
  }

  /** Resolves when everything that was asked for has been answered; if it is not in time, that is a fault. */
  async settled(limitMs: number): Promise<void> {
    const due = () =>
      [...this.#channels].filter(([, { answersDue, blind }]) => !blind && answersDue.length > 0);
    const done = () => this.fault !== undefined || this.state !== 'open' || due().length === 0;
    if (await this.#until(done, limitMs)) return;
    const missing = due().map(([number, { answersDue }]) => `channel ${number}: ${answersDue[0]}`);
    this.#found(`no answer within ${limitMs} ms: ${missing.join(', ')}`);
  }

  /** Resolves when the socket is closed by both sides. Clients that are not asked to leave are cut off. */
  async left(limitMs: number): Promise<void> {
    const isClosing = this.state === 'closing' && !this.#blind;
    if (isClosing && !(await this.#until(() => this.state === 'ended', limitMs))) {
      this.#found('connection.close is not answered');
    }
    this.#socket.destroy();
    if (!this.#socket.closed) await once(this.#socket, 'close');
  }

  async #until(done: () => boolean, limitMs: number): Promise<boolean> {
    for (const deadline = performance.now() + limitMs; !done(); ) {
      if (performance.now() > deadline) return false;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    return true;
  }

  #found(fault: string): void {
    this.fault ??= fault;
  }

  #read(chunk: Buffer): void {
    if (this.fault !== undefined) return;
    // An older or mangled protocol header is answered with the one that is spoken.
    if (this.#blind && chunk.equals(PROTOCOL_HEADER)) return;
    try {
      this.#parser.parse(chunk);
    } catch (error) {
      this.#found(error instanceof Error ? `${error.name}: ${error.message}` : String(error));
    }
  }

  #frame(type: number, number: number, bytes: Buffer, start: number, end: number): void {
    const payload = bytes.subarray(start, end);
    if (this.state !== 'greeting' && end - start > this.#frameMax - 8) {
      throw new Fault(`a frame of ${end - start + 8} octets, agreed were ${this.#frameMax}`);
    }
    if (type === FRAME_HEARTBEAT) return;
    if (type === FRAME_HEADER) this.channel(number).header(payload);
    else if (type === FRAME_BODY) this.channel(number).body(payload.length);
    else if (number === 0) this.#control(decodeMethod(payload, 0, payload.length));
    else this.#method(number, decodeMethod(payload, 0, payload.length));
  }

  #method(number: number, method: Method): void {
    const channel = this.channel(number);
    channel.method(method);
    if (method.name === 'queue.declare-ok') this.declaredQueues.add(method.arguments.queue);
    if (method.name !== 'channel.close') return;
    this.#socket.write(methodFrame(number, 'channel.close-ok'));
  }

  #control(method: Method): void {
    switch (method.name) {
      case 'connection.start':
        this.#send('connection.start-ok', {
          clientProperties: { product: 'fuzz', capabilities: CAPABILITIES },
          mechanism: 'PLAIN',
          response: GUEST,
        });
        return;
      case 'connection.tune':
        this.#send('connection.tune-ok', { channelMax: 2_047, frameMax: this.#frameMax, heartbeat: 0 });
        this.#send('connection.open', { virtualHost: '/' });
        return;
      case 'connection.open-ok':
        this.state = 'open';
        return;
      case 'connection.close':
        this.#closedByServer(method.arguments.replyCode, method.arguments.replyText);
        return;
      case 'connection.close-ok':
        this.state = 'ended';
        this.#socket.end();
        return;
      case 'connection.blocked':
      case 'connection.unblocked':
        return;
      default:
        if (!this.#blind) this.channel(0).method(method);
    }
  }

  #closedByServer(code: number, text: string): void {
    if (code === 541) throw new Fault(`INTERNAL_ERROR: ${text}`);
    if (this.state === 'greeting') throw new Fault(`the handshake was refused: ${text}`);
    this.state = 'ended';
    this.#send('connection.close-ok', {});
    this.#socket.end();
  }

  #send(name: MethodName, args: Plain): void {
    this.#socket.write(methodFrame(0, name, args));
  }
}

const CAPABILITIES = {
  publisher_confirms: true,
  'basic.nack': true,
  'connection.blocked': true,
  consumer_cancel_notify: true,
  exchange_exchange_bindings: true,
};
