import { randomBytes, randomInt } from 'node:crypto';
import type { Connection, Stream } from '@libp2p/interface';
import type { Content, Logger, MemoryPressure } from '../overlay/index.js';
import { aborted } from './aborted.js';
import { backoffMs } from './backoff.js';
import { greet } from './greeting.js';
import type { ReceivedContent } from './inbox.js';
import type { IncomingMessages, MessageStreamOwner } from './incoming-messages.js';
import {
  CREDIT_WINDOW_BYTES,
  DEAD_AFTER_MS,
  DOUBLE_DIAL_WINDOW_MS,
  UNSHARED_LIMIT_MS,
  UPGRADE_INTERVAL_MS,
} from './limits.js';
import { LinkLog } from './link-log.js';
import type { LinkSession } from './link-session.js';
import { OutgoingMessages } from './outgoing-messages.js';
import type { Participant } from './participant.js';
import { PeerPoints } from './peer-points.js';
import { PROTOCOL_VERSION } from './protocol.js';
import type { Refusals } from './refusals.js';
import { clip, clipCause, PeerFault } from './refusals.js';
import type { Control, Hello } from './wire/control.js';

/** What a link asks of the node that it belongs to. */
export interface LinkHost {
  /** This node's peer id. */
  readonly id: string;
  /** 64 random bits of this start of the node. */
  readonly epoch: bigint;
  /** For people. */
  readonly name: string;
  readonly logger: Logger;
  readonly memory: MemoryPressure;
  readonly refusals: Refusals;
  readonly now: () => number;
  readonly random: () => number;
  /** Resolves when this node knows what it has to before it lets anybody in; undefined: it does. */
  informed(): Promise<void> | undefined;
  /** Opens a control stream to the peer; `directly`: over no relay. */
  dial(
    peer: string,
    how: { directly: boolean },
    signal: AbortSignal,
  ): Promise<{ connection: Connection; stream: Stream }>;
  /** A session has begun. */
  opened(link: Link): void;
  /** A control message that is not the link's own. */
  received(link: Link, message: Control): void;
  /** The peer could not be linked for {@link DEAD_AFTER_MS}; its interest and its outbox are gone. */
  dead(link: Link): void;
  /** It published to a point at which it is not let in, or which this node takes no part in. */
  stray(by: Participant): void;
  /** There is something to send: `flush` is to be called at the end of this turn of the loop. */
  dirty(link: Link): void;
}

type LinkState =
  | { readonly kind: 'down' | 'dead'; readonly sinceMs: number }
  | { readonly kind: 'open'; readonly session: LinkSession }
  | { readonly kind: 'closed' };

/**
 * This node's side of everything that goes on with one peer, over any number of connections: what is sent to it, what
 * it wants, and one loop that keeps a session up while spaces are shared with it.
 */
export class Link {
  readonly peer: string;
  readonly outgoing: OutgoingMessages;
  /** Spaces shared with the peer; while there are any, the link is kept up. */
  readonly spaces = new Set<string>();
  /** The peer's part in points. */
  readonly points: PeerPoints;
  /** The peer's start that `points` and what was taken in belong to. */
  remoteEpoch = 0n;
  /** What the peer calls its side of the link, likewise; 0 before the first greeting. */
  #remoteLink = 0n;
  /** Tells this side of the link from an earlier one that was given up; never 0. */
  readonly #number = randomBytes(8).readBigUInt64BE() || 1n;
  /** Everything before this offset of the peer's messages was taken in, at least: with less, some come twice and are known. */
  #consumed = 0;

  readonly #host: LinkHost;
  readonly #log: LinkLog;
  #state: LinkState;
  #attempt = Promise.withResolvers<void>();
  #dialling: AbortController | undefined;
  #dialEnded: Promise<void> = Promise.resolve();
  /** When a direct connection is tried next, while the session has none. */
  #upgradeMs = 0;
  #wake: () => void = () => {};
  /** The peer has other addresses than those that were dialled last. */
  #moved = false;

  constructor(peer: string, host: LinkHost) {
    this.peer = peer;
    this.#host = host;
    this.#log = new LinkLog(peer, host.logger);
    this.outgoing = new OutgoingMessages(peer, host);
    this.points = new PeerPoints(this);
    this.#state = { kind: 'down', sinceMs: host.now() };
  }

  /** The session, while there is one. */
  get session(): LinkSession | undefined {
    return this.#state.kind === 'open' && !this.#state.session.over ? this.#state.session : undefined;
  }

  get kind(): LinkState['kind'] {
    return this.#state.kind;
  }

  /** Whether there ever was a session. */
  get wasOpen(): boolean {
    return this.#remoteLink !== 0n;
  }

  /** How long there has been no session. */
  downMs(nowMs: number): number {
    return this.#state.kind === 'down' || this.#state.kind === 'dead' ? nowMs - this.#state.sinceMs : 0;
  }

  // --- the run loop: the whole retry policy ---

  /** Keeps a session up until `close`. */
  async run(): Promise<void> {
    let attempt = 0;
    while (this.#state.kind !== 'closed') {
      if (this.#moved) attempt = 0;
      this.#moved = false;
      if (this.session === undefined && this.spaces.size > 0) await this.#dial(attempt);
      this.#attempt.resolve();
      if (this.#state.kind === 'open') {
        const { session } = this.#state;
        await this.#sessionEnd(session);
        if (!session.refused) attempt = 0;
      }
      this.#attempt = Promise.withResolvers();
      attempt += 1;
      await this.#pause(backoffMs(attempt, this.#host.random));
    }
    this.#attempt.resolve();
  }

  /** Makes the next attempt now: there is a new space, or somebody who waits. */
  wake(): void {
    this.#wake();
  }

  /** The peer has other addresses: tries them at once, or after the attempt that is under way, as if it were the first. */
  moved(): void {
    const { session } = this;
    if (session?.relayed) this.#upgradeMs = this.#host.now();
    if (session !== undefined) return;
    this.#moved = true;
    this.#wake();
  }

  /** Resolves when there is a session, or the next attempt at one has failed. */
  attempted(): Promise<void> {
    this.#wake();
    return this.session === undefined ? this.#attempt.promise : Promise.resolve();
  }

  /** Resolves when no dial of this side is under way: what comes of one may take the place of a session that is there. */
  dialled(): Promise<void> {
    return this.#dialEnded;
  }

  /** Ends the link for good, after the peer has taken in what was accepted for it; nothing of it survives. */
  async close(reason: string, signal: AbortSignal): Promise<void> {
    const last = this.session;
    if (last !== undefined) await Promise.race([this.outgoing.emptied(), last.ended, aborted(signal)]);
    const { session } = this;
    this.#state = { kind: 'closed' };
    this.#dialling?.abort(new Error(reason));
    this.#wake();
    await session?.close(reason, signal);
    this.points.clear();
    this.outgoing.clear();
  }

  async #dial(failures: number): Promise<void> {
    const controller = new AbortController();
    const ended = Promise.withResolvers<void>();
    this.#dialling = controller;
    this.#dialEnded = ended.promise;
    try {
      const { connection, stream } = await this.#host.dial(
        this.peer,
        { directly: this.session !== undefined },
        controller.signal,
      );
      const { session } = this;
      const isBetter = session === undefined || (session.relayed && connection.direct);
      if (!isBetter || this.#state.kind === 'closed') stream.abort(new Error('no longer needed'));
      else await this.greet(connection, stream, true);
    } catch (error) {
      if (this.session === undefined) {
        if (error instanceof PeerFault) this.#host.refusals.addFault(error, this.peer);
        const cause = clipCause(error instanceof Error ? error.message : String(error));
        // It is tried for ever: once is enough for people.
        const level = failures === 0 ? 'info' : 'debug';
        this.#host.logger[level]({ peer: this.peer, cause }, 'could not link');
      }
    } finally {
      if (this.#dialling === controller) this.#dialling = undefined;
      ended.resolve();
    }
  }

  async #sessionEnd(session: LinkSession): Promise<void> {
    const cause = await session.ended;
    if (this.#state.kind !== 'open' || this.#state.session !== session) return;
    this.#consumed = session.consumed ?? this.#consumed;
    this.#state = { kind: 'down', sinceMs: this.#host.now() };
    if (cause instanceof PeerFault) this.#host.refusals.addFault(cause, this.peer);
    this.#log.lost(cause, this.spaces.size > 0);
  }

  #pause(ms: number): Promise<void> {
    if (this.#moved || this.#state.kind === 'closed' || this.#state.kind === 'open') return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    this.#wake = () => {
      clearTimeout(timer);
      resolve();
    };
    return promise;
  }

  /** The space is shared with the peer from now on. */
  share(spaceId: string): void {
    if (this.spaces.has(spaceId)) return;
    const wasStranger = this.spaces.size === 0;
    this.spaces.add(spaceId);
    if (wasStranger && this.session !== undefined) this.#log.linked(this.session, true);
    this.wake();
  }

  // --- sessions ---

  /** Greets over a control stream, whoever opened it. @throws Error when that fails */
  async greet(connection: Connection, stream: Stream, dialled: boolean): Promise<void> {
    // The stream holds back what the other side says meanwhile.
    const informed = this.#host.informed();
    if (informed !== undefined) await informed;
    return greet({
      connection,
      stream,
      dialled,
      greeting: this.#greeting(),
      now: this.#host.now,
      adopt: (session) => this.#adopt(session),
    });
  }

  #greeting(): Hello {
    return {
      versions: [PROTOCOL_VERSION],
      capabilities: [],
      epoch: this.#host.epoch,
      name: this.#host.name,
      link: this.#number,
      knownLink: this.#remoteLink,
      consumed: this.session?.consumed ?? this.#consumed,
      credit: this.#host.memory.high ? 0 : CREDIT_WINDOW_BYTES,
      session: randomInt(2 ** 32),
    };
  }

  /** @throws Error when the peer claims what cannot be */
  #adopt(session: LinkSession): void {
    const current = this.session;
    if (this.#state.kind === 'closed' || (current !== undefined && !this.#replaces(session, current))) {
      session.abort(new Error('another session of this link is kept'));
      return;
    }
    this.#consumed = current?.consumed ?? this.#consumed;
    const offset = this.#resume(session);
    this.#state = { kind: 'open', session };
    this.#log.begun(session);
    current?.abort(new Error('replaced by a newer session'));
    // A direct connection may still come of this side's dial.
    if (!session.relayed) this.#dialling?.abort(new Error('the other side has dialled'));
    if (session.relayed) this.#upgradeMs = this.#host.now() + UPGRADE_INTERVAL_MS * this.#host.random();
    else if (current?.relayed) void current.connection.close().catch(() => {});
    session.control.onMessage = (message) => this.#onControl(session, message);
    void session.openMessages(offset, () => this.flush());
    this.#log.linked(session, this.spaces.size > 0);
    this.#attempt.resolve();
    this.#wake();
    this.#host.opened(this);
  }

  /** Both sides may dial at the same time: both keep the session that the lower peer id dialled. */
  #replaces(session: LinkSession, current: LinkSession): boolean {
    if (session.hello.epoch !== current.hello.epoch) return true;
    if (session.relayed !== current.relayed) return current.relayed;
    if (this.#host.now() - current.startedMs > DOUBLE_DIAL_WINDOW_MS) return true;
    return session.dialled === this.#host.id < this.peer;
  }

  /** Picks up where the last session ended, as far as both sides remember it. Returns where sending goes on. */
  #resume({ hello }: LinkSession): number {
    if (hello.link !== this.#remoteLink) {
      // The peer started anew, or forgot this node: it has seen nothing and wants nothing until it says so.
      this.outgoing.clear();
      this.points.clear();
      this.#consumed = 0;
      this.#remoteLink = hello.link;
      this.remoteEpoch = hello.epoch;
    }
    // A greeting may be older than what the peer knows by now, where both have dialled: then it claims less.
    const consumed = hello.knownLink === this.#number ? hello.consumed : 0;
    return this.outgoing.resume(consumed, hello.credit);
  }

  /** The peer's message stream has come, for the session that it names. */
  claimMessages(number: number, messages: IncomingMessages): MessageStreamOwner | undefined {
    const session = this.session;
    if (session === undefined || session.hello.session !== number) return undefined;
    return session.own(messages, this, { now: this.#host.now, mayGrant: () => !this.#host.memory.high });
  }

  #onControl(session: LinkSession, message: Control): void {
    session.heard(this.#host.now());
    if (message.ping !== undefined) session.control.send({ pong: message.ping });
    else if (message.settled !== undefined) session.settlement.acknowledge(message.settled.number);
    else if (message.progress !== undefined) {
      this.outgoing.progress(message.progress.consumed, message.progress.limit);
      this.flush();
    } else if (message.goodbye !== undefined) {
      session.abort(new Error(`the peer ended it: ${clip(message.goodbye.reason)}`));
    } else if (message.hello !== undefined) throw new Error('a second greeting');
    else if (message.pong === undefined) this.#host.received(this, message);
  }

  /** Heartbeats, stalls, deaths. To be called about every second. */
  tick(nowMs: number): void {
    const state = this.#state;
    if (state.kind === 'open') {
      state.session.tick(nowMs);
      if (state.session.relayed && nowMs >= this.#upgradeMs && this.#dialling === undefined) {
        this.#upgradeMs = nowMs + UPGRADE_INTERVAL_MS;
        void this.#dial(1);
      }
      if (this.spaces.size === 0 && nowMs - state.session.startedMs > UNSHARED_LIMIT_MS) {
        state.session.abort(new Error('no space is shared'));
      }
    } else if (state.kind === 'down' && nowMs - state.sinceMs >= DEAD_AFTER_MS) {
      this.#state = { kind: 'dead', sinceMs: state.sinceMs };
      this.points.detach();
      this.outgoing.clear();
      this.#host.dead(this);
    }
    this.outgoing.tick(nowMs);
  }

  // --- messages ---

  /** Accepts a message for the peer; see {@link OutgoingMessages.send}. */
  send(point: number, to: Participant, sequence: number, content: Content): Promise<void> | undefined {
    this.#host.dirty(this);
    return this.outgoing.send(point, to, sequence, content);
  }

  flush(): void {
    const session = this.session;
    if (session !== undefined) this.outgoing.flush(session);
  }

  /** A record of the peer's message stream: it gives a point a number. */
  point(number: number, spaceId: Buffer, name: string): void {
    this.points.number(number, spaceId, name);
  }

  /** A record of the peer's message stream: it publishes to a point. */
  message(number: number, sequence: number, content: ReceivedContent): void {
    const participant = this.points.byNumber(number);
    if (participant === undefined) throw new Error(`point ${number} was not named`);
    if (!participant.receive(sequence, content)) this.#host.stray(participant);
  }
}
