import type { Channel, Options } from 'amqplib';
import { connect } from 'amqplib';
import { NodeProcess } from '../test/support/node-process.js';
import type { Implementation } from '../test/support/space-arguments.js';
import { pointArguments, spaceArguments } from '../test/support/space-arguments.js';

/** Servers with an exchange at one end and a queue at the other, ready for load. */
export interface Testbed {
  readonly publishUrl: string;
  readonly exchange: string;
  /** Messages take them in turn. */
  readonly routingKeys: readonly string[];
  readonly consumeUrl: string;
  /** Each has a consumer, and gets every message. None: messages are published and stay. */
  readonly queues: readonly string[];
  /** The server processes, whose CPU time is counted. */
  readonly pids: readonly number[];
}

export interface System {
  readonly name: string;
  /** What is missing on this machine, as the command that installs it; undefined when it can run. */
  readonly missing?: string | undefined;
  /** Runs servers of its own for as long as `use` needs them. */
  with<T>(use: (testbed: Testbed) => Promise<T>): Promise<T>;
}

export const ROUTING_KEY = 'bench.load';
export const QUEUE = 'bench';
const TRANSIENT: Options.AssertExchange = { durable: false };

/** Publisher and consumer on two nodes that share a point. */
export function relay(implementation: Implementation): System {
  const join = (holder: NodeProcess): Options.AssertExchange => ({
    ...TRANSIENT,
    arguments: pointArguments('bench', holder, 'load', 'topic', implementation),
  });
  return {
    name: `two nodes, ${implementation}`,
    async with(use) {
      const [near, far] = await Promise.all([
        NodeProcess.start({ name: 'near' }),
        NodeProcess.start({ name: 'far' }),
      ]);
      try {
        await onChannel(near.amqpUrl, async (channel) => {
          const space = { ...TRANSIENT, arguments: spaceArguments(implementation) };
          await channel.assertExchange('bench', 'x-exchangespace', space);
          await channel.assertExchange('out', 'x-exchange', join(near));
        });
        await onChannel(far.amqpUrl, async (channel) => {
          await channel.assertExchange('in', 'x-exchange', join(near));
          await bindQueue(channel, 'in');
        });
        const pids = [near.pid, far.pid];
        return await use({ ...ends(near.amqpUrl, far.amqpUrl), exchange: 'out', pids });
      } finally {
        await Promise.all([near.stop(), far.stop()]);
      }
    },
  };
}

export async function bindQueue(channel: Channel, exchange: string): Promise<void> {
  await channel.assertQueue(QUEUE, { durable: false });
  await channel.bindQueue(QUEUE, exchange, 'bench.#');
}

export async function onChannel(url: string, use: (channel: Channel) => Promise<void>): Promise<void> {
  const connection = await connect(url);
  await use(await connection.createChannel());
  await connection.close();
}

export function ends(publishUrl: string, consumeUrl: string) {
  return { publishUrl, consumeUrl, routingKeys: [ROUTING_KEY], queues: [QUEUE] };
}
