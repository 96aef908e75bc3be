import { Socket } from 'node:net';
import type { Connection, MultiaddrConnection } from '@libp2p/interface';
import { SEND_BUFFER_BYTES } from './limits.js';

/** What libp2p keeps to itself and tells its services only. */
interface Components {
  readonly upgrader: {
    upgradeInbound(connection: MultiaddrConnection, options: object): Promise<void>;
    upgradeOutbound(connection: MultiaddrConnection, options: object): Promise<Connection>;
  };
}

/** A TCP connection of libp2p's, from inside. */
interface TcpConnection {
  readonly socket?: unknown;
  sendData(data: Iterable<Uint8Array> & { readonly byteLength: number }): {
    readonly sentBytes: number;
    readonly canSendMore: boolean;
  };
}

/**
 * A service of libp2p's that has TCP connections send what comes in one turn with one system call. By itself libp2p writes
 * the length, the yamux header, the data and the tag of each encrypted piece one by one, which become packets of their own, and
 * waits for the kernel to take each piece above 16 KiB.
 */
export function gatheredWrites(): (components: Components) => object {
  return ({ upgrader }) => {
    const upgradeInbound = upgrader.upgradeInbound.bind(upgrader);
    upgrader.upgradeInbound = (connection, options) => upgradeInbound(gathering(connection), options);
    const upgradeOutbound = upgrader.upgradeOutbound.bind(upgrader);
    upgrader.upgradeOutbound = (connection, options) => upgradeOutbound(gathering(connection), options);
    return {};
  };
}

function gathering(connection: MultiaddrConnection & Partial<TcpConnection>): MultiaddrConnection {
  const { socket } = connection;
  if (!(socket instanceof Socket)) return connection;
  let isCorked = false;
  const uncork = () => {
    isCorked = false;
    socket.uncork();
  };
  connection.sendData = (data) => {
    if (!isCorked) {
      isCorked = true;
      socket.cork();
      process.nextTick(uncork);
    }
    for (const bytes of data) socket.write(bytes);
    return { sentBytes: data.byteLength, canSendMore: socket.writableLength < SEND_BUFFER_BYTES };
  };
  return connection;
}
