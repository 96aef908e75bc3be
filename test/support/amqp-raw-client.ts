import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import type { Method, MethodArguments, MethodName, Properties } from '../../src/amqp-codec/index.js';
import {
  decodeMethod,
  encodeHeader,
  encodeMethod,
  FRAME_BODY,
  FRAME_END,
  FRAME_HEADER,
  FRAME_HEARTBEAT,
  FRAME_METHOD,
  FrameParser,
  PROTOCOL_HEADER,
} from '../../src/amqp-codec/index.js';

import { eventually } from './eventually.js';

const TIMEOUT_MS = 10_000;
/** The response of mechanism PLAIN for the default user. */
export const GUEST = Buffer.from('\0guest\0guest');

const MAX_FRAME_BYTES = 32 * 1024 * 1024;

/** What the server sent: a method, another frame, or the end of what it sends. */
export type Received =
  | ({ readonly type: 'method'; readonly channel: number } & Method)
  | { readonly type: 'header' | 'body' | 'heartbeat'; readonly channel: number; readonly payload: Buffer }
  | { readonly type: 'octets'; readonly payload: Buffer }
  | { readonly type: 'end' };

/** Arguments with everything left out that is zero, false or empty. */
type Sparse<N extends MethodName> = Partial<MethodArguments<N>>;

export interface Tuning {
  readonly channelMax?: number;
  readonly frameMax?: number;
  readonly heartbeat?: number;
}

const EMPTY_ARGUMENTS = {
  queue: '',
  exchange: '',
  routingKey: '',
  consumerTag: '',
  source: '',
  destination: '',
  type: 'direct',
  passive: false,
  durable: false,
  exclusive: false,
  autoDelete: false,
  internal: false,
  noWait: false,
  noLocal: false,
  noAck: false,
  ifUnused: false,
  ifEmpty: false,
  mandatory: false,
  immediate: false,
  multiple: false,
  requeue: false,
  global: false,
  prefetchSize: 0,
  prefetchCount: 0,
  deliveryTag: 0,
  replyCode: 200,
  replyText: '',
  classId: 0,
  methodId: 0,
  redelivered: false,
  messageCount: 0,
  consumerCount: 0,
  active: false,
  locale: 'en_US',
  virtualHost: '/',
  reason: '',
  newSecret: Buffer.alloc(0),
  realm: '',
  write: false,
  read: false,
  arguments: {},
} as const;

export interface Flood {
  /** How often the octets have left the client. */
  readonly taken: number;
  readonly times: number;
}

const STUCK_POLLS = 20;

/** Waits until a flood gets no further, long before its end: nobody reads it. */
export async function stuck(flood: Flood): Promise<void> {
  let before = -1;
  let polls = 0;
  await eventually(() => {
    polls = flood.taken === before ? polls + 1 : 0;
    before = flood.taken;
    return polls === STUCK_POLLS;
  });
  if (flood.taken === flood.times) throw new Error('the server has read everything');
}

/** The payload of a method frame; what is left out of the arguments is zero, false or empty. */
function methodPayload<N extends MethodName>(name: N, args: Sparse<N> = {}): Buffer {
  return encodeMethod(name, { ...EMPTY_ARGUMENTS, ...args } as MethodArguments<N>);
}

export function frame(type: number, channel: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(7);
  head.writeUInt8(type, 0);
  head.writeUInt16BE(channel, 1);
  head.writeUInt32BE(payload.length, 3);
  return Buffer.concat([head, payload, Buffer.from([FRAME_END])]);
}

export function methodFrame<N extends MethodName>(channel: number, name: N, args: Sparse<N> = {}): Buffer {
  return frame(FRAME_METHOD, channel, methodPayload(name, args));
}

/** basic.publish with its content, in as many body frames as there are parts. */
export function publication(
  channel: number,
  to: Sparse<'basic.publish'>,
  parts: readonly Buffer[],
  properties: Properties = {},
): Buffer {
  const bodySize = parts.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([
    methodFrame(channel, 'basic.publish', to),
    frame(FRAME_HEADER, channel, encodeHeader(bodySize, properties)),
    ...parts.map((part) => frame(FRAME_BODY, channel, part)),
  ]);
}

/** An AMQP client without any manners: it sends what it is told, and shows everything that comes. */
export class RawClient {
  readonly socket: Socket;
  readonly #received: Received[] = [];
  #arrived = () => {};
  #receive: (chunk: Buffer) => void = (chunk) => this.#push({ type: 'octets', payload: chunk });

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('error', () => {});
    socket.on('close', () => this.#push({ type: 'end' }));
  }

  static async connect(port: number): Promise<RawClient> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    return new RawClient(socket);
  }

  /** On a socket that is connected, such as one of TLS. */
  static on(socket: Socket): RawClient {
    return new RawClient(socket);
  }

  destroy(): void {
    this.socket.destroy();
  }

  send(...octets: readonly Buffer[]): void {
    this.socket.write(Buffer.concat(octets));
  }

  /** Sends the same octets over and over, each time when the kernel has taken those before. */
  flood(octets: Buffer, times: number): Flood {
    const flood = { taken: 0, times };
    const sendNext = () => {
      if (flood.taken === times || this.socket.destroyed) return;
      this.socket.write(octets, () => {
        flood.taken++;
        sendNext();
      });
    };
    sendNext();
    return flood;
  }

  /** From now on what comes is taken apart into frames. */
  expectFrames(): void {
    const parser = new FrameParser(
      {
        frame: (type, channel, bytes, start, end) => {
          const payload = Buffer.from(bytes.subarray(start, end));
          this.#push(received(type, channel, payload));
        },
      },
      MAX_FRAME_BYTES,
    );
    this.#receive = (chunk) => parser.parse(chunk);
  }

  /** The next thing that comes, heartbeats included. */
  async next(): Promise<Received> {
    const deadline = Date.now() + TIMEOUT_MS;
    for (;;) {
      const first = this.#received.shift();
      if (first !== undefined) return first;
      if (Date.now() >= deadline) throw new Error('nothing came from the server');
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, TIMEOUT_MS);
        this.#arrived = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** What has come and was not asked for so far. */
  pending(): readonly Received[] {
    return this.#received;
  }

  /** The next thing, which must be this method. */
  async expect<N extends MethodName>(name: N): Promise<MethodArguments<N> & { readonly channel: number }> {
    const next = await this.next();
    if (next.type !== 'method' || next.name !== name) throw new Error(`expected ${name}, got ${shown(next)}`);
    return { ...(next.arguments as MethodArguments<N>), channel: next.channel };
  }

  /** The next thing, which must be a content; its body, put together. */
  async expectContent(): Promise<{ header: Buffer; body: Buffer }> {
    const header = await this.next();
    if (header.type !== 'header') throw new Error(`expected a content header, got ${shown(header)}`);
    const parts: Buffer[] = [];
    let missing = Number(header.payload.readBigUInt64BE(4));
    while (missing > 0) {
      const part = await this.next();
      if (part.type !== 'body') throw new Error(`expected a content body, got ${shown(part)}`);
      parts.push(part.payload);
      missing -= part.payload.length;
    }
    return { header: header.payload, body: Buffer.concat(parts) };
  }

  /** Waits for the end of the connection, whatever comes before it. */
  async ended(): Promise<void> {
    for (let next = await this.next(); next.type !== 'end'; next = await this.next());
  }

  sendMethod<N extends MethodName>(channel: number, name: N, args: Sparse<N> = {}): void {
    this.send(methodFrame(channel, name, args));
  }

  /** Sends a method on channel 1 and expects its answer. */
  async call<N extends MethodName, R extends MethodName>(
    name: N,
    args: Sparse<N>,
    answer: R,
  ): Promise<MethodArguments<R> & { readonly channel: number }> {
    this.sendMethod(1, name, args);
    return this.expect(answer);
  }

  /** The handshake up to connection.open-ok. */
  async open(options: Tuning & { readonly capabilities?: readonly string[] } = {}): Promise<void> {
    this.expectFrames();
    this.send(PROTOCOL_HEADER);
    await this.expect('connection.start');
    this.startOk(options.capabilities ?? []);
    await this.expect('connection.tune');
    this.tuneOk(options);
    this.sendMethod(0, 'connection.open');
    await this.expect('connection.open-ok');
  }

  startOk(capabilities: readonly string[], response: Buffer = GUEST, mechanism = 'PLAIN'): void {
    const names = Object.fromEntries(capabilities.map((name) => [name, true]));
    const clientProperties = { product: 'raw client', capabilities: names };
    this.sendMethod(0, 'connection.start-ok', { clientProperties, mechanism, response });
  }

  tuneOk({ channelMax = 2047, frameMax = 131_072, heartbeat = 0 }: Tuning = {}): void {
    this.sendMethod(0, 'connection.tune-ok', { channelMax, frameMax, heartbeat });
  }

  #push(item: Received): void {
    this.#received.push(item);
    this.#arrived();
  }
}

function received(type: number, channel: number, payload: Buffer): Received {
  switch (type) {
    case FRAME_METHOD:
      return { type: 'method', channel, ...decodeMethod(payload, 0, payload.length) };
    case FRAME_HEADER:
      return { type: 'header', channel, payload };
    case FRAME_HEARTBEAT:
      return { type: 'heartbeat', channel, payload };
    default:
      return { type: 'body', channel, payload };
  }
}

function shown(item: Received): string {
  return item.type === 'method' ? `${item.name} ${JSON.stringify(item.arguments)}` : item.type;
}
