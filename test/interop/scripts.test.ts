import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NodeProcess } from '../support/node-process.js';
import { RabbitmqProcess } from '../support/rabbitmq-process.js';
import { spaceArguments } from '../support/space-arguments.js';
import { startNodes } from '../support/start-node.js';
import { teardown } from '../support/teardown.js';
import { requireTools } from '../support/tools.js';
import { amqplib } from './clients/index.js';
import type { Script, Story } from './clients/scripts.js';
import { scripts, tell } from './clients/scripts.js';

const expected: Story = {
  consumed: Array.from({ length: 20 }, (_, number) => String(number)),
  got: [true, 'one', true, false],
  headers: [],
  returned: [312, 'NO_ROUTE', 'no such queue', 'back'],
  refused: [404, "NOT_FOUND - no queue 'no such queue' in vhost '/'"],
};

const scratch = mkdtemp(join(tmpdir(), 'xspace-scripts-'));

afterAll(async () => rm(await scratch, { recursive: true, force: true }));

describe('an app in another language, on two nodes', () => {
  let nodes: readonly [near: NodeProcess, far: NodeProcess];

  beforeAll(async () => {
    nodes = await startNodes('near', 'far');
    const owner = await amqplib.connect(nodes[0].amqpUrl);
    teardown(() => owner.close());
    await owner.declareExchange('languages', 'x-exchangespace', spaceArguments());
  });

  forEachScript((script) => {
    it('does what it does elsewhere, and talks to itself through a point', async () => {
      const [near, far] = nodes;
      const point = { space: 'languages', seed: near.overlay[0] ?? '', name: script.library };
      const story = await tell(await script.command(await scratch), near.amqpUrl, {
        url: far.amqpUrl,
        point,
      });
      expect(story).toEqual({ ...expected, alias: 'across' });
    });
  });
});

requireTools('rabbitmq')('an app in another language, on RabbitMQ', () => {
  let rabbitmq: RabbitmqProcess;

  beforeAll(async () => {
    rabbitmq = await RabbitmqProcess.start();
    teardown(() => rabbitmq.stop());
  }, 60_000);

  forEachScript((script) => {
    it('does what the story expects', async () => {
      expect(await tell(await script.command(await scratch), rabbitmq.amqpUrl)).toEqual(expected);
    });
  });
});

function forEachScript(tests: (script: Script) => void): void {
  for (const script of scripts) requireTools(script.tool)(`with ${script.library}`, () => tests(script));
}
