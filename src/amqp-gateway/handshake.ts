import type { Socket } from 'node:net';
import type { FieldTable, MethodArguments, MethodName } from '../amqp-codec/index.js';
import { methodFrame, PROTOCOL_HEADER } from '../amqp-codec/index.js';
import type { Authorization, Broker, User, VirtualHost } from '../broker/index.js';
import type { Peer } from './authentication.js';
import { authenticate, mechanismsFor } from './authentication.js';
import type { HandshakeInbox } from './handshake-inbox.js';
import { CHANNEL_MAX, FRAME_MAX_BYTES, FRAME_MIN_BYTES, HEARTBEAT_SECONDS } from './limits.js';
import { capabilitiesIn } from './peer-properties.js';
import { ConnectionError } from './reply-code.js';

/** What a client and this node have agreed on. */
export interface Session {
  readonly user: User;
  readonly virtualHost: VirtualHost;
  /** What the user may do there. */
  readonly authorization: Authorization;
  readonly clientProperties: FieldTable;
  /** Which of the extensions that a server may use the client can take. */
  readonly capabilities: ReadonlySet<string>;
  readonly maxFrameBytes: number;
  readonly maxChannels: number;
  /** 0: no heartbeats. */
  readonly heartbeatSeconds: number;
}

/** The client speaks another protocol, or another version of this one. */
export class UnknownProtocol extends Error {
  override readonly name = 'UnknownProtocol';
}

/** AMQP 0-9, whose framing and methods are near enough; served the same way, as RabbitMQ does. */
const PROTOCOL_HEADER_0_9 = Buffer.from('AMQP\x01\x01\x00\x09', 'latin1');

/**
 * Goes through the handshake of AMQP 0-9-1 §2.2.4. Nothing exists for the client but its socket until this is done.
 *
 * @throws UnknownProtocol, ClientLeft, ConnectionError, BrokerError, CodecError
 */
export async function handshake(
  socket: Socket,
  peer: Peer,
  inbox: HandshakeInbox,
  broker: Broker,
  serverProperties: FieldTable,
): Promise<Session> {
  const send = <N extends MethodName>(name: N, args: MethodArguments<N>) => {
    socket.write(methodFrame(0, name, args));
  };

  const header = await inbox.receiveHeader();
  if (!header.equals(PROTOCOL_HEADER) && !header.equals(PROTOCOL_HEADER_0_9)) {
    throw new UnknownProtocol(`unknown protocol header ${header.toString('hex')}`);
  }

  const version = { versionMajor: 0, versionMinor: 9 };
  send('connection.start', {
    ...version,
    serverProperties,
    mechanisms: mechanismsFor(peer),
    locales: 'en_US',
  });
  const startOk = await inbox.receive('connection.start-ok');
  const { clientProperties } = startOk;
  // Hashing a password takes its time: what the client sends meanwhile is not taken in, so it need not be bounded.
  socket.pause();
  const user = await authenticate(broker, startOk, peer).finally(() => socket.resume());

  send('connection.tune', {
    channelMax: CHANNEL_MAX,
    frameMax: FRAME_MAX_BYTES,
    heartbeat: HEARTBEAT_SECONDS,
  });
  const tuneOk = await inbox.receive('connection.tune-ok');
  const maxFrameBytes = agreed('frame_max', tuneOk.frameMax, FRAME_MIN_BYTES, FRAME_MAX_BYTES);
  const maxChannels = agreed('channel_max', tuneOk.channelMax, 1, CHANNEL_MAX);

  const { virtualHost: name } = await inbox.receive('connection.open');
  const entered = broker.enter(user, name);
  send('connection.open-ok', {});

  const capabilities = capabilitiesIn(clientProperties);
  const heartbeatSeconds = tuneOk.heartbeat;
  return { user, ...entered, clientProperties, capabilities, maxFrameBytes, maxChannels, heartbeatSeconds };
}

/**
 * AMQP 0-9-1 §1.4.2.6: a client may lower what tune proposed, and not raise it. 0 means that it sets no limit of its own,
 * so that the proposal holds; RabbitMQ refuses that, and most clients avoid it.
 */
function agreed(field: string, wanted: number, min: number, max: number): number {
  if (wanted === 0) return max;
  if (wanted >= min && wanted <= max) return wanted;
  const problem =
    wanted < min
      ? `lower than the minimum allowed value (${min})`
      : `higher than the maximum allowed value (${max})`;
  throw new ConnectionError('not-allowed', `negotiated ${field} = ${wanted} is ${problem}`);
}
