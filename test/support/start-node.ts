import type { NodeOptions } from './node-process.js';
import { NodeProcess } from './node-process.js';
import { teardown } from './teardown.js';

/** A node for the running test, or for the file when called from `beforeAll`; killed when that is over. */
export async function startNode(options: NodeOptions = {}): Promise<NodeProcess> {
  const node = await NodeProcess.start(options);
  teardown(() => node.kill());
  return node;
}

/** Several nodes that know nothing of each other, started at the same time. */
export function startNodes<const Names extends readonly string[]>(
  ...names: Names
): Promise<{ [Index in keyof Names]: NodeProcess }> {
  const nodes = names.map((name) => startNode({ name }));
  return Promise.all(nodes) as Promise<{ [Index in keyof Names]: NodeProcess }>;
}
