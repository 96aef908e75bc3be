import { expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import type { NodeProcess } from '../support/node-process.js';
import { startNode } from '../support/start-node.js';
import type { App } from './space.js';
import { declareSpace, join, openApp, publish } from './space.js';

const NODES = 20;
const STARTED_AT_ONCE = 4;
const JOIN_LIMIT_MS = 2_000;

it('in a space of 20 nodes the last join is answered within 2 s and a message reaches all others once', async () => {
  const nodes = await startMany(NODES);
  const apps: App[] = [];
  const joinTimesMs: number[] = [];
  for (const [index, node] of nodes.entries()) {
    const app = await openApp(node);
    apps.push(app);
    if (index === 0) await declareSpace(app, 'town');
    const started = performance.now();
    await join(app, 'town', 'square', nodes[Math.max(0, index - 1)] ?? node);
    joinTimesMs.push(Math.round(performance.now() - started));
    await app.channel.bindQueue(app.queue, 'square', '#');
  }
  console.log(`joins took ${joinTimesMs.join(', ')} ms`);
  expect(joinTimesMs.at(-1)).toBeLessThan(JOIN_LIMIT_MS);

  const last = apps.at(-1) ?? expect.fail();
  publish(last, 'square', 'first');
  await Promise.all(apps.map((app) => eventually(() => expect(app.arrived).toEqual(['first']))));

  // Everybody speaks: one message from each, everywhere, exactly once.
  for (const [index, app] of apps.entries()) publish(app, 'square', `from ${index}`);
  const everything = ['first', ...apps.map((_, index) => `from ${index}`)].sort();
  await Promise.all(apps.map((app) => eventually(() => expect([...app.arrived].sort()).toEqual(everything))));
}, 120_000);

/** A few at a time: each needs a processor for a moment. */
async function startMany(count: number): Promise<NodeProcess[]> {
  const nodes: NodeProcess[] = [];
  while (nodes.length < count) {
    const batch = Array.from({ length: Math.min(STARTED_AT_ONCE, count - nodes.length) }, (_, index) =>
      startNode({ name: `node-${nodes.length + index}` }),
    );
    nodes.push(...(await Promise.all(batch)));
  }
  return nodes;
}
