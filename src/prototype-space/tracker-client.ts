import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../overlay/index.js';
import { SpaceError } from '../overlay/index.js';
import { backoffMs } from './backoff.js';
import {
  LEAVE_TIMEOUT_MS,
  NO_TRACKER_PATIENCE_MS,
  NO_TRACKER_RETRY_MS,
  RENEW_INTERVAL_MS,
} from './limits.js';
import type { TrackerRequest } from './protocol.js';
import { textOf } from './text-of.js';
import type { Answer, SessionOptions } from './tracker-session.js';
import { NoTracker, TrackerRefusal, TrackerSession } from './tracker-session.js';
import { withinLimit } from './within-limit.js';

/** A request without what every request has. */
export type Ask = TrackerRequest extends infer R
  ? R extends TrackerRequest
    ? Omit<R, 'member' | 'sequence'>
    : never
  : never;

export interface TrackerClientOptions
  extends Pick<SessionOptions, 'address' | 'space' | 'tlsCa' | 'event' | 'learned'> {
  readonly member: string;
  readonly logger: Logger;
  readonly random: () => number;
  /** All that the member has, for a tracker that may know nothing of it. `localAddress`: what it is reached from here by. */
  statement(localAddress: string | undefined): Ask;
  /** The tracker has taken the statement, and told who else is there. */
  registered(answer: Answer): void;
  /** Others have defined the point otherwise meanwhile: the statement leaves it out from now on. False: there is none. */
  conflicted(point: string, reason: string): boolean;
  /** Renews the lease, with {@link ask}. */
  renew(): Promise<void>;
  /** This node may not be a member any more. */
  refused(reason: string): void;
}

/**
 * A member's connection to its tracker, for as long as the membership lasts.
 *
 *     away ⇄ connecting ⇄ registered
 */
export class TrackerClient {
  readonly #options: TrackerClientOptions;
  readonly #closed = new AbortController();
  #sequence = 0;
  #session: TrackerSession | undefined;
  #connecting: Promise<TrackerSession> | undefined;
  #renewal: NodeJS.Timeout | undefined;
  #redialling = false;

  constructor(options: TrackerClientOptions) {
    this.#options = options;
  }

  /**
   * Connects and registers now, unless that was done.
   *
   * @throws SpaceError as {@link TrackerSession.open}
   */
  connected(): Promise<TrackerSession> {
    if (this.#session !== undefined) return Promise.resolve(this.#session);
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = undefined;
    });
    return this.#connecting;
  }

  /** @throws SpaceError `not-found`: the tracker is away; or what its refusal means */
  async ask(ask: Ask): Promise<Answer> {
    try {
      return await this.#ask(ask);
    } catch (error) {
      throw translated(error);
    }
  }

  /** For news that the lease would tell as well, later: waits for a short time, and does not connect for it. */
  async tell(ask: Ask): Promise<void> {
    const session = this.#session;
    if (session === undefined) return;
    const late = (): Error => new Error(`no answer within ${LEAVE_TIMEOUT_MS} ms`);
    try {
      await withinLimit(session.request(this.#signed(ask)), LEAVE_TIMEOUT_MS, late);
    } catch (error) {
      const { space, logger } = this.#options;
      logger.debug({ space, cause: textOf(error) }, 'the tracker could not be told');
    }
  }

  /** The tracker has told that this node is no member any more: it is asked again on another connection. */
  async dropped(reason: string): Promise<void> {
    const session = this.#session;
    if (session !== undefined) await this.#giveUp(session, new SpaceError('refused', reason));
  }

  async close(): Promise<void> {
    this.#closed.abort();
    clearInterval(this.#renewal);
    await this.#session?.close();
    this.#session = undefined;
  }

  async #connect(): Promise<TrackerSession> {
    const { address, space, tlsCa, logger, event, learned, renew } = this.#options;
    const session = await TrackerSession.open({
      address,
      space,
      tlsCa,
      event,
      learned,
      misunderstood: (problem) =>
        logger.warn({ space, problem }, 'the tracker sent what is not understood; dropped'),
      ended: (cause) => this.#lost(session, cause),
    });
    try {
      await this.#register(session);
      this.#closed.signal.throwIfAborted();
    } catch (error) {
      await session.close();
      throw translated(error);
    }
    this.#session = session;
    this.#renewal = setInterval(
      () => void renew().catch((error) => this.#giveUp(session, translated(error))),
      RENEW_INTERVAL_MS,
    );
    return session;
  }

  async #register(session: TrackerSession): Promise<void> {
    for (;;) {
      const statement = this.#options.statement(session.localAddress);
      try {
        this.#options.registered(await this.#patiently(() => session.request(this.#signed(statement))));
        return;
      } catch (error) {
        const point = error instanceof TrackerRefusal ? error.point : undefined;
        if (point === undefined || !this.#options.conflicted(point, textOf(error))) throw error;
      }
    }
  }

  /** A tracker that has just been started may take a moment until it listens. */
  async #patiently<T>(request: () => Promise<T>): Promise<T> {
    const deadline = performance.now() + NO_TRACKER_PATIENCE_MS;
    for (;;) {
      try {
        return await request();
      } catch (error) {
        if (!(error instanceof NoTracker) || performance.now() > deadline) throw error;
      }
      await delay(NO_TRACKER_RETRY_MS, undefined, { signal: this.#closed.signal });
    }
  }

  async #ask(ask: Ask): Promise<Answer> {
    const session = await this.connected();
    try {
      return await session.request(this.#signed(ask));
    } catch (error) {
      if (!(error instanceof TrackerRefusal) || error.code !== 'unknown-member') throw error;
    }
    // It was started anew without what it knew, or this member's lease ran out unnoticed.
    await this.#register(session);
    return session.request(this.#signed(ask));
  }

  #signed(ask: Ask): TrackerRequest {
    this.#sequence += 1;
    return { ...ask, member: this.#options.member, sequence: this.#sequence };
  }

  /** A connection that is of no use any more: the next one says what is wrong. */
  async #giveUp(session: TrackerSession, cause: SpaceError): Promise<void> {
    if (this.#session !== session) return;
    await session.close();
    this.#lost(session, cause);
  }

  #lost(session: TrackerSession, cause: SpaceError): void {
    if (this.#session !== session) return;
    clearInterval(this.#renewal);
    this.#session = undefined;
    const { space, logger } = this.#options;
    logger.warn({ space, cause: cause.message }, 'lost the tracker; links carry on');
    if (cause.code === 'refused') this.#options.refused(cause.message);
    if (!this.#redialling) void this.#redial();
  }

  async #redial(): Promise<void> {
    this.#redialling = true;
    await this.#redialUntilConnected();
    this.#redialling = false;
  }

  async #redialUntilConnected(): Promise<void> {
    const { space, logger, random, refused } = this.#options;
    const { signal } = this.#closed;
    let logged: string | undefined;
    for (let failures = 0; this.#session === undefined; failures += 1) {
      await delay(backoffMs(failures, random), undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      try {
        await this.connected();
        logger.info({ space }, 'the tracker is back');
      } catch (error) {
        const { code, message } = translated(error);
        if (code === 'refused') refused(message);
        if (message !== logged) logger.warn({ space, cause: message }, 'the tracker is still away');
        logged = message;
      }
    }
  }
}

const CODES = {
  invalid: 'invalid-argument',
  refused: 'refused',
  conflict: 'conflict',
  limit: 'refused',
  'unknown-member': 'not-found',
  replayed: 'not-found',
} as const;

function translated(error: unknown): SpaceError {
  if (error instanceof SpaceError) return error;
  const code = error instanceof TrackerRefusal ? CODES[error.code] : 'not-found';
  return new SpaceError(code, textOf(error), { cause: error });
}
