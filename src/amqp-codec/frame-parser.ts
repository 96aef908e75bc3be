import { erlangBinary } from './erlang-term.js';
import { CodecError } from './errors.js';
import { PARTIAL_FRAME_BYTES } from './limits.js';

// AMQP 0-9-1 §4.2.3: type, channel, size; the payload; the end octet.
export const FRAME_METHOD = 1;
export const FRAME_HEADER = 2;
export const FRAME_BODY = 3;
export const FRAME_HEARTBEAT = 8;
export const FRAME_END = 0xce;

/** The octets around the payload. */
export const FRAME_OVERHEAD_BYTES = 8;

const HEADER_BYTES = 7;
const NOTHING = Buffer.alloc(0);

/** AMQP 0-9-1 §4.2.2: what a client opens the connection with; what a server answers when it wants another version. */
export const PROTOCOL_HEADER = Buffer.from('AMQP\x00\x00\x09\x01', 'latin1');

/** Takes frames in the order of the wire, of whatever type. */
export interface FrameSink {
  /**
   * The payload is the range of `bytes`, which is only lent until this returns. An error thrown here leaves `parse`
   * and takes the rest of the chunk with it, so a sink throws only when the connection is at its end.
   */
  frame(type: number, channel: number, bytes: Buffer, start: number, end: number): void;
}

/**
 * Cuts the octets of a connection into frames, in place. Only a frame that does not lie in one chunk is copied, each
 * octet a fixed number of times, into a buffer that grows with what has arrived and never beyond the frame's size.
 * After an error the parser is of no further use.
 */
export class FrameParser {
  /**
   * frame-max, which can be set after the tuning. As in RabbitMQ, it is payloads that may be as large: quite a few clients do
   * not take {@link FRAME_OVERHEAD_BYTES} off.
   */
  maxFrameBytes: number;
  readonly #sink: FrameSink;
  /** The beginning of the frame that has not arrived completely: `#heldBytes` of it, of `#neededBytes`. */
  #held = NOTHING;
  #heldBytes = 0;
  /** While the frame's header has not arrived: the header's size. */
  #neededBytes = HEADER_BYTES;

  constructor(sink: FrameSink, maxFrameBytes: number) {
    this.#sink = sink;
    this.maxFrameBytes = maxFrameBytes;
  }

  /** @throws CodecError `frame-error` for a frame that is too large, or has another end than it should */
  parse(chunk: Buffer): void {
    let position = 0;
    while (this.#heldBytes > 0 && position < chunk.length) position = this.#resume(chunk, position);
    while (chunk.length - position >= HEADER_BYTES) {
      const frameBytes = this.#checkHeader(chunk, position);
      if (frameBytes > chunk.length - position) {
        this.#neededBytes = frameBytes;
        break;
      }
      this.#emit(chunk, position, frameBytes);
      position += frameBytes;
    }
    if (position < chunk.length) this.#hold(chunk, position, chunk.length);
  }

  /** Adds to the frame held, up to its header's end or its own; returns the position after that. */
  #resume(chunk: Buffer, position: number): number {
    const end = Math.min(chunk.length, position + this.#neededBytes - this.#heldBytes);
    this.#hold(chunk, position, end);
    if (this.#heldBytes < this.#neededBytes) return end;
    if (this.#neededBytes === HEADER_BYTES) {
      this.#neededBytes = this.#checkHeader(this.#held, 0);
      return end;
    }
    const frame = this.#held;
    const frameBytes = this.#neededBytes;
    this.#held = NOTHING;
    this.#heldBytes = 0;
    this.#neededBytes = HEADER_BYTES;
    this.#emit(frame, 0, frameBytes);
    return end;
  }

  #hold(chunk: Buffer, start: number, end: number): void {
    const heldBytes = this.#heldBytes + end - start;
    if (heldBytes > this.#held.length) {
      // Doubling copies every octet less than twice; what a header announces costs memory only as it arrives.
      const doubled = Math.max(heldBytes, this.#held.length * 2, PARTIAL_FRAME_BYTES);
      const grown = Buffer.allocUnsafe(Math.min(doubled, this.#neededBytes));
      this.#held.copy(grown, 0, 0, this.#heldBytes);
      this.#held = grown;
    }
    chunk.copy(this.#held, this.#heldBytes, start, end);
    this.#heldBytes = heldBytes;
  }

  /** Returns the size of the frame that starts at `start`. */
  #checkHeader(bytes: Buffer, start: number): number {
    const payloadBytes = bytes.readUInt32BE(start + 3);
    if (payloadBytes > this.maxFrameBytes) {
      const problem = `{frame_too_large,${payloadBytes},${this.maxFrameBytes - FRAME_OVERHEAD_BYTES}}`;
      throw new CodecError('frame-error', `type ${bytes[start]}, all octets = <<>>: ${problem}`);
    }
    return payloadBytes + FRAME_OVERHEAD_BYTES;
  }

  #emit(bytes: Buffer, start: number, frameBytes: number): void {
    const end = start + frameBytes - 1;
    if (bytes[end] !== FRAME_END) {
      const frame = describeFrame(bytes.readUInt8(start), bytes, start + HEADER_BYTES, end);
      throw new CodecError('frame-error', `${frame}: {invalid_frame_end_marker,${bytes[end]}}`);
    }
    const channel = bytes.readUInt16BE(start + 1);
    this.#sink.frame(bytes.readUInt8(start), channel, bytes, start + HEADER_BYTES, end);
  }
}

const SNIPPET_BYTES = 16;

/** How RabbitMQ's texts name a frame. The range is its payload. */
export function describeFrame(type: number, bytes: Buffer, start: number, end: number): string {
  const whole = end - start <= SNIPPET_BYTES;
  const snippet = bytes.subarray(start, whole ? end : start + SNIPPET_BYTES);
  return `type ${type}, ${whole ? 'all' : `first ${SNIPPET_BYTES}`} octets = ${erlangBinary(snippet)}`;
}
