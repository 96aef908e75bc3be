import type { Method, MethodArguments, MethodName } from '../amqp-codec/index.js';
import {
  CHANNEL_CLOSE_ID,
  CHANNEL_CLOSE_OK_ID,
  CHANNEL_OPEN_ID,
  FRAME_METHOD,
  methodFrame,
} from '../amqp-codec/index.js';
import type { Connection } from './connection.js';
import type { AssembledSink, Publication } from './content-assembly.js';
import { ContentAssembly } from './content-assembly.js';
import { Deliveries } from './deliveries.js';
import { HELD_FRAME_OVERHEAD_BYTES } from './limits.js';
import type { ContentMessage } from './message.js';
import { handleOnChannel } from './methods.js';
import { Publishing } from './publishing.js';
import type { ChannelError } from './reply-code.js';
import { secondOpen } from './reply-code.js';

/** What a frame meets: one function per state of the channel. */
type Receive = (type: number, bytes: Buffer, start: number, end: number) => void;

interface HeldFrame {
  readonly type: number;
  readonly bytes: Buffer;
}

/**
 * One channel, from channel.open on.
 *
 *     open ⇄ waiting (a request is being answered: frames are held back, in order)
 *       └──▶ closing (this side closed it: frames are discarded until close-ok) ──▶ closed
 */
export class Channel implements AssembledSink {
  readonly number: number;
  readonly connection: Connection;
  readonly deliveries: Deliveries;
  readonly publishing: Publishing;
  /** AMQP 0-9-1 §1.7.2: an empty queue name means the queue that was declared last. */
  lastQueue: string | undefined;
  readonly #assembly: ContentAssembly;
  #receive: Receive;
  /** Consumers that the method being handled has ended: the client hears of them after its answer. */
  readonly #ended: string[] = [];
  #handling = false;
  #held: HeldFrame[] = [];
  #nextHeld = 0;
  #gone: AbortController | undefined;

  constructor(number: number, connection: Connection) {
    this.number = number;
    this.connection = connection;
    this.deliveries = new Deliveries(number, connection, (consumerTag) => this.#queueGone(consumerTag));
    this.publishing = new Publishing(number, connection, this.deliveries);
    const { memory, maxBodyBytes } = connection.services;
    this.#assembly = new ContentAssembly(this, connection.reading, memory, maxBodyBytes);
    this.#receive = this.#open;
  }

  /** Class id and method id of the method that is being handled. */
  get methodId(): number {
    return this.#assembly.methodId;
  }

  /** Whether a request is being answered, so that what came after it has yet to be done. */
  get isWaiting(): boolean {
    return this.#receive === this.#waiting;
  }

  /** Aborted when nobody waits for answers of this channel any more. */
  get signal(): AbortSignal {
    this.#gone ??= new AbortController();
    return this.#gone.signal;
  }

  frame(type: number, bytes: Buffer, start: number, end: number): void {
    this.#receive(type, bytes, start, end);
  }

  /** Answers a request; too late where the channel has been closed since. */
  reply<N extends MethodName>(name: N, args: MethodArguments<N>): void {
    if (this.#receive !== this.#open && this.#receive !== this.#waiting) return;
    this.connection.output.frame(methodFrame(this.number, name, args));
  }

  /** Answers once what was asked for is done, if the client wants an answer at all. */
  answer<N extends MethodName>(
    done: Promise<void> | undefined,
    noWait: boolean,
    name: N,
    args: MethodArguments<N>,
  ): Promise<void> | undefined {
    if (done !== undefined) return done.then(() => this.answer(undefined, noWait, name, args));
    if (!noWait) this.reply(name, args);
    return undefined;
  }

  /** As `answer`, to a request that may have changed what is durable: that is on the disk first. */
  answerKept<N extends MethodName>(
    done: Promise<void> | undefined,
    noWait: boolean,
    name: N,
    args: MethodArguments<N>,
  ): Promise<void> | undefined {
    if (done !== undefined) return done.then(() => this.answerKept(undefined, noWait, name, args));
    return this.answer(this.connection.virtualHost.settled(), noWait, name, args);
  }

  method(method: Method): void {
    const answered = this.#handle(method);
    if (answered === undefined) return;
    this.#receive = this.#waiting;
    answered.then(
      () => this.#goOn(),
      (error: unknown) => {
        if (this.#receive !== this.#waiting) return;
        this.connection.failed(error, this);
        this.connection.channelSettled();
      },
    );
  }

  #handle(method: Method): Promise<void> | undefined {
    this.#handling = true;
    try {
      return handleOnChannel(this, method);
    } finally {
      this.#handling = false;
      if (this.#ended.length > 0) this.#tellEnded();
    }
  }

  content(publication: Publication, message: ContentMessage): void {
    this.publishing.publish(publication, message);
  }

  /** AMQP 0-9-1 §1.5.2.5: closes the channel for a reason, and discards everything until the client has confirmed. */
  fail(error: ChannelError): void {
    const classId = this.methodId >>> 16;
    const methodId = this.methodId & 0xffff;
    const held = this.#takeHeld();
    this.release();
    this.#receive = this.#closing;
    const close = methodFrame(this.number, 'channel.close', { ...error.reply, classId, methodId });
    this.connection.output.frame(close);
    this.#handOn(held);
  }

  /** The client closed the channel. */
  close(): void {
    const held = this.#takeHeld();
    this.release();
    this.connection.output.frame(methodFrame(this.number, 'channel.close-ok', {}));
    this.connection.forget(this);
    this.#handOn(held);
  }

  /** Gives back everything that the channel holds, and goes deaf. */
  release(): void {
    if (this.#receive === this.#closed || this.#receive === this.#closing) return;
    this.#receive = this.#closed;
    this.#assembly.abandon();
    this.#gone?.abort();
    this.publishing.release();
    this.deliveries.release();
    this.#takeHeld();
  }

  readonly #open: Receive = (type, bytes, start, end) => {
    this.#assembly.frame(type, bytes, start, end);
  };

  readonly #waiting: Receive = (type, bytes, start, end) => {
    this.#held.push({ type, bytes: Buffer.from(bytes.subarray(start, end)) });
    this.connection.intake.hold(end - start + HELD_FRAME_OVERHEAD_BYTES);
  };

  readonly #closing: Receive = (type, bytes, start, end) => {
    if (type !== FRAME_METHOD || end - start < 4) return;
    const id = bytes.readUInt32BE(start);
    if (id === CHANNEL_CLOSE_OK_ID) this.connection.forget(this);
    // Both sides closed at once: the client's close is confirmed, and it still has to confirm ours.
    // RabbitMQ: a channel is not open again before the client has confirmed its end.
    if (id === CHANNEL_OPEN_ID) throw secondOpen();
    if (id === CHANNEL_CLOSE_ID)
      this.connection.output.frame(methodFrame(this.number, 'channel.close-ok', {}));
  };

  readonly #closed: Receive = () => {};

  /** The request is answered: takes up what came since, until one of those has to wait. */
  #goOn(): void {
    if (this.#receive !== this.#waiting) return;
    this.#receive = this.#open;
    if (this.#nextHeld * 2 > this.#held.length) {
      this.#held.splice(0, this.#nextHeld);
      this.#nextHeld = 0;
    }
    while (this.#receive === this.#open) {
      const frame = this.#held[this.#nextHeld];
      if (frame === undefined) break;
      this.#nextHeld++;
      this.connection.intake.hold(-frame.bytes.length - HELD_FRAME_OVERHEAD_BYTES);
      this.connection.handle(frame.type, this.number, frame.bytes, 0, frame.bytes.length);
    }
    this.connection.channelSettled();
  }

  #takeHeld(): readonly HeldFrame[] {
    const held = this.#held.slice(this.#nextHeld);
    for (const { bytes } of held) this.connection.intake.hold(-bytes.length - HELD_FRAME_OVERHEAD_BYTES);
    this.#held = [];
    this.#nextHeld = 0;
    return held;
  }

  /** What came after the end of the channel and was held back: a client that closes or opens it again wants an answer. */
  #handOn(held: readonly HeldFrame[]): void {
    for (const { type, bytes } of held) this.connection.handle(type, this.number, bytes, 0, bytes.length);
  }

  #tellEnded(): void {
    for (const consumerTag of this.#ended.splice(0)) this.#queueGone(consumerTag);
  }

  #queueGone(consumerTag: string): void {
    if (this.#handling) {
      this.#ended.push(consumerTag);
      return;
    }
    const { capabilities } = this.connection.session;
    if (capabilities.has('consumer_cancel_notify')) this.reply('basic.cancel', { consumerTag, noWait: true });
  }
}
