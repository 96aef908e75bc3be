import { encodeHeader, FRAME_BODY, FRAME_HEADER } from '../../src/amqp-codec/index.js';
import type { RelayChannel } from '../../src/prototype-space/relay-channel.js';
import type { RelayConnection } from '../../src/prototype-space/relay-connection.js';
import { connectRelay } from '../../src/prototype-space/relay-connection.js';
import { MemoryStub } from '../dht-space/memory-stub.js';
import type { RawClient } from '../support/amqp-raw-client.js';
import { frame, methodFrame } from '../support/amqp-raw-client.js';
import { teardown } from '../support/teardown.js';
import { FakeBroker } from './relay-fake-broker.js';
import { kept } from './relay-point.js';

export const credential = { username: 'peer.self', password: 'secret' };
export const REPLY = { classId: 0, methodId: 0 };

export interface Options {
  readonly heartbeatSeconds?: number;
  readonly signal?: AbortSignal;
  readonly tlsCa?: Buffer;
}

export function dial(broker: FakeBroker, options: Options = {}) {
  const memory = new MemoryStub();
  const ends: string[] = [];
  const ended = (cause: Error) => {
    ends.push(cause.message);
  };
  const { endpoint } = broker;
  const connected = connectRelay({ endpoint, credential, memory, ended, ...options });
  const failure = connected.then(
    () => 'no failure',
    (error: Error) => error.message,
  );
  return { memory, ends, connected, failure };
}

export interface Linked {
  readonly broker: FakeBroker;
  readonly client: RawClient;
  readonly connection: RelayConnection;
  readonly memory: MemoryStub;
  /** Why the connection has ended. */
  readonly ends: readonly string[];
}

export async function open(options: Options = {}): Promise<Linked> {
  const broker = await FakeBroker.start();
  const { connected, memory, ends } = dial(broker, options);
  const client = await broker.admit();
  const connection = await connected;
  teardown(() => connection.abort());
  return { broker, client, connection, memory, ends };
}

export interface OpenChannel extends Linked {
  readonly channel: RelayChannel;
  readonly bodies: string[];
  /** Why the channel was closed. */
  readonly closes: readonly string[];
}

export async function openChannel(options: Options = {}): Promise<OpenChannel> {
  const linked = await open(options);
  const bodies: string[] = [];
  const closes: string[] = [];
  const channel = linked.connection.openChannel({
    receive: (content) => bodies.push(kept(content).body.toString()),
    closed: (cause) => closes.push(cause.message),
  });
  await linked.client.expect('channel.open');
  linked.client.sendMethod(1, 'channel.open-ok');
  return { ...linked, channel, bodies, closes };
}

export function message(body: string): Buffer {
  return Buffer.concat([
    methodFrame(1, 'basic.deliver', { consumerTag: 'r', routingKey: 'k' }),
    frame(FRAME_HEADER, 1, encodeHeader(body.length, {})),
    frame(FRAME_BODY, 1, Buffer.from(body)),
  ]);
}
