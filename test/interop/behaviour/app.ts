import { randomUUID } from 'node:crypto';
import type { Channel, ChannelModel, ConfirmChannel, ConsumeMessage, GetMessage, Options } from 'amqplib';
import { connect } from 'amqplib';
import { expect } from 'vitest';
import { RawClient } from '../../support/amqp-raw-client.js';
import { eventually } from '../../support/eventually.js';
import { teardown } from '../../support/teardown.js';
import type { Account, VirtualHost } from './accounts.js';
import type { Server } from './server.js';

const LIMIT_MS = 10_000;

/** A name that nothing else on the server has. */
export function unique(name: string): string {
  return `${name}-${randomUUID().slice(0, 13)}`;
}

interface Login {
  readonly account?: Account;
  readonly vhost?: VirtualHost;
}

/** A connection of its own, closed after the test. */
export async function connectTo(server: Server, { account, vhost }: Login = {}): Promise<ChannelModel> {
  const connection = await connect(server.url(account, vhost), { noDelay: true });
  connection.on('error', () => undefined);
  teardown(() => connection.close().catch(() => undefined));
  return connection;
}

export async function openChannel(server: Server, login: Login = {}): Promise<Channel> {
  return channelOf(await connectTo(server, login));
}

export async function channelOf(connection: ChannelModel): Promise<Channel> {
  const channel = await connection.createChannel();
  channel.on('error', () => undefined);
  return channel;
}

export async function openConfirmChannel(server: Server): Promise<ConfirmChannel> {
  const channel = await (await connectTo(server)).createConfirmChannel();
  channel.on('error', () => undefined);
  return channel;
}

/** A client that sends any octets one wants, with channel 1 open. */
export async function rawChannel(server: Server, capabilities: readonly string[] = []): Promise<RawClient> {
  const client = await rawConnection(server);
  await client.open({ capabilities });
  await client.call('channel.open', {}, 'channel.open-ok');
  return client;
}

export async function rawConnection(server: Server): Promise<RawClient> {
  const client = await RawClient.connect(server.port);
  teardown(() => client.destroy());
  return client;
}

/** An exclusive queue that nothing else uses. */
export async function ownQueue(channel: Channel, args: Record<string, unknown> = {}): Promise<string> {
  return (await channel.assertQueue(unique('queue'), { exclusive: true, arguments: args })).queue;
}

/** A queue that other connections may use; deleted after the test. */
export async function sharedQueue(channel: Channel, args: Record<string, unknown> = {}): Promise<string> {
  const { queue } = await channel.assertQueue(unique('queue'), { durable: false, arguments: args });
  teardown(() => channel.deleteQueue(queue).catch(() => undefined));
  return queue;
}

/** An exchange that is deleted after the test. */
export async function ownExchange(
  channel: Channel,
  type: string,
  options: Options.AssertExchange = {},
): Promise<string> {
  const { exchange } = await channel.assertExchange(unique('exchange'), type, { durable: false, ...options });
  teardown(() => channel.deleteExchange(exchange).catch(() => undefined));
  return exchange;
}

export function send(channel: Channel, queue: string, ...bodies: readonly string[]): void {
  for (const body of bodies) channel.sendToQueue(queue, Buffer.from(body));
}

/** Waits for the next message of the queue and takes it. */
export function take(channel: Channel, queue: string): Promise<GetMessage> {
  return next(channel, queue, true);
}

/** Waits for the next message of the queue, which is to be acknowledged. */
export function hold(channel: Channel, queue: string): Promise<GetMessage> {
  return next(channel, queue, false);
}

async function next(channel: Channel, queue: string, noAck: boolean): Promise<GetMessage> {
  const found: GetMessage[] = [];
  await eventually(async () => {
    const message = await channel.get(queue, { noAck });
    if (message === false) throw new Error(`${queue} is empty`);
    found.push(message);
  }, LIMIT_MS);
  return found[0] as GetMessage;
}

/** Bodies of what is in the queue now, which is empty then. */
export async function drain(channel: Channel, queue: string): Promise<string[]> {
  const bodies: string[] = [];
  for (;;) {
    const message = await channel.get(queue, { noAck: true });
    if (message === false) return bodies;
    bodies.push(message.content.toString());
  }
}

/** Waits until the queue has so many messages ready. */
export async function ready(channel: Channel, queue: string, messages: number): Promise<void> {
  await eventually(async () => {
    expect((await channel.checkQueue(queue)).messageCount).toBe(messages);
  }, LIMIT_MS);
}

/** Waits for so long by the clock of the server. */
export async function passed(channel: ConfirmChannel, ms: number): Promise<void> {
  const clock = await ownQueue(channel, { 'x-message-ttl': ms });
  send(channel, clock, 'tick');
  await channel.waitForConfirms();
  await ready(channel, clock, 0);
}

/**
 * Resolves when all that the queue had to say to this channel so far has come, provided that it has taken all that was
 * published (RabbitMQ's queues answer a passive declare first). The answer to the first question may overtake a delivery
 * on its way through the server; the second is asked when that delivery is already in line.
 */
export async function settled(channel: Channel, queue: string): Promise<void> {
  await channel.checkQueue(queue);
  await channel.checkQueue(queue);
}

/** What a consumer got, in order. */
export class Inbox {
  readonly consumerTag: string;
  readonly messages: readonly ConsumeMessage[];
  readonly #cancelled: () => boolean;

  constructor(consumerTag: string, messages: readonly ConsumeMessage[], cancelled: () => boolean) {
    this.consumerTag = consumerTag;
    this.messages = messages;
    this.#cancelled = cancelled;
  }

  get bodies(): string[] {
    return this.messages.map(({ content }) => content.toString());
  }

  get redelivered(): boolean[] {
    return this.messages.map(({ fields }) => fields.redelivered);
  }

  /** The server has ended the consumer. */
  get cancelled(): boolean {
    return this.#cancelled();
  }

  /** Waits until these are the bodies, neither fewer nor more. */
  async holds(...bodies: readonly string[]): Promise<void> {
    await eventually(() => expect(this.bodies).toEqual(bodies), LIMIT_MS);
  }

  message(index: number): ConsumeMessage {
    const message = this.messages.at(index);
    if (message === undefined) throw new Error(`no message ${index} of ${this.messages.length}`);
    return message;
  }
}

export async function consume(
  channel: Channel,
  queue: string,
  options: Options.Consume = {},
): Promise<Inbox> {
  const messages: ConsumeMessage[] = [];
  let cancelled = false;
  const { consumerTag } = await channel.consume(
    queue,
    (message) => {
      if (message === null) cancelled = true;
      else messages.push(message);
    },
    options,
  );
  return new Inbox(consumerTag, messages, () => cancelled);
}
