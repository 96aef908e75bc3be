import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { NodeProcess } from '../support/node-process.js';
import { projectRoot } from '../support/node-process.js';
import type { Implementation } from '../support/space-arguments.js';
import { IMPLEMENTATIONS } from '../support/space-arguments.js';
import { startNodes } from '../support/start-node.js';
import { PYTHON, requireTools } from '../support/tools.js';

const run = promisify(execFile);

describe.each(IMPLEMENTATIONS)('with %s,', (implementation) => {
  requireTools('pika')('apps written with pika, on nodes that started knowing nobody', () => {
    it('see 100,000 messages once and in order under three names of one topic point', async () => {
      const nodes = await startNodes('one', 'two', 'three');
      const { consumers } = await story(implementation, 'order.py', nodes);
      const everything = { received: 100_000, duplicates: 0, out_of_order: 0, strangers: 0 };
      expect(consumers).toHaveLength(3);
      for (const consumer of consumers) expect(consumer).toMatchObject(everything);
    }, 180_000);

    it('get the message each of 1,000 times that they bind on one node and at once publish on another', async () => {
      const nodes = await startNodes('near', 'far');
      expect(await story(implementation, 'bind_then_publish.py', nodes)).toMatchObject({
        missing: [],
        received: 1_000,
      });
    }, 120_000);
  });

  requireTools('pika', 'ss')('unbinding', () => {
    it('stops the traffic on the wire, not only at the queue', async () => {
      const nodes = await startNodes('near', 'far');
      const bytes = await story(
        implementation,
        'unbind.py',
        nodes,
        '--near',
        String(nodes[0].pid),
        '--far',
        String(nodes[1].pid),
      );
      const payload = 2_000 * 1_000;
      expect(bytes).toMatchObject({ received: 2_000 });
      expect(bytes.wanted).toBeGreaterThan(payload);
      // What is left are heartbeats and the talk of the nodes.
      expect(bytes.unwanted).toBeLessThan(payload / 100);
      expect(bytes.after_unbind).toBeLessThan(payload / 100);
    });
  });
});

/** Runs a story against the nodes; what it prints is its result. */
async function story(
  implementation: Implementation,
  script: string,
  nodes: readonly NodeProcess[],
  ...more: string[]
) {
  const seed = implementation === 'dht' ? nodes[0]?.overlay[0] : `${nodes[0]?.host}:${nodes[0]?.port}`;
  const file = join(projectRoot, 'test/interop/pika', script);
  const urls = nodes.map((node) => node.amqpUrl);
  const env = { ...process.env, PYTHONDONTWRITEBYTECODE: '1' };
  const { stdout } = await run(
    PYTHON,
    [file, '--implementation', implementation, '--through', `${seed}`, ...more, ...urls],
    { env },
  );
  return JSON.parse(stdout);
}
