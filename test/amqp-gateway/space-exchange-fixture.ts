import type { ConfirmChannel, GetMessage } from 'amqplib';
import { SpaceExchanges } from '../../src/amqp-gateway/index.js';
import type { PointType, SpaceImplementation } from '../../src/overlay/index.js';
import { createMemoryImplementation, MemoryNetwork } from '../../src/overlay/index.js';
import type { TestGateway } from '../support/amqp-gateway.js';
import { startGateway } from '../support/amqp-gateway.js';

/** A gateway with spaces, as one node has it. */
export interface SpaceNode extends TestGateway {
  readonly spaceExchange: SpaceExchanges;
  /** What went wrong between AMQP and the overlay, as `level text`. */
  readonly spaceLog: readonly string[];
  /** A channel of a client of its own. */
  channel(): Promise<ConfirmChannel>;
}

export async function startSpaceNode(...implementations: SpaceImplementation[]): Promise<SpaceNode> {
  const spaceLog: string[] = [];
  const at = (level: string) => (_: object, text: string) => {
    spaceLog.push(`${level} ${text}`);
  };
  const logger = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  const spaceExchange = new SpaceExchanges(implementations, logger);
  const gateway = await startGateway({ spaceExchange });
  return {
    ...gateway,
    spaceExchange,
    spaceLog,
    async channel() {
      const channel = await (await gateway.connect()).createConfirmChannel();
      channel.on('error', () => {});
      return channel;
    },
  };
}

/** Nodes that share spaces; the first one owns the space `market`. */
export async function startMarket<const Names extends readonly string[]>(
  ...names: Names
): Promise<{ readonly [Index in keyof Names]: SpaceNode }> {
  const network = new MemoryNetwork();
  const nodes = await Promise.all(names.map(() => startSpaceNode(createMemoryImplementation(network))));
  const owner = await nodes[0]?.channel();
  await owner?.assertExchange('market', 'x-exchangespace', { arguments: { implementation: 'memory' } });
  return nodes as unknown as { [Index in keyof Names]: SpaceNode };
}

/** The declare arguments of an alias. */
export function point(name: string, type: PointType = 'topic', more: object = {}): Record<string, unknown> {
  const exchangespace = { implementation: 'memory', space: 'market' };
  return { exchangespace, exchangename: name, exchangetype: type, ...more };
}

export async function join(channel: ConfirmChannel, alias: string, args: object, options = {}) {
  await channel.assertExchange(alias, 'x-exchange', { ...options, arguments: args });
}

/** A queue of the channel's client, bound as given. */
export async function boundQueue(
  channel: ConfirmChannel,
  exchange: string,
  key = '#',
  args = {},
): Promise<string> {
  const { queue } = await channel.assertQueue('', { exclusive: true });
  await channel.bindQueue(queue, exchange, key, args);
  return queue;
}

/** Publishes messages whose bodies are their routing keys; with `memory`, they are in all queues when this resolves. */
export async function publish(channel: ConfirmChannel, exchange: string, ...keys: string[]): Promise<void> {
  for (const key of keys) channel.publish(exchange, key, Buffer.from(key));
  await channel.waitForConfirms();
}

/** Takes what is in a queue. */
export async function drain(channel: ConfirmChannel, queue: string): Promise<GetMessage[]> {
  const messages: GetMessage[] = [];
  for (;;) {
    const message = await channel.get(queue, { noAck: true });
    if (message === false) return messages;
    messages.push(message);
  }
}

export async function bodies(channel: ConfirmChannel, queue: string): Promise<string[]> {
  return (await drain(channel, queue)).map(({ content }) => content.toString());
}

export interface Refusal {
  readonly scope: 'channel' | 'connection';
  readonly code: number;
  /** The reply text as it was sent. */
  readonly text: string;
}

/** How the node refuses what a client with a channel of its own attempts. Fails when it does not. */
export async function refusalOf(
  node: SpaceNode,
  attempt: (channel: ConfirmChannel) => Promise<unknown>,
): Promise<Refusal> {
  const client = await node.connect();
  const channel = await client.createConfirmChannel();
  return new Promise((resolve, reject) => {
    const refusedBy = (scope: Refusal['scope']) => (error: Error & { readonly code?: number }) => {
      const [, text = error.message] = /with message "(.*)"$/s.exec(error.message) ?? [];
      resolve({ scope, code: error.code ?? 0, text });
    };
    channel.on('error', refusedBy('channel'));
    client.on('error', refusedBy('connection'));
    attempt(channel).then(
      () => reject(new Error('it was accepted')),
      () => {},
    );
  });
}

/** A question to the node and its answer, on a connection of its own: what was sent before has been taken up. */
export async function roundTrip(node: SpaceNode): Promise<void> {
  await (await node.channel()).assertQueue('', { exclusive: true });
}
