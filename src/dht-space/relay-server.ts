import { AsyncLocalStorage } from 'node:async_hooks';
import type {
  CircuitRelayServerComponents,
  CircuitRelayServerInit,
  CircuitRelayService,
} from '@libp2p/circuit-relay-v2';
import { circuitRelayServer, RELAY_V2_STOP_CODEC } from '@libp2p/circuit-relay-v2';
import type { Connection, PeerId, Stream, StreamHandler } from '@libp2p/interface';
import type { Libp2p } from 'libp2p';
import {
  MAX_RELAYED_CONNECTIONS,
  MAX_RELAYED_CONNECTIONS_PER_PEER,
  MAX_RESERVATIONS,
  RELAY_BACKLOG_BYTES,
  RESERVATION_VALIDITY_MS,
} from './limits.js';

/**
 * No limit of data or time per relayed connection: whoever hits one dials anew, and libp2p lets the DHT and others not
 * run over connections that have one. What is bounded is how many there are, and what one of them may hold.
 */
const OPTIONS: CircuitRelayServerInit = {
  reservations: {
    maxReservations: MAX_RESERVATIONS,
    reservationTtl: RESERVATION_VALIDITY_MS,
    applyDefaultLimit: false,
  },
  maxInboundHopStreams: MAX_RELAYED_CONNECTIONS_PER_PEER,
  maxOutboundStopStreams: MAX_RELAYED_CONNECTIONS_PER_PEER,
};

/** The circuit relay of libp2p, whose copying takes in as much as comes, with a bound on what waits in it. */
export function relayServer(): (components: CircuitRelayServerComponents) => CircuitRelayService {
  return (components) => {
    // The stream of whoever asks, wherever its request leads.
    const asking = new AsyncLocalStorage<Stream>();
    const { registrar, connectionManager } = components;
    const boundedRegistrar: Pick<typeof registrar, 'handle' | 'unhandle'> = {
      handle: (protocol, handler: StreamHandler, options) =>
        registrar.handle(
          protocol,
          (stream, connection) => asking.run(stream, () => handler(stream, connection)),
          options,
        ),
      unhandle: (protocols, options) => registrar.unhandle(protocols, options),
    };
    const boundedConnections: Pick<typeof connectionManager, 'getConnections'> = {
      getConnections: (peer) =>
        connectionManager
          .getConnections(peer)
          .filter(({ direct }) => direct)
          .map((connection) => coupling(connection, asking)),
    };
    return circuitRelayServer(OPTIONS)({
      ...componentsOf(components),
      registrar: boundedRegistrar as typeof registrar,
      connectionManager: boundedConnections as typeof connectionManager,
    });
  };
}

/** By name: libp2p gives an object that makes them up as they are asked for. */
function componentsOf(components: CircuitRelayServerComponents): CircuitRelayServerComponents {
  const { registrar, peerStore, addressManager, peerId, privateKey } = components;
  const { connectionManager, connectionGater, logger } = components;
  const others = { connectionManager, connectionGater, logger };
  return { registrar, peerStore, addressManager, peerId, privateKey, ...others };
}

/** The connection to the other end, with a `newStream` that couples its streams to the one of whoever asks for it. */
function coupling(connection: Connection, asking: AsyncLocalStorage<Stream>): Connection {
  const { id, remotePeer, remoteAddr } = connection;
  const coupled: Pick<Connection, 'id' | 'remotePeer' | 'remoteAddr' | 'newStream'> = {
    id,
    remotePeer,
    remoteAddr,
    newStream: async (protocols, options) => {
      const stream = await connection.newStream(protocols, options);
      const source = asking.getStore();
      if (source !== undefined) {
        boundBacklog(source, stream);
        boundBacklog(stream, source);
      }
      return stream;
    },
  };
  return coupled as Connection;
}

/** Lets `source` wait while more than RELAY_BACKLOG_BYTES of what came from it were not sent to `sink` yet. */
function boundBacklog(source: Stream, sink: Stream): void {
  let backlogBytes = 0;
  const isFull = () => backlogBytes > RELAY_BACKLOG_BYTES || sink.writableNeedsDrain;
  const resume = () => {
    if (source.readStatus === 'paused' && !isFull()) source.resume();
  };
  source.addEventListener('message', ({ data }) => {
    backlogBytes += data.byteLength;
    if (!isFull()) return;
    // To pause within the event would open yamux's window again.
    queueMicrotask(() => {
      if (source.status === 'open' && source.readStatus === 'readable' && isFull()) source.pause();
    });
  });
  const send = sink.send.bind(sink);
  sink.send = (data) => {
    backlogBytes = Math.max(0, backlogBytes - data.byteLength);
    const isWritable = send(data);
    resume();
    return isWritable;
  };
  sink.addEventListener('drain', resume);
}

/** Whether one more relayed connection would be too many, in all or for the node that it leads to. */
export function isRelayFull(libp2p: Libp2p, destination: PeerId): boolean {
  return (
    relayedOver(libp2p.getConnections()) >= MAX_RELAYED_CONNECTIONS ||
    relayedOver(libp2p.getConnections(destination)) >= MAX_RELAYED_CONNECTIONS_PER_PEER
  );
}

function relayedOver(connections: readonly Connection[]): number {
  const streams = connections.flatMap((connection) => connection.streams);
  return streams.filter(
    ({ protocol, direction }) => protocol === RELAY_V2_STOP_CODEC && direction === 'outbound',
  ).length;
}

/** Frees the places of those that are gone: they would be taken until they expire. */
export function freeReservations(libp2p: Libp2p, { reservations }: CircuitRelayService): void {
  libp2p.addEventListener('peer:disconnect', ({ detail: peer }) => {
    reservations.get(peer)?.signal.clear();
    reservations.delete(peer);
  });
}
