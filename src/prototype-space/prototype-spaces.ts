import { randomBytes } from 'node:crypto';
import { rootCertificates } from 'node:tls';
import type {
  CallOptions,
  JoinRequest,
  Logger,
  MemoryPressure,
  PointReceiver,
  PointSession,
  SpaceDeclaration,
  SpaceHandle,
  SpaceImplementation,
} from '../overlay/index.js';
import { assertSamePoint, canonicalTable, SpaceError } from '../overlay/index.js';
import type { HomeBroker } from './home-broker.js';
import { JOIN_TIMEOUT_MS } from './limits.js';
import { Membership } from './membership.js';
import type { PrototypePoint } from './point.js';
import type { TrackerAddress } from './settings.js';
import { parseTrackerAddress } from './settings.js';
import { textOf } from './text-of.js';
import { Tracker } from './tracker.js';
import { TrackerSession } from './tracker-session.js';
import { withinLimit } from './within-limit.js';

export interface PrototypeOptions {
  readonly logger: Logger;
  readonly memory: MemoryPressure;
  /** Who may have signed the certificates of other brokers, beside the system's authorities. */
  readonly tlsCa?: Buffer | undefined;
  /** Below 1; the system's if left out. */
  readonly random?: () => number;
}

/**
 * The implementation `prototype`: one broker holds the space and its tracker, where members find each other; messages go
 * straight between the members' brokers. All of it is AMQP 0-9-1.
 */
export class PrototypeSpaces implements SpaceImplementation {
  readonly name = 'prototype';
  readonly #options: Omit<PrototypeOptions, 'tlsCa'>;
  /** Certificates in PEM; undefined: those of the system. */
  readonly #tlsCa: string | undefined;
  readonly #instance = randomBytes(16).toString('hex');
  readonly #home = withResolvers<HomeBroker>();
  /** By tracker, user and space. */
  readonly #memberships = new Map<string, Membership>();
  /** By membership and point. */
  readonly #queues = new Map<string, Promise<unknown>>();
  /** Of the spaces that this node holds, by virtual host and name. */
  readonly #trackers = new Map<string, Tracker>();
  #state: 'running' | 'closed' = 'running';

  constructor(options: PrototypeOptions) {
    this.#options = options;
    const { tlsCa } = options;
    this.#tlsCa = tlsCa && [...rootCertificates, tlsCa].join('\n');
    // Nobody may be waiting for it when the node ends.
    this.#home.promise.catch(() => {});
  }

  /** The node's own broker can be reached: what was asked before goes on from here. */
  start(home: HomeBroker): void {
    this.#home.resolve(home);
  }

  /**
   * The space is held by the broker that its exchange is declared at, so this is for spaces of this node. Settings that
   * name another broker are understood, and refused for where they point to.
   */
  async declareSpace({ space, settings, home: place }: SpaceDeclaration): Promise<SpaceHandle> {
    if (Object.keys(settings).length > 0)
      await this.#refuseElsewhere(space, parseTrackerAddress(settings, ''));
    if (place === undefined)
      throw new SpaceError('invalid-argument', 'a prototype space needs an exchange to meet at');
    const home = await this.#home.promise;
    const { virtualHost, durable } = place;
    const key = `${virtualHost}\0${space}`;
    const { logger } = this.#options;
    const tracker = this.#trackers.get(key) ?? new Tracker({ space, virtualHost, durable, home, logger });
    this.#trackers.set(key, tracker);
    const forget = (): void => {
      if (this.#trackers.get(key) === tracker) this.#trackers.delete(key);
    };
    return {
      opened: async () => {
        try {
          await tracker.open();
        } catch (error) {
          if (error instanceof SpaceError) throw error;
          const text = `exchange space '${space}': its tracker does not start: ${textOf(error)}`;
          throw new SpaceError('not-found', text, { cause: error });
        }
      },
      close: async () => {
        if (await tracker.closeIfExchangeIsGone()) forget();
      },
      delete: async () => {
        forget();
        await tracker.delete();
      },
    };
  }

  async join(
    request: JoinRequest,
    receiver: PointReceiver,
    { signal }: CallOptions = {},
  ): Promise<PointSession> {
    const address = parseTrackerAddress(request.settings);
    // Refuses what other members could not be told.
    canonicalTable(request.point.arguments);
    const deadline = performance.now() + JOIN_TIMEOUT_MS;
    const joining = this.#join(request, address, receiver, signal);
    const { point, session } = await withinLimit(joining, JOIN_TIMEOUT_MS, () => {
      // Nobody is there to have it.
      void joining.then((late) => late.session.leave()).catch(() => {});
      const where = `${address.host}:${address.port}`;
      return new SpaceError('not-found', `exchange space '${request.space}' at ${where}: no answer in time`);
    });
    await point.linked(Math.max(0, deadline - performance.now()));
    return session;
  }

  async close(): Promise<void> {
    this.#state = 'closed';
    this.#home.reject(closed());
    await Promise.all([...this.#memberships.values()].map((membership) => membership.close()));
    await Promise.all([...this.#trackers.values()].map((tracker) => tracker.close()));
    this.#trackers.clear();
  }

  /** Joins of one point by one user go one after the other. */
  async #join(
    { space, point: definition }: JoinRequest,
    address: TrackerAddress,
    receiver: PointReceiver,
    signal: AbortSignal | undefined,
  ): Promise<Joined> {
    const key = JSON.stringify([space, ...Object.values(address)]);
    return this.#inTurn(JSON.stringify([key, definition.name]), async () => {
      if (signal?.aborted === true) throw new SpaceError('not-found', 'joining was given up');
      await this.#memberships.get(key)?.point(definition.name)?.leaving;
      const membership = await this.#membership(key, space, address);
      const point = membership.point(definition.name) ?? (await membership.join(definition));
      assertSamePoint(space, point.definition, definition);
      return { point, session: point.local.join(receiver) };
    });
  }

  async #membership(key: string, space: string, address: TrackerAddress): Promise<Membership> {
    const { logger, memory, random = Math.random } = this.#options;
    const home = await this.#home.promise;
    if (this.#state === 'closed') throw closed();
    for (const [other, { over }] of this.#memberships) if (over) this.#memberships.delete(other);
    const membership =
      this.#memberships.get(key) ??
      new Membership({
        address,
        space,
        instance: this.#instance,
        home,
        logger,
        memory,
        random,
        tlsCa: this.#tlsCa,
      });
    this.#memberships.set(key, membership);
    return membership;
  }

  async #inTurn<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#queues.get(key) ?? Promise.resolve();
    const result = before.then(work);
    const settled = result.then(
      () => {},
      () => {},
    );
    this.#queues.set(key, settled);
    try {
      return await result;
    } finally {
      if (this.#queues.get(key) === settled) this.#queues.delete(key);
    }
  }

  /** @throws SpaceError always: `conflict` when there is such a space elsewhere */
  async #refuseElsewhere(space: string, address: TrackerAddress): Promise<never> {
    const nothing = (): void => {};
    const options = { address, space, tlsCa: this.#tlsCa };
    const found = await TrackerSession.open({
      ...options,
      event: nothing,
      learned: nothing,
      misunderstood: nothing,
      ended: nothing,
    });
    await found.close();
    throw new SpaceError(
      'conflict',
      `exchange space '${space}' is held by the broker at ${address.host}:${address.port}: it is declared there`,
    );
  }
}

interface Joined {
  readonly point: PrototypePoint;
  readonly session: PointSession;
}

interface Resolvers<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(error: unknown): void;
}

/** `Promise.withResolvers`, which Node 20 does not have. */
function withResolvers<T>(): Resolvers<T> {
  let resolve: (value: T) => void = () => {};
  let reject: (error: unknown) => void = () => {};
  const promise = new Promise<T>((fulfil, fail) => {
    resolve = fulfil;
    reject = fail;
  });
  return { promise, resolve, reject };
}

function closed(): SpaceError {
  return new SpaceError('not-found', 'the node has stopped');
}
