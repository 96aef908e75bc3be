import type { Stream } from '@libp2p/interface';
import * as varint from 'uint8-varint';
import { Uint8ArrayList } from 'uint8arraylist';
import { CONTROL_BACKLOG_BYTES, MAX_CONTROL_BYTES } from './limits.js';
import { PeerFault } from './refusals.js';
import { Control } from './wire/control.js';

/** A varint of a length that is allowed is never longer than this. */
const MAX_VARINT_BYTES = 4;

/**
 * Control messages over one libp2p stream: a varint length before each protobuf. Messages are handled in the
 * event that brings them, so nothing piles up on the reading side.
 */
export class ControlStream {
  readonly #stream: Stream;
  readonly #received = new Uint8ArrayList();
  readonly #unsent = new Uint8ArrayList();
  #ended = false;
  /** Called with each message; what it throws ends the stream. */
  onMessage: (message: Control) => void = () => {};
  /** Called once, when the stream is over for whatever reason. */
  onEnd: (cause: Error) => void = () => {};

  constructor(stream: Stream) {
    this.#stream = stream;
  }

  /** Starts reading; before it, the stream holds back what arrives. */
  start(): void {
    this.#stream.addEventListener('close', (event) => this.#end(event.error ?? new Error('closed')));
    this.#stream.addEventListener('remoteCloseWrite', () =>
      this.abort(new Error('closed by the other side')),
    );
    this.#stream.addEventListener('message', (event) => {
      try {
        this.#read(event.data);
      } catch (error) {
        this.abort(PeerFault.of(error));
      }
    });
    if (this.#stream.status !== 'open') this.#end(new Error('closed'));
  }

  /** What is sent in one go leaves in one write: encrypting and writing cost more than what is in it. */
  send(message: Control): void {
    if (this.#ended) return;
    let body: Uint8Array;
    try {
      body = Control.encode(message);
    } catch (error) {
      // A number that the other side brought about is beyond what can be written.
      this.abort(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    if (this.#unsent.byteLength === 0) queueMicrotask(() => this.#flush());
    this.#unsent.append(varint.encode(body.byteLength));
    this.#unsent.append(body);
  }

  #flush(): void {
    const bytes = this.#unsent.subarray();
    this.#unsent.consume(bytes.byteLength);
    if (this.#ended || bytes.byteLength === 0 || this.#stream.writeStatus !== 'writable') return;
    try {
      this.#stream.send(bytes);
    } catch (error) {
      // The connection broke, and the stream was not told yet.
      this.abort(error instanceof Error ? error : new Error(String(error)));
    }
    if (this.#stream.writeBufferLength > CONTROL_BACKLOG_BYTES) {
      const text = `${this.#stream.writeBufferLength} bytes of control messages were not read`;
      this.abort(new PeerFault('flood', text));
    }
  }

  /** Ends the stream at once; what was said before still goes out, as far as the stream takes it. */
  abort(cause: Error): void {
    this.#flush();
    this.#stream.abort(cause);
    this.#end(cause);
  }

  #end(cause: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.onEnd(cause);
  }

  #read(data: Uint8Array | Uint8ArrayList): void {
    this.#received.append(data);
    while (!this.#ended && this.#received.byteLength > 0) {
      const prefixBytes = this.#prefixBytes();
      if (prefixBytes === undefined) return;
      const length = varint.decode(this.#received);
      if (length > MAX_CONTROL_BYTES) {
        const text = `a control message of ${length} bytes; the limit is ${MAX_CONTROL_BYTES}`;
        throw new PeerFault('oversize', text);
      }
      if (this.#received.byteLength < prefixBytes + length) return;
      const message = Control.decode(this.#received.subarray(prefixBytes, prefixBytes + length));
      this.#received.consume(prefixBytes + length);
      this.onMessage(message);
    }
  }

  /** How long the varint at the front is; undefined while it is not whole. */
  #prefixBytes(): number | undefined {
    for (let index = 0; index < MAX_VARINT_BYTES; index += 1) {
      if (index === this.#received.byteLength) return undefined;
      if (this.#received.get(index) < 0x80) return index + 1;
    }
    throw new PeerFault('oversize', 'the length of a control message is not a varint within the limit');
  }
}
