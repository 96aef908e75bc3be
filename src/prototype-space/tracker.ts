import { setTimeout as delay } from 'node:timers/promises';
import type { ConsumeMessage, MessageProperties } from 'amqplib';
import type { Logger } from '../overlay/index.js';
import { SpaceError } from '../overlay/index.js';
import { backoffMs } from './backoff.js';
import type { Credential, Endpoint, HomeBroker } from './home-broker.js';
import { STANDSTILL_MS, SWEEP_INTERVAL_MS } from './limits.js';
import { MessageError } from './parse-fields.js';
import { encodeMessage, parseRequest } from './parse-messages.js';
import { textOf } from './text-of.js';
import { TrackerAllowance } from './tracker-allowance.js';
import { refusal } from './tracker-checks.js';
import { Rendezvous } from './tracker-rendezvous.js';
import { encodeSnapshot, parseSnapshot } from './tracker-snapshot.js';
import type { Outcome, Sender, Told } from './tracker-state.js';
import { TrackerState } from './tracker-state.js';
import { TrackerStore } from './tracker-store.js';

/**
 * What brokers make of the reply-to `amq.rabbitmq.reply-to`. The tracker may write to queues that members may not, so
 * it answers to nothing else: no other queue can have such a name.
 */
const DIRECT_REPLY = 'amq.rabbitmq.reply-to.';

const NOT_FOUND = 404;

export interface TrackerOptions {
  /** The name of the space's exchange, which has to exist. */
  readonly space: string;
  readonly virtualHost: string;
  /** Whether what is known outlives the node, as the exchange does. */
  readonly durable: boolean;
  readonly home: HomeBroker;
  readonly logger: Logger;
  /** A clock for leases and allowances, in milliseconds; it need not tell the time of day. */
  readonly now?: () => number;
  readonly random?: () => number;
}

/** The sender of a message, as far as the broker vouches for it and the message can be answered. */
interface Addressed {
  readonly user: string;
  readonly replyTo: string;
  readonly correlationId: string;
}

/**
 * The tracker of one space: an AMQP application that consumes what is published to the space's exchange.
 *
 *     closed → open → closed
 *
 * While it is open it dials its broker again whenever the connection breaks. It ends by itself where the exchange is gone.
 */
export class Tracker {
  readonly #options: TrackerOptions;
  readonly #now: () => number;
  readonly #state: TrackerState;
  readonly #store: TrackerStore | undefined;
  readonly #allowance = new TrackerAllowance();
  /** Requests that were not obeyed for what they are, by cause. */
  readonly #rejected = new Map<string, number>();
  readonly #closed = new AbortController();
  #opening: Promise<void> | undefined;
  #rendezvous: Rendezvous | undefined;
  #sweeps: NodeJS.Timeout | undefined;
  /** By the clock of timers, whichever the leases have. */
  #sweptMs = 0;
  #storedVersion = 0;

  constructor(options: TrackerOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#state = new TrackerState(options);
    this.#store = options.durable ? new TrackerStore(options.space, options.logger) : undefined;
  }

  /**
   * Resolves when requests are taken. Once is enough, and more does no harm.
   *
   * @throws when the exchange is not there, or the broker does not let the tracker in; it may be opened again then
   */
  open(): Promise<void> {
    this.#opening ??= this.#open().catch((error) => {
      this.#opening = undefined;
      throw error;
    });
    return this.#opening;
  }

  async #open(): Promise<void> {
    const login = await this.#options.home.admitTracker(this.#options.virtualHost);
    await this.#connect(login, () => this.#restore());
  }

  /** Tells all members that the space is no more, and forgets it. */
  async delete(): Promise<void> {
    this.#stop();
    this.#tell(this.#state.deleteSpace(`exchange space '${this.#options.space}' has been deleted`));
    await this.#store?.delete();
    await this.#rendezvous?.close();
  }

  /** Members keep their links, and look for the tracker until it is back. */
  async close(): Promise<void> {
    this.#stop();
    await this.#store?.close();
    await this.#rendezvous?.close();
  }

  get #over(): boolean {
    return this.#closed.signal.aborted;
  }

  /** The space lives on without its handle, but not without its exchange. True: the tracker has ended. */
  async closeIfExchangeIsGone(): Promise<boolean> {
    if ((await this.#rendezvous?.exchangeIsThere()) === true) return false;
    await this.close();
    return true;
  }

  #stop(): void {
    this.#closed.abort();
    clearInterval(this.#sweeps);
  }

  // --- the connection ---

  async #connect(login: Endpoint & Credential, prepare: () => Promise<void> | void): Promise<void> {
    const rendezvous = await Rendezvous.open({
      login,
      space: this.#options.space,
      received: (message) => this.#received(message),
      ended: (cause) => this.#lost(login, cause),
    });
    const { signal } = this.#closed;
    try {
      signal.throwIfAborted();
      this.#rendezvous = rendezvous;
      await this.#store?.attach(rendezvous.connection);
      await prepare();
      await rendezvous.listen();
      signal.throwIfAborted();
    } catch (error) {
      await rendezvous.close();
      throw error;
    }
    this.#sweptMs = performance.now();
    this.#sweeps = setInterval(() => this.#sweep(), SWEEP_INTERVAL_MS);
  }

  #lost(login: Endpoint & Credential, cause: unknown): void {
    clearInterval(this.#sweeps);
    if (this.#over) return;
    this.#log('warn', cause, 'the tracker has lost the connection to its own node, and connects again');
    void this.#reconnect(login);
  }

  async #reconnect(login: Endpoint & Credential): Promise<void> {
    const { random = Math.random } = this.#options;
    const { signal } = this.#closed;
    for (let failures = 0; !this.#over; failures += 1) {
      await delay(backoffMs(failures, random), undefined, { signal }).catch(() => {});
      if (this.#over) return;
      try {
        // What was sent last may be lost.
        await this.#connect(login, () => this.#state.awaitRegistrations(this.#now()));
        return;
      } catch (error) {
        if (isNotFound(error)) {
          this.#stop();
          this.#log('warn', error, 'the exchange of the exchange space is gone, and its tracker ends');
        } else if (!this.#over && isPowerOfTwo(failures + 1)) {
          this.#log('warn', error, 'the tracker cannot connect to its own node, and goes on trying');
        }
      }
    }
  }

  // --- requests ---

  #received({ content, properties }: ConsumeMessage): void {
    if (this.#over) return;
    const nowMs = this.#now();
    const from = this.#admit(properties, nowMs);
    if (typeof from === 'string') {
      this.#reject(from, properties.userId);
      return;
    }
    const { reply, events } = this.#handle(content, from, nowMs);
    const body = encodeMessage(reply);
    this.#rendezvous?.send(from.replyTo, body, from.correlationId);
    this.#allowance.charge(from.user, content.length + body.length + this.#tell(events));
    this.#keep();
  }

  /** Who sent it; or why it is not looked at. */
  #admit({ userId, replyTo, correlationId }: MessageProperties, nowMs: number): Addressed | string {
    if (typeof userId !== 'string') return 'no user-id';
    if (typeof correlationId !== 'string') return 'no correlation-id';
    if (typeof replyTo !== 'string' || !replyTo.startsWith(DIRECT_REPLY)) return 'no direct reply-to';
    if (this.#rendezvous?.full === true) return 'the broker does not take answers';
    return this.#allowance.take(userId, nowMs)
      ? { user: userId, replyTo, correlationId }
      : 'too many requests';
  }

  #handle(body: Buffer, { user, replyTo }: Addressed, nowMs: number): Outcome {
    const { home, virtualHost, space } = this.#options;
    try {
      const sender: Sender = { user, permits: home.permits(user, virtualHost, space), replyTo };
      return this.#state.handle(parseRequest(body), sender, nowMs);
    } catch (error) {
      if (!(error instanceof MessageError)) throw error;
      this.#reject('not understood', user);
      return { reply: refusal('invalid', error.message), events: [] };
    }
  }

  /** Counts, and logs one line for one, two, four and so on: whoever sends such requests does not fill the log. */
  #reject(cause: string, user: unknown): void {
    const requests = (this.#rejected.get(cause) ?? 0) + 1;
    this.#rejected.set(cause, requests);
    if (!isPowerOfTwo(requests)) return;
    const { logger, space } = this.#options;
    logger.warn({ space, cause, user, requests }, 'the tracker does not obey a request');
  }

  /** Gives the octets. */
  #tell(events: readonly Told[]): number {
    let octets = 0;
    for (const { to, event } of events) {
      const body = encodeMessage(event);
      octets += body.length;
      this.#rendezvous?.send(to, body);
    }
    return octets;
  }

  #sweep(): void {
    const { home, virtualHost, space } = this.#options;
    const nowMs = this.#now();
    // Renewals are waiting to be read where the process was stopped, or busy.
    if (performance.now() - this.#sweptMs > STANDSTILL_MS) this.#state.extendLeases(nowMs);
    this.#sweptMs = performance.now();
    this.#tell(this.#state.sweep(nowMs, (user) => home.permits(user, virtualHost, space)));
    this.#allowance.sweep(nowMs);
    this.#keep();
  }

  // --- what outlives the node ---

  #keep(): void {
    if (this.#state.version === this.#storedVersion) return;
    this.#storedVersion = this.#state.version;
    this.#store?.save(() => encodeSnapshot(this.#state.snapshot()));
  }

  async #restore(): Promise<void> {
    const stored = await this.#store?.read();
    if (stored === undefined) return;
    try {
      this.#state.restore(parseSnapshot(stored), this.#now());
    } catch (error) {
      if (!(error instanceof MessageError || error instanceof SpaceError)) throw error;
      const text =
        'the stored state of the exchange space is not understood: it begins with none, members register anew by ' +
        'themselves, and the next change replaces it';
      this.#log('error', error, text);
    }
  }

  #log(level: 'warn' | 'error', error: unknown, text: string): void {
    const { logger, space, virtualHost } = this.#options;
    const cause = textOf(error);
    logger[level]({ space, virtualHost, ...(this.#store && { queue: this.#store.queue }), cause }, text);
  }
}

function isNotFound(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === NOT_FOUND;
}

function isPowerOfTwo(count: number): boolean {
  return (count & (count - 1)) === 0;
}
