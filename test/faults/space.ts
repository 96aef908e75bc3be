import type { ConfirmChannel } from 'amqplib';
import { connect } from 'amqplib';
import type { NodeProcess } from '../support/node-process.js';
import type { Implementation } from '../support/space-arguments.js';
import { pointArguments, spaceArguments } from '../support/space-arguments.js';
import { teardown } from '../support/teardown.js';

/** An app on a node: its channel, and its queue with what has arrived there. */
export interface App {
  readonly channel: ConfirmChannel;
  readonly queue: string;
  readonly arrived: readonly string[];
}

/** Connects an amqplib app with an exclusive queue that is being consumed. */
export async function openApp(node: Pick<NodeProcess, 'amqpUrl'>): Promise<App> {
  const connection = await connect(node.amqpUrl);
  connection.on('error', () => undefined); // nodes are killed here
  teardown(() => connection.close().catch(() => undefined));
  const channel = await connection.createConfirmChannel();
  channel.on('error', () => undefined);
  const { queue } = await channel.assertQueue('', { exclusive: true });
  const arrived: string[] = [];
  await channel.consume(queue, (message) => message && arrived.push(message.content.toString()), {
    noAck: true,
  });
  return { channel, queue, arrived };
}

export async function declareSpace(
  { channel }: App,
  space: string,
  implementation: Implementation = 'dht',
  durable = false,
): Promise<void> {
  const args = spaceArguments(implementation);
  await channel.assertExchange(space, 'x-exchangespace', { durable, arguments: args });
}

/** Joins the topic point under an alias of the same name. */
export async function join(
  { channel }: App,
  space: string,
  point: string,
  through: NodeProcess,
  implementation: Implementation = 'dht',
): Promise<void> {
  const args = pointArguments(space, through, point, 'topic', implementation);
  await channel.assertExchange(point, 'x-exchange', { durable: false, arguments: args });
}

export function publish({ channel }: App, point: string, ...texts: string[]): void {
  for (const text of texts) channel.publish(point, text, Buffer.from(text));
}
