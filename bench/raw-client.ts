import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import type { FrameSink, Method, MethodArguments, MethodName, Properties } from '../src/amqp-codec/index.js';
import {
  decodeMethod,
  encodeHeader,
  encodeMethod,
  FRAME_BODY,
  FRAME_END,
  FRAME_HEADER,
  FRAME_METHOD,
  FRAME_OVERHEAD_BYTES,
  FrameParser,
  PROTOCOL_HEADER,
} from '../src/amqp-codec/index.js';

const CHANNEL = 1;
const MAX_FRAME_BYTES = 131_072;
/** Class and method, as the first four octets of a method frame. */
const BASIC_DELIVER = 60 * 0x1_0000 + 60;
const BASIC_ACK = 60 * 0x1_0000 + 80;
const TAG_BYTES = 8;
const ACK = frame(FRAME_METHOD, 1, encodeMethod('basic.ack', { deliveryTag: 0, multiple: false }));
/** Where the tag is in it, behind the frame's header and the method's id. */
const ACK_TAG_OFFSET = 7 + 4;

/** The frames of one message, and where its body starts in them. */
export interface Template {
  readonly frames: Buffer;
  readonly bodyStart: number;
}

/**
 * As little AMQP client as a load generator needs, so that it costs far less than the server it loads: one channel,
 * messages published from templates and read in place, acknowledged one by one but sent together.
 */
export class RawClient implements FrameSink {
  readonly #socket: Socket;
  readonly #parser = new FrameParser(this, MAX_FRAME_BYTES);
  #onBody: (bytes: Buffer, start: number) => void = () => undefined;
  #answered: (method: Method) => void = () => undefined;
  #failed: (reason: Error) => void = () => undefined;
  #acknowledges = false;
  /** Acknowledgements of what the chunk that is being read has brought. */
  #acks: Buffer[] = [];
  /** Publications up to this one are confirmed. */
  confirmed = 0;
  #moreConfirmed: () => void = () => undefined;
  /** Of the content that is arriving; the first frame of its body is the one that is looked at. */
  #bodyStarts = false;
  #frameMaxBytes = MAX_FRAME_BYTES;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay();
    socket.on('data', (chunk) => this.#read(chunk));
    socket.on('error', (error) => this.#failed(error));
    socket.on('close', () => this.#failed(new Error('the connection ended')));
  }

  static async connect(url: string): Promise<RawClient> {
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    await once(socket, 'connect');
    const client = new RawClient(socket);
    const start = client.#answer('connection.start');
    socket.write(PROTOCOL_HEADER);
    await start;
    const tune = await client.#call(
      'connection.start-ok',
      { clientProperties: {}, mechanism: 'PLAIN', response: Buffer.from('\0guest\0guest'), locale: 'en_US' },
      'connection.tune',
    );
    client.#frameMaxBytes = Math.min(MAX_FRAME_BYTES, tune.frameMax || MAX_FRAME_BYTES);
    client.#send('connection.tune-ok', { channelMax: 1, frameMax: client.#frameMaxBytes, heartbeat: 0 }, 0);
    await client.#call('connection.open', { virtualHost: '/' }, 'connection.open-ok');
    await client.#call('channel.open', {}, 'channel.open-ok', CHANNEL);
    return client;
  }

  /**
   * `prefetch` 0: without acknowledgements. `onBody` is given the place of the first octets of each message's body.
   */
  async consume(
    queue: string,
    prefetch: number,
    onBody: (bytes: Buffer, start: number) => void,
  ): Promise<void> {
    this.#onBody = onBody;
    this.#acknowledges = prefetch > 0;
    const qos = { prefetchSize: 0, prefetchCount: prefetch, global: false };
    await this.#call('basic.qos', qos, 'basic.qos-ok', CHANNEL);
    const flags = { noLocal: false, noAck: prefetch === 0, exclusive: false, noWait: false };
    const args = { queue, consumerTag: '', ...flags, arguments: {} };
    await this.#call('basic.consume', args, 'basic.consume-ok', CHANNEL);
  }

  async selectConfirms(): Promise<void> {
    await this.#call('confirm.select', { noWait: false }, 'confirm.select-ok', CHANNEL);
  }

  /** Resolves at the next confirm. */
  moreConfirmed(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#moreConfirmed = resolve;
      this.#failed = reject;
    });
  }

  /** Binds many patterns, waiting for the last one only. */
  async bind(queue: string, exchange: string, patterns: readonly string[]): Promise<void> {
    const methods = patterns.map((routingKey) => {
      const args = { queue, exchange, routingKey, noWait: true, arguments: {} };
      return frame(FRAME_METHOD, CHANNEL, encodeMethod('queue.bind', args));
    });
    await this.write(Buffer.concat(methods));
    const again = { queue, exchange, routingKey: patterns.at(-1) ?? '', noWait: false, arguments: {} };
    await this.#call('queue.bind', again, 'queue.bind-ok', CHANNEL);
  }

  template(exchange: string, routingKey: string, body: Buffer, properties: Properties): Template {
    const publish = { exchange, routingKey, mandatory: false, immediate: false };
    const head = Buffer.concat([
      frame(FRAME_METHOD, CHANNEL, encodeMethod('basic.publish', publish)),
      frame(FRAME_HEADER, CHANNEL, encodeHeader(body.length, properties)),
    ]);
    const parts: Buffer[] = [head];
    const partBytes = this.#frameMaxBytes - FRAME_OVERHEAD_BYTES;
    for (let start = 0; start < body.length; start += partBytes) {
      parts.push(frame(FRAME_BODY, CHANNEL, body.subarray(start, start + partBytes)));
    }
    return { frames: Buffer.concat(parts), bodyStart: head.length + FRAME_OVERHEAD_BYTES - 1 };
  }

  /** Returns a promise where the server's socket is full: wait for it before writing on. */
  write(bytes: Buffer): Promise<unknown> | undefined {
    return this.#socket.write(bytes) ? undefined : once(this.#socket, 'drain');
  }

  close(): void {
    this.#failed = () => undefined;
    this.#socket.destroy();
  }

  frame(type: number, _channel: number, bytes: Buffer, start: number, end: number): void {
    if (type === FRAME_BODY) {
      if (this.#bodyStarts) this.#onBody(bytes, start);
      this.#bodyStarts = false;
    } else if (type === FRAME_METHOD) {
      this.#method(bytes.readUInt32BE(start), bytes, start, end);
    }
  }

  #method(id: number, bytes: Buffer, start: number, end: number): void {
    if (id === BASIC_DELIVER) {
      this.#bodyStarts = true;
      if (this.#acknowledges) this.#acknowledge(bytes, start + 5 + bytes.readUInt8(start + 4));
    } else if (id === BASIC_ACK) {
      // Servers confirm in order, as long as all messages are alike.
      this.confirmed = bytes.readUInt32BE(start + 4) * 2 ** 32 + bytes.readUInt32BE(start + 8);
      this.#moreConfirmed();
    } else {
      this.#answered(decodeMethod(bytes, start, end));
    }
  }

  #acknowledge(bytes: Buffer, tagStart: number): void {
    const ack = Buffer.from(ACK);
    bytes.copy(ack, ACK_TAG_OFFSET, tagStart, tagStart + TAG_BYTES);
    this.#acks.push(ack);
  }

  #read(chunk: Buffer): void {
    this.#parser.parse(chunk);
    if (this.#acks.length === 0) return;
    this.#socket.write(Buffer.concat(this.#acks));
    this.#acks = [];
  }

  async #call<N extends MethodName, A extends MethodName>(
    name: N,
    args: MethodArguments<N>,
    answer: A,
    channel = 0,
  ): Promise<MethodArguments<A>> {
    const answered = this.#answer(answer);
    this.#send(name, args, channel);
    return answered;
  }

  #answer<N extends MethodName>(name: N): Promise<MethodArguments<N>> {
    return new Promise((resolve, reject) => {
      this.#failed = reject;
      this.#answered = (method) => {
        if (method.name === name) resolve(method.arguments as MethodArguments<N>);
        else reject(new Error(`${name} was due, came ${method.name} ${JSON.stringify(method.arguments)}`));
      };
    });
  }

  #send<N extends MethodName>(name: N, args: MethodArguments<N>, channel: number): void {
    this.#socket.write(frame(FRAME_METHOD, channel, encodeMethod(name, args)));
  }
}

function frame(type: number, channel: number, payload: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(payload.length + FRAME_OVERHEAD_BYTES);
  bytes.writeUInt8(type, 0);
  bytes.writeUInt16BE(channel, 1);
  bytes.writeUInt32BE(payload.length, 3);
  payload.copy(bytes, 7);
  bytes.writeUInt8(FRAME_END, bytes.length - 1);
  return bytes;
}
