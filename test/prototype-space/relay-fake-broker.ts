import type { AddressInfo, Socket } from 'node:net';
import { createServer } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { MethodArguments } from '../../src/amqp-codec/index.js';
import type { Endpoint } from '../../src/prototype-space/home-broker.js';
import { RawClient } from '../support/amqp-raw-client.js';
import type { Certificate } from '../support/certificates.js';
import { teardown } from '../support/teardown.js';

/** What a relay has asked for on one channel, until its consumer stood. */
export interface Opening {
  readonly channel: number;
  readonly queue: string;
  readonly bindings: readonly MethodArguments<'queue.bind'>[];
  /** Queues that it deleted first. */
  readonly deleted: readonly string[];
}

/** The server's side of an AMQP connection that a test scripts, step by step. */
export class FakeBroker {
  readonly endpoint: Endpoint;
  readonly #arrived: RawClient[] = [];
  readonly #waiting: ((client: RawClient) => void)[] = [];
  accepted = 0;

  private constructor(port: number, tls: boolean) {
    this.endpoint = { host: '127.0.0.1', port, tls, virtualHost: '/relays' };
  }

  /** @param certificate for TLS */
  static async start(certificate?: Certificate): Promise<FakeBroker> {
    const sockets = new Set<Socket>();
    const isTls = certificate !== undefined;
    const server = isTls ? createTlsServer(certificate) : createServer({ noDelay: true });
    teardown(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const broker = new FakeBroker((server.address() as AddressInfo).port, isTls);
    server.on(isTls ? 'secureConnection' : 'connection', (socket: Socket) => {
      sockets.add(socket);
      broker.#take(RawClient.on(socket));
    });
    return broker;
  }

  get where(): string {
    return `127.0.0.1:${this.endpoint.port}`;
  }

  /** The next one that connects, before a word is said. */
  accept(): Promise<RawClient> {
    const arrived = this.#arrived.shift();
    if (arrived !== undefined) return Promise.resolve(arrived);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** The next one that connects, up to the end of the login. */
  async admit(heartbeat = 60): Promise<RawClient> {
    const client = await this.accept();
    await greet(client);
    await client.expect('connection.start-ok');
    client.sendMethod(0, 'connection.tune', { channelMax: 2047, frameMax: 131_072, heartbeat });
    await client.expect('connection.tune-ok');
    await client.expect('connection.open');
    client.sendMethod(0, 'connection.open-ok');
    return client;
  }

  #take(client: RawClient): void {
    this.accepted++;
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#arrived.push(client);
    else waiting(client);
  }
}

/** Takes the protocol header and sends connection.start. */
export async function greet(
  client: RawClient,
  mechanisms = 'PLAIN AMQPLAIN',
  versionMinor = 9,
): Promise<void> {
  const header = await client.next();
  if (header.type !== 'octets') throw new Error(`expected the protocol header, got ${header.type}`);
  client.expectFrames();
  const locales = 'en_US';
  const start = { versionMajor: 0, versionMinor, serverProperties: {}, mechanisms, locales };
  client.sendMethod(0, 'connection.start', start);
}

/** Answers what a relay sends on a new channel, up to its consumer. */
export async function serve(client: RawClient): Promise<Opening> {
  const { channel } = await client.expect('channel.open');
  client.sendMethod(channel, 'channel.open-ok');
  const deleted: string[] = [];
  const bindings: MethodArguments<'queue.bind'>[] = [];
  let queue = '';
  for (;;) {
    const next = await client.next();
    if (next.type !== 'method') throw new Error(`expected a method, got ${next.type}`);
    if (next.name === 'queue.delete') {
      deleted.push(next.arguments.queue);
      client.sendMethod(channel, 'queue.delete-ok');
    } else if (next.name === 'queue.declare') {
      queue = next.arguments.queue;
      client.sendMethod(channel, 'queue.declare-ok', { queue });
    } else if (next.name === 'queue.bind') {
      bindings.push(next.arguments);
      client.sendMethod(channel, 'queue.bind-ok');
    } else if (next.name === 'basic.consume') {
      client.sendMethod(channel, 'basic.consume-ok', { consumerTag: next.arguments.consumerTag });
      return { channel, queue, bindings, deleted };
    } else {
      throw new Error(`unexpected ${next.name}`);
    }
  }
}
