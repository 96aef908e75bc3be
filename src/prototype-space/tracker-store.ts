import { createHash } from 'node:crypto';
import type { ChannelModel, ConfirmChannel } from 'amqplib';
import type { Logger } from '../overlay/index.js';
import {
  MAX_NAME_BYTES,
  STATE_FLUSH_TIMEOUT_MS,
  STATE_WRITE_INTERVAL_MS,
  STATE_WRITE_SHARE,
} from './limits.js';
import { textOf } from './text-of.js';
import { withinLimit } from './within-limit.js';

const PREFIX = 'xspace.tracker.';
/** Copies are one, or two where the node was killed between writing the newer and removing the older. */
const MAX_COPIES = 8;

/** The queue with the state of a space's tracker. */
export function stateQueue(space: string): string {
  const name = `${PREFIX}${space}`;
  if (Buffer.byteLength(name) <= MAX_NAME_BYTES) return name;
  return `${PREFIX}${createHash('sha256').update(space).digest('hex')}`;
}

/**
 * Keeps the newest state of a tracker as the one persistent message of a durable queue. At most one write is under way,
 * and what changes meanwhile is written together.
 */
export class TrackerStore {
  readonly queue: string;
  readonly #space: string;
  readonly #logger: Logger;
  #channel: ConfirmChannel | undefined;
  /** Makes the octets of the newest state; undefined: it is written, or being written. */
  #newest: (() => Buffer) | undefined;
  #writing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #writtenMs = Number.NEGATIVE_INFINITY;
  /** How long the last write took. */
  #tookMs = 0;

  constructor(space: string, logger: Logger) {
    this.queue = stateQueue(space);
    this.#space = space;
    this.#logger = logger;
  }

  /** Uses this connection from now on, also for what could not be written over the last one. */
  async attach(connection: ChannelModel): Promise<void> {
    const channel = await connection.createConfirmChannel();
    let cause: Error | undefined;
    channel.on('error', (error) => {
      cause = error;
    });
    channel.on('close', () => {
      if (this.#channel === channel) this.#channel = undefined;
      if (cause !== undefined) this.#warn(cause, 'the state of the exchange space is not stored any more');
    });
    await channel.assertQueue(this.queue, { durable: true, maxLength: 1, overflow: 'drop-head' });
    this.#channel = channel;
    this.#schedule();
  }

  /** The newest state that is there. It stays there until another one is written. */
  async read(): Promise<Buffer | undefined> {
    const channel = this.#channel;
    let newest: Buffer | undefined;
    let copies = 0;
    for (; channel !== undefined && copies < MAX_COPIES; copies += 1) {
      const message = await channel.get(this.queue);
      if (message === false) break;
      newest = message.content;
    }
    if (copies > 0) channel?.nackAll(true);
    if (copies > 1 && newest !== undefined) this.save(() => newest);
    return newest;
  }

  /** Writes the state soon, as it is then. */
  save(encode: () => Buffer): void {
    this.#newest = encode;
    this.#schedule();
  }

  /** Writes what is not written yet. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    const written = async () => {
      await this.#writing;
      await this.#write();
    };
    const late = () => new Error(`not written within ${STATE_FLUSH_TIMEOUT_MS} ms`);
    await withinLimit(written(), STATE_FLUSH_TIMEOUT_MS, late).catch((error) => {
      this.#warn(error, 'the last state of the exchange space is not stored');
    });
    this.#channel = undefined;
    clearTimeout(this.#timer);
  }

  /** As if there had never been a state. */
  async delete(): Promise<void> {
    clearTimeout(this.#timer);
    this.#newest = undefined;
    const channel = this.#channel;
    this.#channel = undefined;
    try {
      if (channel === undefined) throw new Error('no connection to the broker');
      await channel.deleteQueue(this.queue);
    } catch (error) {
      this.#warn(error, 'the state of the deleted exchange space is still stored: delete the queue');
    }
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#writing !== undefined) return;
    if (this.#newest === undefined || this.#channel === undefined) return;
    const pauseMs = Math.max(STATE_WRITE_INTERVAL_MS, STATE_WRITE_SHARE * this.#tookMs);
    const waitMs = this.#writtenMs + pauseMs - performance.now();
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        void this.#write();
      },
      Math.max(0, waitMs),
    );
  }

  async #write(): Promise<void> {
    const [encode, channel] = [this.#newest, this.#channel];
    if (encode === undefined || channel === undefined) return;
    this.#newest = undefined;
    this.#writtenMs = performance.now();
    this.#writing = publish(channel, this.queue, encode());
    try {
      await this.#writing;
    } catch (error) {
      // Unless there is a newer one by now.
      this.#newest ??= encode;
      this.#warn(error, 'the state of the exchange space could not be stored, and will be tried again');
    } finally {
      this.#writing = undefined;
      this.#tookMs = performance.now() - this.#writtenMs;
      this.#schedule();
    }
  }

  #warn(error: unknown, text: string): void {
    const cause = textOf(error);
    this.#logger.warn({ space: this.#space, queue: this.queue, cause }, text);
  }
}

/** Resolves when the broker has it on the disk. */
function publish(channel: ConfirmChannel, queue: string, body: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    channel.publish('', queue, body, { persistent: true, contentType: 'application/json' }, (error) => {
      if (error === null || error === undefined) resolve();
      else reject(error);
    });
  });
}
