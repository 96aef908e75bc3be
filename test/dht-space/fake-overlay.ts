import { setImmediate as turn } from 'node:timers/promises';
import type { Connection, Ed25519PrivateKey, PeerId, Stream } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import type { Multiaddr } from '@multiformats/multiaddr';
import type { OverlayNode } from '../../src/dht-space/node.js';
import { Refusals } from '../../src/dht-space/refusals.js';
import { relayOf } from '../../src/dht-space/relayed.js';
import type { Random } from '../support/random.js';
import { FakeStream } from './fake-stream.js';
import { LogStub } from './log-stub.js';

type Handler = (stream: Stream, connection: Connection) => void;

/** What a stream lets be under way at most, so that writers have to wait for it now and then. */
const WINDOW_BYTES = 65_536;

/**
 * A network within the process: connections and streams as libp2p has them, without sockets. What was sent arrives in a
 * later turn of the loop: in order on one connection in one direction, in any order on different ones.
 */
export class FakeOverlay {
  readonly #random: Random;
  readonly #nodes = new Map<string, FakeNode>();
  readonly connections = new Set<FakeConnection>();
  /** By connection and direction. */
  readonly #pending = new Map<object, (() => void)[]>();
  #scheduled = false;
  #half: ReadonlySet<FakeNode> = new Set();

  constructor(random: Random) {
    this.#random = random;
  }

  start(id: string, key?: Ed25519PrivateKey): FakeNode {
    const node = new FakeNode(id, this, key);
    this.#nodes.set(id, node);
    return node;
  }

  /** The node is gone, with its connections. */
  stop(node: FakeNode): void {
    node.reachable = false;
    node.breakConnections();
    if (this.#nodes.get(node.id) === node) this.#nodes.delete(node.id);
  }

  /** Cuts the network in two: one half reaches the other no more, until it is healed. */
  split(half: readonly FakeNode[]): void {
    this.#half = new Set(half);
    for (const connection of [...this.connections]) {
      if (this.areApart(...connection.ends)) connection.abort(new Error('the network broke'));
    }
  }

  heal(): void {
    this.#half = new Set();
  }

  areApart(one: FakeNode, other: FakeNode): boolean {
    return this.#half.has(one) !== this.#half.has(other);
  }

  /** The node that listens under this id now: a later one of the same id takes the place of an earlier one. */
  find(peer: string): FakeNode | undefined {
    return this.#nodes.get(peer);
  }

  /** Has it happen in a later turn, after all that was to happen this way before. */
  later(way: object, act: () => void): void {
    const acts = this.#pending.get(way);
    if (acts === undefined) this.#pending.set(way, [act]);
    else acts.push(act);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || this.#pending.size === 0) return;
    this.#scheduled = true;
    setImmediate(() => this.#deliverSome());
  }

  #deliverSome(): void {
    this.#scheduled = false;
    for (const [way, acts] of [...this.#pending]) {
      // Some are slower this time.
      if (this.#random.int(2) === 0) continue;
      this.#pending.delete(way);
      for (const act of acts) act();
    }
    this.#schedule();
  }
}

/** The part of a node that links use. */
export class FakeNode {
  readonly id: string;
  readonly overlay: FakeOverlay;
  readonly #key: Ed25519PrivateKey | undefined;
  readonly handlers = new Map<string, Handler>();
  /** A node that is cut off can neither dial nor be dialled. */
  reachable = true;
  /** Of its addresses only those through a relay lead to it. */
  behindNat = false;
  /** What it tells others of where it is. */
  addresses: readonly string[] = [];
  dials = 0;
  refusals = new Refusals(new LogStub());
  /** Called when somebody's attempt to dial it fails. */
  dialFailed = (): void => {};

  constructor(id: string, overlay: FakeOverlay, key: Ed25519PrivateKey | undefined) {
    this.id = id;
    this.overlay = overlay;
    this.#key = key;
  }

  get asOverlayNode(): OverlayNode {
    const libp2p = {
      handle: async (protocol: string, handler: Handler) => void this.handlers.set(protocol, handler),
      unhandle: async (protocols: string[]) => {
        for (const protocol of protocols) this.handlers.delete(protocol);
      },
      dial: (target: PeerId | readonly Multiaddr[], options: { signal: AbortSignal }) =>
        this.#dial(target, options.signal),
      getPeers: () => [],
    };
    return {
      id: this.id,
      privateKey: this.#key,
      addresses: () => this.addresses,
      refusals: this.refusals,
      libp2p,
    } as unknown as OverlayNode;
  }

  /** Breaks all connections, as a crash of the network does. */
  breakConnections(): void {
    for (const connection of [...this.overlay.connections]) {
      if (connection.ends.includes(this)) connection.abort(new Error('the network broke'));
    }
  }

  async #dial(target: PeerId | readonly Multiaddr[], signal: AbortSignal): Promise<Connection> {
    this.dials += 1;
    await turn();
    signal.throwIfAborted();
    const [address] = 'type' in target ? [] : target;
    const isRelayed = address !== undefined && relayOf(address) !== undefined;
    const other = this.overlay.find(address?.getComponents().at(-1)?.value ?? target.toString());
    if (!this.reachable || !other?.reachable || this.overlay.areApart(this, other)) {
      other?.dialFailed();
      throw new Error('ECONNREFUSED');
    }
    for (const open of this.overlay.connections) {
      const isGoodEnough = open.isDirect || address === undefined || isRelayed;
      if (isGoodEnough && open.ends.includes(this) && open.ends.includes(other)) return open.as(this);
    }
    if (other.behindNat && !isRelayed) throw new Error('ETIMEDOUT');
    return new FakeConnection(this, other, !isRelayed).as(this);
  }
}

/** One connection, as both of its ends see it. */
export class FakeConnection {
  readonly ends: readonly [FakeNode, FakeNode];
  /** Over no relay. */
  readonly isDirect: boolean;
  /** With whose they are. */
  readonly #streams = new Map<FakeStream, FakeNode>();
  readonly #views: readonly [Connection, Connection];

  constructor(dialler: FakeNode, other: FakeNode, isDirect = true) {
    this.ends = [dialler, other];
    this.isDirect = isDirect;
    this.#views = [this.#view(dialler, other), this.#view(other, dialler)];
    dialler.overlay.connections.add(this);
  }

  as(node: FakeNode): Connection {
    return this.#views[this.ends.indexOf(node)] as Connection;
  }

  /** Both ends lose it at once, and all that was under way. */
  abort(cause: Error, by?: FakeNode): void {
    if (!this.ends[0].overlay.connections.delete(this)) return;
    for (const [stream, owner] of this.#streams) {
      stream.onTransportClosed(owner === by ? cause : new Error('the connection was lost'));
    }
  }

  #view(own: FakeNode, other: FakeNode): Connection {
    const isOpen = (): boolean => own.overlay.connections.has(this);
    const view = {
      remotePeer: peerIdFromString(other.id),
      get status() {
        return isOpen() ? 'open' : 'closed';
      },
      direct: this.isDirect,
      newStream: (protocol: string) => this.#newStream(protocol, own, other),
      close: async () => this.abort(new Error('closed'), own),
      abort: (cause: Error) => this.abort(cause, own),
    };
    return view as unknown as Connection;
  }

  async #newStream(protocol: string, from: FakeNode, to: FakeNode): Promise<Stream> {
    const { overlay } = from;
    const [near, far] = [new FakeStream('outbound'), new FakeStream('inbound')];
    for (const [one, other, owner] of [
      [near, far, from],
      [far, near, to],
    ] as const) {
      this.#streams.set(one, owner);
      one.addEventListener('close', () => this.#streams.delete(one));
      one.windowBytes = WINDOW_BYTES;
      one.keepsSent = false;
      one.deliver = (bytes) =>
        overlay.later(this.as(owner), () => {
          if (other.status !== 'open' || !other.reads) return;
          other.arrive(bytes);
          if (one.status === 'open') one.open(one.windowBytes + bytes.length);
        });
      one.wasReset = () => overlay.later(this.as(owner), () => other.status === 'open' && other.reset());
      one.wasClosed = () => overlay.later(this.as(owner), () => other.status === 'open' && other.half());
    }
    await new Promise<void>((resolve) => overlay.later(this.as(from), resolve));
    const handler = to.handlers.get(protocol);
    if (!overlay.connections.has(this) || handler === undefined) {
      near.abort(new Error('no such protocol'));
      throw new Error(`${protocol} could not be opened`);
    }
    handler(far, this.as(to));
    return near;
  }
}
