import type { Stream } from '@libp2p/interface';
import type { InboxSink } from './inbox.js';
import { Inbox } from './inbox.js';
import { CREDIT_WINDOW_BYTES, MAX_RECORD_BYTES, PROGRESS_DELAY_MS, PROGRESS_STEP_BYTES } from './limits.js';
import { MAX_OFFSET, PREAMBLE_BYTES, readU64 } from './record-format.js';
import { PeerFault } from './refusals.js';
import type { Progress } from './wire/control.js';

/** The session that a message stream belongs to, as far as the stream needs it. */
export interface MessageStreamOwner {
  readonly sink: InboxSink;
  /** The credit that the greeting gave, from where the stream begins. */
  readonly creditBytes: number;
  /** Something was heard. */
  heard(): void;
  /** Whether the node has memory for more. */
  mayGrant(): boolean;
  report(progress: Progress): void;
  end(cause: Error): void;
}

/** The other side's message stream: finds its session by the preamble, then takes in records and gives credit. */
export class IncomingMessages {
  readonly #stream: Stream;
  #state: { readonly kind: 'preamble'; bytes: Buffer } | { readonly kind: 'records'; readonly inbox: Inbox };
  readonly #claim: (session: number, messages: IncomingMessages) => MessageStreamOwner | undefined;
  #owner: MessageStreamOwner | undefined;
  #reported = 0;
  #granted = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param claim finds whose stream it is; undefined refuses it */
  constructor(
    stream: Stream,
    claim: (session: number, messages: IncomingMessages) => MessageStreamOwner | undefined,
  ) {
    this.#stream = stream;
    this.#claim = claim;
    this.#state = { kind: 'preamble', bytes: Buffer.alloc(0) };
    stream.addEventListener('close', (event) =>
      this.abort(event.error ?? new Error('message stream closed')),
    );
    stream.addEventListener('message', ({ data }) => {
      try {
        if (data instanceof Uint8Array) this.#take(data);
        else for (const piece of data) this.#take(piece);
        this.#owner?.heard();
        this.#account();
      } catch (error) {
        this.abort(PeerFault.of(error));
      }
    });
  }

  /** Everything before this offset was taken in; undefined before the preamble has come. */
  get consumed(): number | undefined {
    return this.#state.kind === 'records' ? this.#state.inbox.offset : undefined;
  }

  abort(cause: Error): void {
    clearTimeout(this.#timer);
    this.#stream.abort(cause);
    const owner = this.#owner;
    this.#owner = undefined;
    owner?.end(cause);
  }

  /** Tells how far records were taken in and raises the credit, if there is memory. */
  report(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const owner = this.#owner;
    const { consumed } = this;
    if (owner === undefined || consumed === undefined) return;
    this.#reported = consumed;
    if (owner.mayGrant()) this.#granted = Math.max(this.#granted, this.#reported + CREDIT_WINDOW_BYTES);
    owner.report({ consumed: this.#reported, limit: this.#granted });
  }

  #take(piece: Uint8Array): void {
    const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
    const state = this.#state;
    if (state.kind === 'records') {
      // After an abort in the middle of an event, the rest of its pieces is nobody's.
      if (this.#owner !== undefined) state.inbox.parse(bytes);
      return;
    }
    state.bytes = Buffer.concat([state.bytes, bytes]);
    if (state.bytes.length < PREAMBLE_BYTES) return;
    const owner = this.#claim(state.bytes.readUInt32BE(0), this);
    if (owner === undefined) throw new PeerFault('greeting', 'a message stream of an unknown session');
    this.#owner = owner;
    this.#reported = readU64(state.bytes, 4);
    if (this.#reported > MAX_OFFSET) throw new Error(`offset ${this.#reported} cannot be`);
    this.#granted = this.#reported + owner.creditBytes;
    const inbox = new Inbox(owner.sink, this.#reported);
    this.#state = { kind: 'records', inbox };
    inbox.parse(state.bytes.subarray(PREAMBLE_BYTES));
    // The greeting gave less while memory was short; if that has passed meanwhile, nothing else would raise it.
    if (owner.creditBytes < CREDIT_WINDOW_BYTES && owner.mayGrant()) this.report();
  }

  #account(): void {
    if (this.#state.kind !== 'records' || this.#owner === undefined) return;
    const { offset, partialBytes } = this.#state.inbox;
    if (offset + partialBytes > this.#granted + MAX_RECORD_BYTES) {
      throw new PeerFault('flood', 'more was sent than there was credit for');
    }
    if (offset - this.#reported >= PROGRESS_STEP_BYTES) this.report();
    else if (offset > this.#reported) this.#timer ??= setTimeout(() => this.report(), PROGRESS_DELAY_MS);
  }
}
