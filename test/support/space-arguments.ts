import type { NodeProcess } from './node-process.js';

export type PointType = 'direct' | 'fanout' | 'topic' | 'headers';

/** Arguments of `exchange.declare` for a space that the dht manages. */
export const spaceArguments = { implementation: 'dht' } as const;

/** Arguments of `exchange.declare` that join a point; the seed is a node that is in the space. */
export function pointArguments(
  space: string,
  seed: NodeProcess,
  exchangename: string,
  exchangetype: PointType,
): Record<string, unknown> {
  return {
    exchangespace: { implementation: 'dht', space, seeds: [...seed.overlay] },
    exchangename,
    exchangetype,
  };
}
