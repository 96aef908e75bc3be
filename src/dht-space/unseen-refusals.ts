import type {
  Connection,
  ConnectionEncrypter,
  Libp2pEvents,
  MultiaddrConnection,
  PeerId,
  Stream,
  StreamCloseEvent,
  TypedEventTarget,
} from '@libp2p/interface';
import type { KadDHT } from '@libp2p/kad-dht';
import { DHT_PROTOCOL } from './protocol.js';
import type { RefusalCause, Refusals } from './refusals.js';
import { PeerFault, wentAway } from './refusals.js';
import { StoreBudgets } from './store-budgets.js';

/** What libp2p keeps to itself and tells its services only. */
interface Components {
  readonly connectionManager: { acceptIncomingConnection(connection: MultiaddrConnection): boolean };
  readonly upgrader: { upgradeInbound(connection: MultiaddrConnection, options: object): Promise<void> };
  readonly events: TypedEventTarget<Libp2pEvents>;
}

/** The part of a connection that its public interface leaves out. */
interface Multiplexed {
  readonly muxer?: TypedEventTarget<{ stream: CustomEvent<Stream> }>;
}

/** Is called with what a connection receives. */
interface Receiving {
  onData?(octets: { subarray(start?: number, end?: number): Uint8Array }): void;
}

/** What comes first on every connection of libp2p's, behind its length. */
const GREETING = Buffer.from('\x13/multistream/1.0.0\n');
/** Of libp2p's own protocols those where an error is always the other side's. '' is a stream without a protocol yet. */
const JUDGED_PROTOCOLS: ReadonlySet<string> = new Set([
  '',
  DHT_PROTOCOL,
  '/ipfs/id/1.0.0',
  '/ipfs/id/push/1.0.0',
  '/ipfs/ping/1.0.0',
]);

/** A request of the DHT, as far as it matters here. */
interface DhtRequest {
  readonly type: string;
  readonly providers?: readonly { readonly id: Uint8Array }[];
}

interface DhtRequests {
  handleMessage(peer: PeerId, request: DhtRequest): Promise<unknown>;
}

/** Counts what libp2p refuses to peers without a word to anybody: it closes connections and resets streams. */
export class UnseenRefusals {
  readonly #refusals: Refusals;
  /** Connections that came as far as the handshake, which judges for itself. */
  readonly #greeted = new WeakSet<object>();
  /** Errors that were counted, or are nobody's fault: the same one may end a connection and all of its streams. */
  readonly #judged = new WeakSet<object>();

  constructor(refusals: Refusals) {
    this.#refusals = refusals;
  }

  /** An encrypter that counts who connects and does not prove to be the peer that it says it is. */
  handshakes<C>(create: (components: C) => ConnectionEncrypter): (components: C) => ConnectionEncrypter {
    return (components) => {
      const encrypter = create(components);
      const secure = encrypter.secureInbound.bind(encrypter);
      encrypter.secureInbound = async (connection, options) => {
        this.#greeted.add(connection);
        try {
          return await secure(connection, options);
        } catch (error) {
          if (!wentAway(error)) this.#add('handshake', 'unknown', String(error));
          throw error;
        }
      };
      return encrypter;
    };
  }

  /** A service of libp2p's that counts the connections and streams which that ends. */
  connections(): (components: Components) => object {
    return ({ connectionManager, upgrader, events }) => {
      const accept = connectionManager.acceptIncomingConnection.bind(connectionManager);
      connectionManager.acceptIncomingConnection = (connection) => {
        const isAccepted = accept(connection);
        if (!isAccepted) {
          const cause = 'too many connections, of its host or in all';
          this.#add('connection', connection.remoteAddr.toString(), cause);
        }
        return isAccepted;
      };
      const upgrade = upgrader.upgradeInbound.bind(upgrader);
      upgrader.upgradeInbound = (connection, options) =>
        this.#upgrade(connection, () => upgrade(connection, options));
      events.addEventListener('connection:open', ({ detail }) => this.#watch(detail));
      return {};
    };
  }

  /** Who connects may leave without a word, as probes do. Who says something has to come as far as the handshake. */
  async #upgrade(connection: MultiaddrConnection & Receiving, upgrade: () => Promise<void>): Promise<void> {
    const peer = connection.remoteAddr.toString();
    const receive = connection.onData;
    if (receive === undefined) return upgrade();
    let hasSpoken = false;
    connection.onData = (octets) => {
      connection.onData = receive;
      const first = Buffer.from(octets.subarray(0, GREETING.length));
      hasSpoken = GREETING.subarray(0, first.length).equals(first);
      if (hasSpoken) return receive.call(connection, octets);
      const cause = 'it does not speak libp2p';
      this.#add('handshake', peer, cause);
      connection.abort(new Error(cause));
    };
    try {
      await upgrade();
    } catch (error) {
      const isOurs = connection.status === 'open' && hasSpoken && !this.#greeted.has(connection);
      if (isOurs) this.#add('handshake', peer, String(error));
      throw error;
    }
  }

  #watch(connection: Connection & Multiplexed): void {
    const peer = connection.remotePeer.toString();
    connection.addEventListener('close', (event) => this.#ended(peer, event));
    connection.muxer?.addEventListener('stream', ({ detail }) => this.#watchStream(peer, detail));
    const open = connection.newStream;
    connection.newStream = async (...args) => {
      const stream = await open(...args);
      this.#watchStream(peer, stream);
      return stream;
    };
  }

  #watchStream(peer: string, stream: Stream): void {
    stream.addEventListener('close', (event) => {
      if (event.error?.name === 'TooManyInboundProtocolStreamsError') {
        this.#add('flood', peer, event.error.message);
      } else if (JUDGED_PROTOCOLS.has(stream.protocol)) this.#ended(peer, event);
    });
  }

  /** Something was ended by this side, for what the other one said. */
  #ended(peer: string, { local, error }: StreamCloseEvent): void {
    if (local !== true || error === undefined || wentAway(error) || this.#judged.has(error)) return;
    this.#judged.add(error);
    this.#refusals.addFault(error, peer);
  }

  #add(refused: RefusalCause, peer: string, cause: string): void {
    this.#refusals.add(refused, { peer, cause });
  }

  /** Counts what the DHT refuses to do, and has it refuse who stores so much that others' things would have to make room. */
  refuseInDht(
    dht: KadDHT & { readonly rpc?: Partial<DhtRequests> },
    now: () => number = () => performance.now(),
  ): void {
    const { rpc } = dht;
    if (rpc?.handleMessage === undefined) throw new TypeError('kad-dht has no rpc.handleMessage');
    const handle = rpc.handleMessage.bind(rpc);
    const budgets = new StoreBudgets(now);
    rpc.handleMessage = async (peer, request) => {
      const id = peer.toString();
      try {
        if (storesFor(request) && !budgets.take(id))
          throw new PeerFault('flood', 'it stores too much in the DHT');
        // kad-dht passes these over in silence.
        if (
          request.type === 'ADD_PROVIDER' &&
          request.providers?.some((provider) => !isOf(peer, provider.id))
        )
          throw new PeerFault('forged', 'a provider record for another peer');
        return await handle(peer, request);
      } catch (error) {
        if (error instanceof Error) this.#judged.add(error);
        const isTheirs = storesFor(request) || (error instanceof Error && error.name.startsWith('Invalid'));
        if (isTheirs) this.#refusals.addFault(error, id);
        throw error;
      }
    };
  }
}

function storesFor({ type }: DhtRequest): boolean {
  return type === 'PUT_VALUE' || type === 'ADD_PROVIDER';
}

function isOf(peer: PeerId, id: Uint8Array): boolean {
  return Buffer.compare(peer.toMultihash().bytes, id) === 0;
}
