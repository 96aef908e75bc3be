import type { AddressInfo, Server, Socket } from 'node:net';
import { createServer } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { FieldTable } from '../amqp-codec/index.js';
import { CONNECTION_OPEN_ID, methodFrame, PROTOCOL_HEADER } from '../amqp-codec/index.js';
import type { Broker, MemoryAccount, Removal } from '../broker/index.js';
import { BrokerError } from '../broker/index.js';
import type { Logger } from '../overlay/index.js';
import type { AliasHandler } from './alias-handler.js';
import type { Peer } from './authentication.js';
import { LoginRefused } from './authentication.js';
import { ClientStream } from './client-stream.js';
import type { Services } from './connection.js';
import { Connection } from './connection.js';
import { destroyLater } from './destroy-later.js';
import { DirectReplies } from './direct-reply-to.js';
import { FlushTurn } from './flush-turn.js';
import type { Session } from './handshake.js';
import { handshake, UnknownProtocol } from './handshake.js';
import { ClientLeft, HandshakeInbox } from './handshake-inbox.js';
import {
  DEFAULT_MAX_BODY_BYTES,
  HANDSHAKE_TIMEOUT_MS,
  KEEP_ALIVE_IDLE_MS,
  MAX_CONNECTIONS,
} from './limits.js';
import { serverProperties } from './peer-properties.js';
import { RefusedClients } from './refused-clients.js';
import type { ChannelError } from './reply-code.js';
import { ConnectionError, failureOf } from './reply-code.js';
import type { TlsMaterial } from './tls-front.js';
import { certificateNameOf, TlsFront } from './tls-front.js';

interface GatewayOptions {
  readonly broker: Broker;
  readonly memory: MemoryAccount;
  /** Where durable messages go; undefined: nowhere. */
  readonly disk?: Alarm;
  readonly logger: Logger;
  /** Added to the server properties of connection.start: the node's version and where its overlay listens. */
  readonly serverProperties?: FieldTable;
  /** Takes the exchange types that mean something beyond this broker. */
  readonly spaceExchange?: AliasHandler;
  /** The largest body that apps may publish, 16 MiB unless given. */
  readonly maxBodyBytes?: number;
  /** For `listen` with TLS. */
  readonly tls?: TlsMaterial;
}

/** Something that the node can run short of. */
interface Alarm {
  readonly high: boolean;
  /** Calls back at every change of `high`. Returns what ends that. */
  onChange(listener: (high: boolean) => void): () => void;
}

/** What AMQP is spoken over. `tls` needs the option of that name. */
type Transport = 'tcp' | 'tls';

interface ListenAddress {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
}

/** A snapshot; messages are counted from the start. */
export interface GatewayStatus {
  readonly connections: number;
  readonly channels: number;
  readonly publishedMessages: number;
  readonly deliveredMessages: number;
}

/** What AMQP apps connect to. */
export interface Gateway {
  /** May be called several times. Resolves with the address that was bound. */
  listen(address: ListenAddress, transport?: Transport): Promise<ListenAddress>;
  /** For clients that connect from now on. @throws Error where OpenSSL does not take them; the old ones stay */
  replaceCertificates(tls: TlsMaterial): void;
  /** Refuses new clients, tells the others (CONNECTION_FORCED), and resolves when the last socket is closed. */
  close(): Promise<void>;
  status(): GatewayStatus;
}

export function createGateway(options: GatewayOptions): Gateway {
  return new AmqpGateway(options);
}

class AmqpGateway implements Gateway {
  readonly #broker: Broker;
  readonly #serverProperties: FieldTable;
  readonly #services: Services;
  readonly #servers: Server[] = [];
  /** Every open socket; with its connection once the handshake is done. */
  readonly #clients = new Map<Socket, Connection | undefined>();
  readonly #tls: TlsFront | undefined;
  readonly #refused = new RefusedClients();
  readonly #stopListening: readonly (() => void)[];

  constructor(options: GatewayOptions) {
    const { broker, memory, disk, logger, tls } = options;
    this.#broker = broker;
    this.#tls = tls && new TlsFront(tls, logger, (socket, taken) => this.#secured(socket, taken));
    this.#serverProperties = serverProperties(options.serverProperties ?? {});
    const counters = { published: 0, delivered: 0 };
    this.#services = {
      memory,
      maxBodyBytes: options.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES,
      logger,
      aliases: options.spaceExchange,
      replies: new DirectReplies(),
      turn: new FlushTurn(),
      commit: broker.commit,
      unsynced: new Set(),
      shortage: () => shortageOf({ memory, disk }),
      counters,
    };
    const { unsynced } = this.#services;
    const stops = [
      memory.onChange((high) => {
        const { bytes, entries } = memory;
        logger.warn({ bytes, entries }, `memory is ${high ? 'short' : 'free again'}`);
        this.#shortageChanged();
      }),
      disk?.onChange(() => this.#shortageChanged()),
      broker.commit?.onSynced(() => {
        for (const confirms of unsynced) confirms.synced();
      }),
      broker.onRemoved((removal) => this.#removed(removal)),
    ];
    this.#stopListening = stops.filter((stop) => stop !== undefined);
  }

  async listen({ host, port }: ListenAddress, transport: Transport = 'tcp'): Promise<ListenAddress> {
    const tls = transport === 'tls' ? this.#tls : undefined;
    if (transport === 'tls' && tls === undefined) throw new Error('there is no certificate to listen with');
    const server = createServer((socket) => this.#accept(socket, tls));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, resolve);
    });
    // Such as too many open files: the next client may get in again.
    server.on('error', (err) => this.#services.logger.error({ err }, 'a client could not be accepted'));
    this.#servers.push(server);
    const bound = server.address() as AddressInfo;
    return { host: bound.address, port: bound.port };
  }

  async close(): Promise<void> {
    for (const stop of this.#stopListening) stop();
    const closing = this.#servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve)));
    const shutdown = "broker forced connection closure with reason 'shutdown'";
    for (const [socket, connection] of this.#clients) {
      closing.push(new Promise((resolve) => socket.once('close', resolve)));
      if (connection === undefined) socket.destroy();
      else connection.close(new ConnectionError('connection-forced', shutdown));
    }
    await Promise.all(closing);
  }

  status(): GatewayStatus {
    const { published, delivered } = this.#services.counters;
    const connections = [...this.#connections()];
    return {
      connections: connections.length,
      channels: connections.reduce((sum, { channelCount }) => sum + channelCount, 0),
      publishedMessages: published,
      deliveredMessages: delivered,
    };
  }

  replaceCertificates(tls: TlsMaterial): void {
    this.#tls?.replace(tls);
  }

  #shortageChanged(): void {
    const shortage = this.#services.shortage();
    for (const connection of this.#connections()) connection.shortageChanged(shortage);
  }

  *#connections(): Iterable<Connection> {
    for (const connection of this.#clients.values()) if (connection !== undefined) yield connection;
  }

  /** RabbitMQ: who is removed, or what they are connected to, is disconnected. */
  #removed({ type, name }: Removal): void {
    const reason = `${type === 'user' ? 'user' : 'vhost'} '${name}' is deleted`;
    for (const connection of [...this.#connections()]) {
      const { user, virtualHost } = connection.session;
      if (name !== (type === 'user' ? user.name : virtualHost.name)) continue;
      connection.close(new ConnectionError('connection-forced', reason));
    }
  }

  #accept(socket: Socket, tls: TlsFront | undefined): void {
    const { logger } = this.#services;
    if (this.#clients.size >= MAX_CONNECTIONS) {
      logger.warn(
        { client: socket.remoteAddress },
        `more than ${MAX_CONNECTIONS} connections, one was refused`,
      );
      socket.destroy();
      return;
    }
    this.#track(socket);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_IDLE_MS);
    if (tls === undefined) void this.#greet(socket);
    else tls.take(socket);
  }

  /** From here on the socket of TLS stands for the client, and no more the one below it. */
  #secured(socket: TLSSocket, taken: Socket): void {
    this.#clients.delete(taken);
    this.#track(socket);
    void this.#greet(socket);
  }

  #track(socket: Socket): void {
    this.#clients.set(socket, undefined);
    socket.once('close', () => this.#clients.delete(socket));
    const { logger } = this.#services;
    socket.on('error', (err) => logger.debug({ client: socket.remoteAddress, err }, 'client socket failed'));
  }

  /** Every way this can end is handled here: nobody waits for it. */
  async #greet(socket: Socket): Promise<void> {
    const inbox = new HandshakeInbox();
    const stream = new ClientStream(socket, inbox);
    const timeout = setTimeout(() => socket.destroy(), HANDSHAKE_TIMEOUT_MS);
    socket.once('close', () => inbox.ended());
    try {
      const session = await handshake(socket, peerOf(socket), inbox, this.#broker, this.#serverProperties);
      if (!socket.closed) this.#connect(socket, stream, inbox, session);
    } catch (error) {
      stream.ignore();
      this.#refuse(socket, error);
    } finally {
      clearTimeout(timeout);
    }
  }

  #connect(socket: Socket, stream: ClientStream, inbox: HandshakeInbox, session: Session): void {
    const connection = new Connection(socket, stream, session, this.#services);
    this.#clients.set(socket, connection);
    stream.handOver(connection, session.maxFrameBytes);
    inbox.passOn(connection);
  }

  #refuse(socket: Socket, error: unknown): void {
    const client = `${socket.remoteAddress}:${socket.remotePort}`;
    const answer = this.#answerTo(error, client);
    if (answer !== undefined) socket.write(answer);
    if (error instanceof LoginRefused) {
      this.#refused.add(socket);
      return;
    }
    destroyLater(socket);
    socket.end();
  }

  /** What a client is sent that did not get through the handshake. */
  #answerTo(error: unknown, client: string): Buffer | undefined {
    const { logger } = this.#services;
    if (error instanceof ClientLeft) {
      return error.politely ? methodFrame(0, 'connection.close-ok', {}) : undefined;
    }
    if (error instanceof UnknownProtocol) {
      logger.info({ client }, error.message);
      // AMQP 0-9-1 §4.2.2: the server answers with the version it speaks, and closes.
      return PROTOCOL_HEADER;
    }
    const failure = failureOf(error);
    const reason = failure.cause instanceof Error ? failure.cause.message : undefined;
    logger.warn({ client, reason }, `handshake failed: ${failure.message}`);
    if (failure instanceof LoginRefused && !failure.told) return undefined;
    // The broker has a say in connection.open alone.
    const id = error instanceof BrokerError ? CONNECTION_OPEN_ID : methodIdOf(failure);
    const method = { classId: id >>> 16, methodId: id & 0xffff };
    return methodFrame(0, 'connection.close', { ...failure.reply, ...method });
  }
}

/** As RabbitMQ has it in connection.blocked. */
function shortageOf(alarms: Readonly<Record<string, Alarm | undefined>>): string | undefined {
  const names = Object.keys(alarms).filter((name) => alarms[name]?.high);
  return names.length === 0 ? undefined : names.join(' & ');
}

function methodIdOf(failure: ChannelError | ConnectionError): number {
  return failure instanceof ConnectionError ? (failure.methodId ?? 0) : 0;
}

function peerOf(socket: Socket): Peer {
  const certificateName = socket instanceof TLSSocket ? certificateNameOf(socket) : undefined;
  return { address: socket.remoteAddress, certificateName };
}
