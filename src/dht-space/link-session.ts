import type { Connection, Stream } from '@libp2p/interface';
import { TimeoutError } from '@libp2p/interface';
import { aborted } from './aborted.js';
import type { ControlStream } from './control-stream.js';
import type { InboxSink } from './inbox.js';
import type { IncomingMessages, MessageStreamOwner } from './incoming-messages.js';
import { DEAD_AFTER_MS, PING_INTERVAL_MS } from './limits.js';
import { openStream } from './open-stream.js';
import type { Participant } from './participant.js';
import { MESSAGES_PROTOCOL } from './protocol.js';
import { preamble } from './record-format.js';
import { Settlement } from './settlement.js';
import type { Control, Hello } from './wire/control.js';

export interface LinkSessionInit {
  readonly connection: Connection;
  readonly control: ControlStream;
  /** What the other side sent. */
  readonly hello: Hello;
  /** What this side sent. */
  readonly greeting: Hello;
  /** The version that both sides speak. */
  readonly version: number;
  /** Whether this node dialled. */
  readonly dialled: boolean;
  readonly nowMs: number;
}

/**
 * One connection's worth of a link: both greetings are done, and it ends with the first of its streams. What has
 * to outlive it (outbox, interest, what was taken in) belongs to the link.
 */
export class LinkSession {
  readonly connection: Connection;
  readonly control: ControlStream;
  readonly hello: Hello;
  readonly greeting: Hello;
  readonly version: number;
  readonly dialled: boolean;
  readonly startedMs: number;
  readonly settlement = new Settlement();
  /** Spaces in which the other side was told all about this node's part. */
  readonly told = new Set<string>();
  /** What the other side has attached to in this session, by the numbers it gave. */
  readonly attached = new Map<number, Participant>();
  /** Resolves when the session is over, with why. */
  readonly ended: Promise<Error>;
  readonly #end: (cause: Error) => void;
  #over = false;
  #outgoing: Stream | undefined;
  #incoming: IncomingMessages | undefined;
  #heardMs: number;
  #pingedMs: number;

  constructor(init: LinkSessionInit) {
    this.connection = init.connection;
    this.control = init.control;
    this.hello = init.hello;
    this.greeting = init.greeting;
    this.version = init.version;
    this.dialled = init.dialled;
    this.startedMs = init.nowMs;
    this.#heardMs = init.nowMs;
    this.#pingedMs = init.nowMs;
    const { promise, resolve } = Promise.withResolvers<Error>();
    this.ended = promise;
    this.#end = resolve;
    init.control.onEnd = (cause) => this.abort(cause);
  }

  /** Over a connection through a relay. */
  get relayed(): boolean {
    return this.connection.direct === false;
  }

  /** It ended as soon as it began, and not for want of a connection: one of the two would have none of it. */
  get refused(): boolean {
    return (
      this.#over && this.#heardMs - this.startedMs < PING_INTERVAL_MS && this.connection.status === 'open'
    );
  }

  get over(): boolean {
    return this.#over;
  }

  /** Ends the session at once; nothing more is sent. */
  abort(cause: Error): void {
    if (this.#over) return;
    this.#over = true;
    this.control.abort(cause);
    this.#outgoing?.abort(cause);
    this.#incoming?.abort(cause);
    this.settlement.end();
    this.#end(cause);
  }

  /**
   * Says why, and waits for the other side to end the session: it has read all before that then. A connection that is
   * closed by whoever wrote last can lose what was written.
   */
  async close(reason: string, signal: AbortSignal): Promise<void> {
    // So that the other side does not take for lost what was taken in a moment ago.
    this.#incoming?.report();
    this.control.send({ goodbye: { reason } });
    await Promise.race([this.ended, aborted(signal)]);
    this.abort(new Error(reason));
  }

  heard(nowMs: number): void {
    this.#heardMs = nowMs;
  }

  /** Pings when it is time. A silent connection goes, so that the next dial makes a new one. */
  tick(nowMs: number): void {
    const silentMs = nowMs - this.#heardMs;
    const unsettledMs = this.settlement.overdueMs(nowMs);
    if (silentMs >= DEAD_AFTER_MS) {
      const cause = new TimeoutError(`nothing heard for ${silentMs} ms`);
      this.abort(cause);
      this.connection.abort(cause);
    } else if (unsettledMs >= DEAD_AFTER_MS) {
      this.abort(new Error(`a change was not acknowledged for ${unsettledMs} ms`));
    } else if (nowMs - this.#pingedMs >= PING_INTERVAL_MS) {
      this.#pingedMs = nowMs;
      this.control.send({ ping: { nonce: 0 } });
    }
  }

  /** Sends a change that the other side is to acknowledge. */
  sendChange(make: (number: number) => Control): void {
    this.control.send(make(this.settlement.next()));
  }

  /** Opens this side's message stream. `onWritable` is called whenever there is room. */
  async openMessages(offset: number, onWritable: () => void): Promise<void> {
    try {
      const stream = await openStream(this.connection, MESSAGES_PROTOCOL);
      if (this.#over) return stream.abort(new Error('the session is over'));
      this.#outgoing = stream;
      stream.addEventListener('drain', onWritable);
      stream.addEventListener('close', (event) =>
        this.abort(event.error ?? new Error('message stream closed')),
      );
      stream.send(preamble(this.greeting.session, offset));
      onWritable();
    } catch (error) {
      this.abort(error instanceof Error ? error : new Error(String(error)));
    }
  }

  get writable(): boolean {
    const stream = this.#outgoing;
    return stream !== undefined && stream.writeStatus === 'writable' && !stream.writableNeedsDrain;
  }

  /** Sends records; only while `writable`. */
  send(records: Buffer): void {
    try {
      this.#outgoing?.send(records);
    } catch (error) {
      // The connection broke, and the stream was not told yet.
      this.abort(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** Takes over the other side's message stream; undefined when there is one already. */
  own(
    messages: IncomingMessages,
    sink: InboxSink,
    environment: { now(): number; mayGrant(): boolean },
  ): MessageStreamOwner | undefined {
    if (this.#incoming !== undefined || this.#over) return undefined;
    this.#incoming = messages;
    return {
      sink,
      creditBytes: this.greeting.credit,
      heard: () => this.heard(environment.now()),
      mayGrant: () => environment.mayGrant(),
      report: (progress) => this.control.send({ progress }),
      end: (cause) => this.abort(cause),
    };
  }

  /** Everything before this offset of the other side's messages was taken in; undefined before its stream began. */
  get consumed(): number | undefined {
    return this.#incoming?.consumed;
  }

  /** There is memory again: raises the credit. */
  grant(): void {
    this.#incoming?.report();
  }
}
