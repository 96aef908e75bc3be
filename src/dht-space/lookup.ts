import type { Connection, PeerId, Stream } from '@libp2p/interface';
import { pbStream } from '@libp2p/utils';
import { LOOKUP_TIMEOUT_MS, MAX_GRANT_BYTES, MAX_LOOKUP_BYTES } from './limits.js';
import type { OverlayNode } from './node.js';
import { LOOKUP_PROTOCOL } from './protocol.js';
import { PeerFault, wentAway } from './refusals.js';
import { timeLimit } from './time-limit.js';
import { LookupReply, LookupRequest } from './wire/control.js';

/** A request holds a name and a peer id, or a grant. What comes beyond it is not even looked at: that alone would cost time. */
const REQUEST_LIMITS = { maxDataLength: MAX_GRANT_BYTES + 1024, maxBufferSize: MAX_GRANT_BYTES + 4096 };
const REPLY_LIMITS = { maxDataLength: MAX_LOOKUP_BYTES, maxBufferSize: 2 * MAX_LOOKUP_BYTES };

/** Answers other nodes' questions for spaces. */
export async function serveLookups(
  node: OverlayNode,
  answer: (request: LookupRequest, asker: string) => Promise<LookupReply>,
  onError: (connection: Connection, error: unknown) => void,
): Promise<void> {
  const serve = async (stream: Stream, connection: Connection) => {
    const signal = timeLimit(LOOKUP_TIMEOUT_MS);
    try {
      const messages = pbStream(stream, REQUEST_LIMITS);
      const request = await messages.read(LookupRequest, { signal }).catch(blame);
      const reply = await answer(request, connection.remotePeer.toString());
      await messages.write(reply, LookupReply, { signal });
      await stream.close({ signal });
    } catch (error) {
      abort(stream, error);
      onError(connection, error);
    }
  };
  await node.libp2p.handle(LOOKUP_PROTOCOL, serve, { runOnLimitedConnection: true });
}

export async function stopLookups(node: OverlayNode): Promise<void> {
  await node.libp2p.unhandle(LOOKUP_PROTOCOL);
}

/** Asks one node what it knows of the spaces of a name. @throws PeerFault for what is no answer, Error when none comes in time */
export async function lookUp(
  node: OverlayNode,
  peer: PeerId,
  request: LookupRequest,
  options: { readonly signal: AbortSignal },
): Promise<LookupReply> {
  const signal = timeLimit(LOOKUP_TIMEOUT_MS, options.signal);
  const stream = await node.libp2p.dialProtocol(peer, LOOKUP_PROTOCOL, {
    signal,
    runOnLimitedConnection: true,
  });
  try {
    const messages = pbStream(stream, REPLY_LIMITS);
    await messages.write(request, LookupRequest, { signal });
    const reply = await messages.read(LookupReply, { signal }).catch(blame);
    await stream.close({ signal });
    return reply;
  } catch (error) {
    abort(stream, error);
    throw error;
  }
}

/** What cannot be read is the other side's fault, if it is still there. */
function blame(error: unknown): never {
  throw wentAway(error) ? error : PeerFault.of(error);
}

function abort(stream: Stream, error: unknown): void {
  stream.abort(error instanceof Error ? error : new Error(String(error)));
}
