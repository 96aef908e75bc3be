import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { beforeAll, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import type { NodeProcess } from '../support/node-process.js';
import { pointArguments, spaceArguments } from '../support/space-arguments.js';
import { startNodes } from '../support/start-node.js';
import { requireTools } from '../support/tools.js';
import { openChannel } from './amqplib-support.js';

const run = promisify(execFile);

requireTools('amqp-tools')('shell scripts with amqp-tools', () => {
  let nodes: readonly [near: NodeProcess, far: NodeProcess];

  // The tools cannot declare exchanges: an app has done that before the scripts run.
  beforeAll(async () => {
    nodes = await startNodes('near', 'far');
    const [near, far] = [await openChannel(nodes[0]), await openChannel(nodes[1])];
    await near.assertExchange('scripts', 'x-exchangespace', { durable: false, arguments: spaceArguments() });
    const args = pointArguments('scripts', nodes[0], 'jobs', 'topic');
    for (const channel of [near, far]) {
      await channel.assertExchange('jobs', 'x-exchange', { durable: false, arguments: args });
    }
  });

  it('take what was published on another node from a queue of their own', async () => {
    const [near, far] = nodes;
    const options = ['--exchange', 'jobs', '--routing-key', 'job.#', '--count', '1'];
    const consumer = run('amqp-consume', ['--url', far.amqpUrl, ...options, 'cat']);
    const result = { output: undefined as string | undefined };
    consumer.then(({ stdout }) => {
      result.output = stdout;
    });

    // It does not say when it has bound its queue: publish until it has taken one.
    await eventually(async () => {
      await publish(near, 'job.first', 'work');
      expect(result.output).toBe('work');
    });
  });

  it('fetch what was published on another node from a queue that stays', async () => {
    const [near, far] = nodes;
    const queue = (await run('amqp-declare-queue', ['--url', far.amqpUrl, '--queue', 'inbox'])).stdout.trim();
    expect(queue).toBe('inbox');
    const binder = await openChannel(far);
    await binder.bindQueue(queue, 'jobs', 'mail.*');

    await publish(near, 'mail.1', 'one');
    await publish(near, 'other.1', 'not for the queue');
    await publish(near, 'mail.2', 'two');

    for (const body of ['one', 'two']) await eventually(async () => expect(await get(far, queue)).toBe(body));
    // amqp-get ends with 2 when the queue is empty.
    await expect(get(far, queue)).rejects.toMatchObject({ code: 2 });
  });
});

async function publish(node: NodeProcess, routingKey: string, body: string): Promise<void> {
  await run('amqp-publish', ['--url', node.amqpUrl, '-e', 'jobs', '-r', routingKey, '-b', body]);
}

async function get(node: NodeProcess, queue: string): Promise<string> {
  return (await run('amqp-get', ['--url', node.amqpUrl, '--queue', queue])).stdout;
}
