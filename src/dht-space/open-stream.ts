import { setImmediate } from 'node:timers/promises';
import type { AbortOptions, Connection, Stream } from '@libp2p/interface';

/**
 * Opens a stream, in a turn of the loop of its own. Yamux writes the first frame of a stream in a microtask, where it
 * throws at nobody when the connection has broken since: so nothing else may run in between, least of all the rest of
 * an event in which the other side can break the connection.
 */
export async function openStream(
  connection: Connection,
  protocol: string,
  options: AbortOptions = {},
): Promise<Stream> {
  await setImmediate();
  // Foreign relays may limit the connections that they relay.
  return connection.newStream(protocol, { ...options, runOnLimitedConnection: true });
}
