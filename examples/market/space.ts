/** Arguments of the two declare commands that make an exchange space, as any AMQP client can send them. */

export type Implementation = 'dht';

/** What whoever joins must know of the space: its name and the overlay address of any node that is in it. */
export interface Invitation {
  readonly space: string;
  readonly implementation: Implementation;
  readonly seeds: readonly string[];
}

/** For `exchange.declare` of type `x-exchangespace`. Without seeds: the declaring node starts the overlay. */
export function spaceArguments(implementation: Implementation): Record<string, unknown> {
  return { implementation };
}

/** For `exchange.declare` of type `x-exchange`, where the exchange's own name is the local alias of the point. */
export function pointArguments(
  invitation: Invitation,
  point: string,
  type: 'topic' | 'direct',
): Record<string, unknown> {
  return { exchangespace: { ...invitation }, exchangename: point, exchangetype: type };
}

/** The same as an app of 2010 writes it: the original paper's example spells `exchangename` with a second n. */
export function pointArgumentsOf2010(
  invitation: Invitation,
  point: string,
  type: 'topic' | 'direct',
): Record<string, unknown> {
  const { exchangename, ...others } = pointArguments(invitation, point, type);
  return { ...others, exchangenname: exchangename };
}

export function parseImplementation(value: string): Implementation {
  if (value === 'dht') return value;
  throw new Error(`--implementation ${value}: this market can be held with dht`);
}
