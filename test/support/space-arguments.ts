import type { NodeProcess } from './node-process.js';

export type PointType = 'direct' | 'fanout' | 'topic' | 'headers';

export const IMPLEMENTATIONS = ['dht', 'prototype'] as const;
export type Implementation = (typeof IMPLEMENTATIONS)[number];

/** Arguments of `exchange.declare` for a space. */
export function spaceArguments(implementation: Implementation = 'dht'): { implementation: string } {
  return { implementation };
}

/** Arguments of `exchange.declare` that join a point through a node: with `prototype`, the one that holds the space. */
export function pointArguments(
  space: string,
  through: NodeProcess,
  exchangename: string,
  exchangetype: PointType,
  implementation: Implementation = 'dht',
): Record<string, unknown> {
  const { host, port, overlay } = through;
  const way = implementation === 'dht' ? { seeds: [...overlay] } : { host, port };
  return { exchangespace: { implementation, space, ...way }, exchangename, exchangetype };
}
