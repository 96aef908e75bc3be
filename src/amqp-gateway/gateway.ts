import type { AddressInfo, Server, Socket } from 'node:net';
import { createServer } from 'node:net';
import type { Broker, MemoryAccount } from '../broker/index.js';
import type { Logger } from '../overlay/index.js';
import type { AliasHandler } from './alias-handler.js';
import { LoginRefused } from './authentication.js';
import { ClientStream } from './client-stream.js';
import type { FieldTable } from './codec/index.js';
import { FRAME_OVERHEAD_BYTES, PROTOCOL_HEADER } from './codec/index.js';
import type { Services } from './connection.js';
import { Connection } from './connection.js';
import { destroyLater } from './destroy-later.js';
import { FlushTurn } from './flush-turn.js';
import { methodFrame } from './frames.js';
import type { Session } from './handshake.js';
import { handshake, UnknownProtocol } from './handshake.js';
import { ClientLeft, HandshakeInbox } from './handshake-inbox.js';
import { HANDSHAKE_TIMEOUT_MS, MAX_CONNECTIONS } from './limits.js';
import { serverProperties } from './peer-properties.js';
import { ConnectionError, failureOf } from './reply-code.js';

interface GatewayOptions {
  readonly broker: Broker;
  readonly memory: MemoryAccount;
  readonly logger: Logger;
  /** Added to the server properties of connection.start: the node's version and where its overlay listens. */
  readonly serverProperties?: FieldTable;
  /** Takes the exchange types that mean something beyond this broker. */
  readonly spaceExchange?: AliasHandler;
}

interface ListenAddress {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
}

/** A snapshot; messages are counted from the start. */
interface GatewayStatus {
  readonly connections: number;
  readonly channels: number;
  readonly publishedMessages: number;
  readonly deliveredMessages: number;
}

/** What AMQP apps connect to. */
export interface Gateway {
  /** May be called several times. Resolves with the address that was bound. */
  listen(address: ListenAddress): Promise<ListenAddress>;
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
  readonly #stopListening: () => void;

  constructor(options: GatewayOptions) {
    const { broker, memory, logger } = options;
    this.#broker = broker;
    this.#serverProperties = serverProperties(options.serverProperties ?? {});
    const counters = { published: 0, delivered: 0 };
    this.#services = { memory, logger, aliases: options.spaceExchange, turn: new FlushTurn(), counters };
    this.#stopListening = memory.onChange((high) => {
      logger.warn(
        { bytes: memory.bytes, entries: memory.entries },
        `memory is ${high ? 'short' : 'free again'}`,
      );
      for (const connection of this.#connections()) connection.memoryChanged(high);
    });
  }

  async listen({ host, port }: ListenAddress): Promise<ListenAddress> {
    const server = createServer((socket) => this.#accept(socket));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, resolve);
    });
    // Such as too many open files: the next client may get in again.
    server.on('error', (err) => this.#services.logger.error({ err }, 'a client could not be accepted'));
    server.on('error', (err) => this.#services.logger.error({ err }, 'listener failed'));
    this.#servers.push(server);
    const bound = server.address() as AddressInfo;
    return { host: bound.address, port: bound.port };
  }

  async close(): Promise<void> {
    this.#stopListening();
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

  *#connections(): Iterable<Connection> {
    for (const connection of this.#clients.values()) if (connection !== undefined) yield connection;
  }

  #accept(socket: Socket): void {
    const { logger } = this.#services;
    if (this.#clients.size >= MAX_CONNECTIONS) {
      logger.warn(
        { client: socket.remoteAddress },
        `more than ${MAX_CONNECTIONS} connections, one was refused`,
      );
      socket.destroy();
      return;
    }
    this.#clients.set(socket, undefined);
    socket.once('close', () => this.#clients.delete(socket));
    socket.on('error', (err) => logger.debug({ client: socket.remoteAddress, err }, 'client socket failed'));
    socket.setNoDelay(true);
    void this.#greet(socket);
  }

  /** Every way this can end is handled here: nobody waits for it. */
  async #greet(socket: Socket): Promise<void> {
    const inbox = new HandshakeInbox();
    const stream = new ClientStream(socket, inbox);
    const timeout = setTimeout(() => socket.destroy(), HANDSHAKE_TIMEOUT_MS);
    socket.once('close', () => inbox.ended());
    try {
      const session = await handshake(socket, inbox, this.#broker, this.#serverProperties);
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
    // RabbitMQ: quite a few clients take frame-max for the limit of the payload.
    stream.handOver(connection, session.maxFrameBytes + FRAME_OVERHEAD_BYTES);
    inbox.passOn(connection);
  }

  #refuse(socket: Socket, error: unknown): void {
    destroyLater(socket);
    const client = `${socket.remoteAddress}:${socket.remotePort}`;
    const answer = this.#answerTo(error, client);
    if (answer !== undefined) socket.write(answer);
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
    if (failure instanceof LoginRefused && !failure.clientWantsReply) return undefined;
    return methodFrame(0, 'connection.close', { ...failure.reply, classId: 0, methodId: 0 });
  }
}
