import type { Socket } from 'node:net';
import { connect, isIP } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { FrameSink } from '../amqp-codec/index.js';
import { CodecError, FrameParser } from '../amqp-codec/index.js';
import type { Endpoint } from './home-broker.js';
import { MAX_FRAME_BYTES, MAX_UNSENT_BYTES, RELAY_CLOSE_TIMEOUT_MS } from './limits.js';

const NO_CHUNK = Buffer.alloc(0);

/** Whoever takes what a broker sends: the login first, then the connection. What it throws ends the stream. */
export interface StreamReceiver extends FrameSink {
  /** The stream has ended, for another reason than `abort` or `finish`. Called once; no frame comes after it. */
  ended(cause: Error): void;
}

/** Frames from and to a broker, over TCP or TLS. */
export class RelayStream {
  /** Host and port, for texts. */
  readonly where: string;
  /** Resolves when the socket is closed. */
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #parser: FrameParser;
  #receiver: StreamReceiver;
  #chunk: Buffer = NO_CHUNK;
  #state: 'open' | 'ended' = 'open';
  #heard = false;

  /** @param tlsCa authorities that are trusted instead of the well-known ones, in PEM */
  constructor(
    endpoint: Endpoint,
    tlsCa: string | Buffer | undefined,
    receiver: (stream: RelayStream) => StreamReceiver,
  ) {
    this.where = `${endpoint.host}:${endpoint.port}`;
    this.#socket = dial(endpoint, tlsCa);
    this.#parser = new FrameParser(
      {
        frame: (type, channel, bytes, start, end) => {
          if (this.#state === 'open') this.#receiver.frame(type, channel, bytes, start, end);
        },
      },
      MAX_FRAME_BYTES,
    );
    this.#receiver = receiver(this);
    this.#socket.on('data', (chunk: Buffer) => this.#take(chunk));
    this.#socket.on('error', (error) => this.end(error));
    // Half a connection is of no use: what this side still has to say is in vain.
    this.#socket.on('end', () => this.end(new Error('the connection was closed')));
    this.#socket.on('close', () => this.end(new Error('the connection was closed')));
    this.closed = new Promise((resolve) => this.#socket.once('close', () => resolve()));
  }

  /** What is being read: ranges of it are where the socket has put them, those of another buffer were put together. */
  get chunk(): Buffer {
    return this.#chunk;
  }

  /** Whether anything has come since this was asked last. */
  get heard(): boolean {
    const heard = this.#heard;
    this.#heard = false;
    return heard;
  }

  /** From now on somebody else takes the frames, of a size that was agreed on. */
  handOver(receiver: StreamReceiver, maxFrameBytes: number): void {
    this.#receiver = receiver;
    this.#parser.maxFrameBytes = maxFrameBytes;
  }

  /** What is sent in one turn of the loop leaves in one write. */
  send(frame: Buffer): void {
    if (this.#state === 'ended') return;
    if (this.#socket.writableCorked === 0) {
      this.#socket.cork();
      process.nextTick(() => this.#socket.uncork());
    }
    this.#socket.write(frame);
    if (this.#socket.writableLength > MAX_UNSENT_BYTES) {
      this.end(new Error(`${this.#socket.writableLength} octets wait for it to read them`));
    }
  }

  /** While not reading, the other side is held up by TCP. */
  read(reading: boolean): void {
    if (reading) this.#socket.resume();
    else this.#socket.pause();
  }

  /** Something is wrong; the receiver is told. */
  end(reason: unknown): void {
    if (this.#state === 'ended') return;
    this.finish();
    this.#receiver.ended(new Error(`${this.where}: ${textOf(reason)}`, { cause: reason }));
  }

  /** Ends it in silence, as soon as everything has been sent that was to be sent. */
  finish(): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    if (this.#socket.connecting) {
      this.#socket.destroy();
      return;
    }
    this.#socket.destroySoon();
    const timer = setTimeout(() => this.#socket.destroy(), RELAY_CLOSE_TIMEOUT_MS);
    this.#socket.once('close', () => clearTimeout(timer));
  }

  /** Ends it in silence, at once. */
  abort(): void {
    this.#state = 'ended';
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    if (this.#state === 'ended') return;
    this.#heard = true;
    this.#chunk = chunk;
    try {
      this.#parser.parse(chunk);
    } catch (error) {
      this.end(error);
    }
    this.#chunk = NO_CHUNK;
  }
}

function dial({ host, port, tls }: Endpoint, tlsCa: string | Buffer | undefined): Socket {
  if (!tls) return connect({ host, port, noDelay: true });
  // RFC 6066 §3: an address is no server name.
  const servername = isIP(host) === 0 ? { servername: host } : {};
  return connectTls({ host, port, ...servername, ...(tlsCa !== undefined && { ca: tlsCa }) }).setNoDelay(
    true,
  );
}

function textOf(reason: unknown): string {
  if (reason instanceof CodecError) return `not AMQP 0-9-1: ${reason.message}`;
  // What Node.js raises when none of a host's addresses answers.
  if (reason instanceof AggregateError) return reason.errors.map(textOf).join('; ');
  return reason instanceof Error ? reason.message : String(reason);
}
