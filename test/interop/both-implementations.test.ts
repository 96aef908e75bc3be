import type { ConfirmChannel } from 'amqplib';
import { expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import type { NodeProcess } from '../support/node-process.js';
import { IMPLEMENTATIONS, pointArguments, spaceArguments } from '../support/space-arguments.js';
import { startNodes } from '../support/start-node.js';
import { openChannel } from './amqplib-support.js';

/** Aliases of a point in a space of each implementation, under its name, and one queue that is bound to both. */
async function joinBoth(channel: ConfirmChannel, holder: NodeProcess): Promise<readonly string[]> {
  const { queue } = await channel.assertQueue('', { exclusive: true });
  for (const implementation of IMPLEMENTATIONS) {
    const args = pointArguments(`${implementation} space`, holder, 'news', 'topic', implementation);
    await channel.assertExchange(implementation, 'x-exchange', { durable: false, arguments: args });
    await channel.bindQueue(queue, implementation, '#');
  }
  const arrived: string[] = [];
  await channel.consume(queue, (message) => message && arrived.push(message.content.toString()), {
    noAck: true,
  });
  return arrived;
}

it('a node is in spaces of both implementations at a time, and a queue takes from aliases of both', async () => {
  const [holder, other] = await startNodes('holder', 'other');
  const [here, there] = [await openChannel(holder), await openChannel(other)];
  for (const implementation of IMPLEMENTATIONS) {
    const space = { durable: false, arguments: spaceArguments(implementation) };
    await here.assertExchange(`${implementation} space`, 'x-exchangespace', space);
  }
  const arrivedHere = await joinBoth(here, holder);
  const arrivedThere = await joinBoth(there, holder);

  for (const implementation of IMPLEMENTATIONS) {
    here.publish(implementation, 'a', Buffer.from(`from here by ${implementation}`));
    there.publish(implementation, 'a', Buffer.from(`from there by ${implementation}`));
  }

  // Each once, those of its own node included: nothing that came by one space goes into the other.
  const all = IMPLEMENTATIONS.flatMap((name) => [`from here by ${name}`, `from there by ${name}`]).sort();
  await eventually(() => expect([...arrivedHere].sort()).toEqual(all));
  await eventually(() => expect([...arrivedThere].sort()).toEqual(all));
});
