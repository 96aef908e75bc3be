import type { Socket } from 'node:net';
import type { FrameSink } from '../amqp-codec/index.js';
import { FrameParser, PROTOCOL_HEADER } from '../amqp-codec/index.js';
import { MAX_HANDSHAKE_FRAME_BYTES } from './limits.js';

const NO_CHUNK = Buffer.alloc(0);

/** Whoever takes what a client sends: the handshake first, then its connection. */
export interface ClientReceiver extends FrameSink {
  /** What came is no frame. Nothing further can be told apart, so nothing further comes. */
  malformed(error: unknown): void;
  /** The client has sent all it will. */
  ended(): void;
}

export interface HeaderReceiver extends ClientReceiver {
  /** The first octets of the client, whatever they say. */
  protocolHeader(header: Buffer): void;
}

/** Cuts what a client sends into the protocol header and frames. */
export class ClientStream {
  readonly #parser: FrameParser;
  #receiver: ClientReceiver;
  #chunk: Buffer = NO_CHUNK;
  #take: (chunk: Buffer) => void;

  constructor(socket: Socket, receiver: HeaderReceiver) {
    this.#receiver = receiver;
    this.#parser = new FrameParser(
      { frame: (type, channel, bytes, start, end) => this.#receiver.frame(type, channel, bytes, start, end) },
      MAX_HANDSHAKE_FRAME_BYTES,
    );
    this.#take = this.#takeHeader(receiver);
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('end', () => this.#receiver.ended());
  }

  /** What is being read. Sockets read into fresh memory each time, so references to it stay valid. */
  get chunk(): Buffer {
    return this.#chunk;
  }

  /** From now on somebody else takes the frames, of a size that was agreed on. */
  handOver(receiver: ClientReceiver, maxFrameBytes: number): void {
    this.#receiver = receiver;
    this.#parser.maxFrameBytes = maxFrameBytes;
  }

  /** Whatever else comes is read, and ignored. */
  ignore(): void {
    this.#take = () => {};
  }

  #takeHeader(receiver: HeaderReceiver): (chunk: Buffer) => void {
    let begun = NO_CHUNK;
    return (chunk) => {
      begun = Buffer.concat([begun, chunk]);
      if (begun.length < PROTOCOL_HEADER.length) return;
      this.#take = this.#takeFrames;
      receiver.protocolHeader(begun.subarray(0, PROTOCOL_HEADER.length));
      if (begun.length > PROTOCOL_HEADER.length) this.#take(begun.subarray(PROTOCOL_HEADER.length));
    };
  }

  readonly #takeFrames = (chunk: Buffer): void => {
    this.#chunk = chunk;
    try {
      this.#parser.parse(chunk);
    } catch (error) {
      this.ignore();
      this.#receiver.malformed(error);
    }
    this.#chunk = NO_CHUNK;
  };
}
