import { randomBytes } from 'node:crypto';
import type { Connection, Stream } from '@libp2p/interface';
import type { Logger, MemoryPressure } from '../overlay/index.js';
import { connect, connectDirectly } from './dialling.js';
import { IncomingMessages } from './incoming-messages.js';
import { DIAL_TIMEOUT_MS, LOST_PEER_RETENTION_MS, MAX_LINKS } from './limits.js';
import type { LinkHost } from './link.js';
import { Link } from './link.js';
import type { OverlayNode } from './node.js';
import { openStream } from './open-stream.js';
import type { Participant } from './participant.js';
import { CONTROL_PROTOCOL, MESSAGES_PROTOCOL } from './protocol.js';
import type { Refusals } from './refusals.js';
import { PeerFault } from './refusals.js';
import { timeLimit } from './time-limit.js';
import type { Control } from './wire/control.js';

const TICK_INTERVAL_MS = 1000;

export interface LinksOptions {
  readonly node: OverlayNode;
  /** This node's name, for people. */
  readonly name: string;
  readonly logger: Logger;
  readonly memory: MemoryPressure;
  /** Where the peer can be reached, as far as the spaces know. */
  readonly addresses: (peer: string) => readonly string[];
  readonly opened: (link: Link) => void;
  readonly received: (link: Link, message: Control) => void;
  readonly dead: (link: Link) => void;
  /** See {@link LinkHost.stray}. */
  readonly stray?: (by: Participant) => void;
  /** See {@link LinkHost.informed}. */
  readonly informed: () => Promise<void> | undefined;
  /** Milliseconds since 1970, and random numbers below 1. */
  readonly now: () => number;
  readonly random: () => number;
}

/** All links of a node: at most one per peer, whoever dialled. */
export class Links implements LinkHost {
  readonly id: string;
  /** Zero means "none" on the wire. */
  readonly epoch = randomBytes(8).readBigUInt64BE() || 1n;
  readonly name: string;
  readonly logger: Logger;
  readonly memory: MemoryPressure;
  readonly refusals: Refusals;
  readonly now: () => number;
  readonly random: () => number;
  readonly #options: LinksOptions;
  readonly #links = new Map<string, Link>();
  #dirty = new Set<Link>();
  readonly #flush = () => this.#flushDirty();
  #timer: NodeJS.Timeout | undefined;
  #state: 'open' | 'closed' = 'open';
  #unsubscribe: () => void = () => {};

  constructor(options: LinksOptions) {
    this.#options = options;
    this.id = options.node.id;
    this.name = options.name;
    this.logger = options.logger;
    this.memory = options.memory;
    this.refusals = options.node.refusals;
    this.now = options.now;
    this.random = options.random;
  }

  async start(): Promise<void> {
    const { libp2p } = this.#options.node;
    // One control and one message stream per peer; two while a double dial is being settled.
    const streams = { maxInboundStreams: 4, maxOutboundStreams: 4, runOnLimitedConnection: true };
    await libp2p.handle(CONTROL_PROTOCOL, (stream, connection) => this.#accept(stream, connection), streams);
    await libp2p.handle(
      MESSAGES_PROTOCOL,
      (stream, connection) => this.#acceptMessages(stream, connection),
      streams,
    );
    this.#timer = setInterval(() => this.#tick(), TICK_INTERVAL_MS);
    this.#unsubscribe = this.memory.onChange((high) => {
      if (!high) for (const link of this.#links.values()) link.session?.grant();
    });
  }

  get(peer: string): Link | undefined {
    return this.#links.get(peer);
  }

  [Symbol.iterator](): Iterator<Link> {
    return this.#links.values();
  }

  /** The space has this peer as a member: links to it, for as long as a space is shared. */
  share(peer: string, spaceId: string): Link | undefined {
    const link = this.#links.get(peer) ?? this.#create(peer);
    if (link === undefined) {
      this.#refuseLink(peer);
      return undefined;
    }
    link.share(spaceId);
    return link;
  }

  unshare(peer: string, spaceId: string): void {
    const link = this.#links.get(peer);
    if (link === undefined || !link.spaces.delete(spaceId)) return;
    // Whoever comes back is told anew.
    link.session?.told.delete(spaceId);
    for (const participant of link.points) {
      if (participant.spaceId === spaceId) participant.detach();
    }
  }

  /** Ends all links; there are no new ones after that. */
  async close(reason: string, signal: AbortSignal): Promise<void> {
    this.#state = 'closed';
    clearInterval(this.#timer);
    this.#unsubscribe();
    await this.#options.node.libp2p.unhandle([CONTROL_PROTOCOL, MESSAGES_PROTOCOL]);
    await Promise.all([...this.#links.values()].map((link) => link.close(reason, signal)));
    this.#links.clear();
  }

  // --- for the links ---

  async dial(
    peer: string,
    { directly }: { directly: boolean },
    signal: AbortSignal,
  ): Promise<{ connection: Connection; stream: Stream }> {
    const deadline = timeLimit(DIAL_TIMEOUT_MS, signal);
    const destination = { peer, addresses: this.#options.addresses(peer) };
    const dial = directly ? connectDirectly : connect;
    const connection = await dial(this.#options.node, destination, deadline);
    try {
      const stream = await openStream(connection, CONTROL_PROTOCOL, { signal: deadline });
      return { connection, stream };
    } catch (error) {
      // One from before that nothing comes through any more is open for libp2p, and would be used again.
      if (deadline.aborted && !signal.aborted) connection.abort(new Error('no answer in time'));
      throw error;
    }
  }

  informed(): Promise<void> | undefined {
    return this.#options.informed();
  }

  opened(link: Link): void {
    this.#options.opened(link);
  }

  received(link: Link, message: Control): void {
    this.#options.received(link, message);
  }

  stray(by: Participant): void {
    this.#options.stray?.(by);
  }

  dead(link: Link): void {
    this.logger.warn({ peer: link.peer }, 'member is dead');
    this.#options.dead(link);
  }

  dirty(link: Link): void {
    if (this.#dirty.size === 0) setImmediate(this.#flush);
    this.#dirty.add(link);
  }

  #flushDirty(): void {
    for (const link of this.#dirty) link.flush();
    this.#dirty.clear();
  }

  // --- incoming streams ---

  #accept(stream: Stream, connection: Connection): void {
    const peer = connection.remotePeer.toString();
    const link = this.#links.get(peer) ?? this.#create(peer);
    if (link === undefined) {
      stream.abort(new Error('too many links'));
      this.#refuseLink(peer);
      return;
    }
    link.greet(connection, stream, false).catch((error: unknown) => {
      if (error instanceof PeerFault) this.refusals.addFault(error, peer);
      else this.logger.debug({ peer, err: error }, 'a greeting ended early');
    });
  }

  #acceptMessages(stream: Stream, connection: Connection): void {
    const peer = connection.remotePeer.toString();
    // It reads until it knows its session, and aborts itself where there is none.
    new IncomingMessages(stream, (session, messages) => {
      const owner = this.#links.get(peer)?.claimMessages(session, messages);
      if (owner === undefined) {
        this.refusals.add('greeting', { peer, cause: 'a message stream of an unknown session' });
      }
      return owner;
    });
  }

  #refuseLink(peer: string): void {
    if (this.#state === 'closed') return;
    this.refusals.add('link', { peer, cause: `there are ${MAX_LINKS} links` });
  }

  #create(peer: string): Link | undefined {
    if (this.#links.size >= MAX_LINKS) this.#forgetOneLost();
    if (this.#links.size >= MAX_LINKS || this.#state === 'closed') return undefined;
    const link = new Link(peer, this);
    this.#links.set(peer, link);
    // Where it comes from, the peer's spaces are about to be known: the first attempt waits for that.
    queueMicrotask(() => void link.run());
    return link;
  }

  #forgetOneLost(): void {
    const lost = [...this.#links.values()].filter((link) => link.kind === 'dead');
    const longest = lost.sort((a, b) => b.downMs(this.now()) - a.downMs(this.now()))[0];
    if (longest !== undefined) this.#remove(longest, 'room is needed for others');
  }

  #remove(link: Link, reason: string): void {
    this.#links.delete(link.peer);
    void link.close(reason, timeLimit(DIAL_TIMEOUT_MS));
  }

  #tick(): void {
    const nowMs = this.now();
    for (const link of this.#links.values()) {
      link.tick(nowMs);
      if (link.downMs(nowMs) > LOST_PEER_RETENTION_MS) link.spaces.clear();
      // A link that has just been created by an incoming stream is still greeting.
      if (link.spaces.size === 0 && link.downMs(nowMs) > DIAL_TIMEOUT_MS)
        this.#remove(link, 'no space is shared');
    }
  }
}
