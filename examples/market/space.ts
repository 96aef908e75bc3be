/** Arguments of the two declare commands that make an exchange space, as any AMQP client can send them. */

export type Implementation = 'dht' | 'prototype';

/** What whoever joins must know of the space: its name, and what leads there. It goes into `exchangespace` as it is. */
export type Invitation =
  | {
      readonly implementation: 'dht';
      readonly space: string;
      /** The overlay address of any node that is in the space. */
      readonly seeds: readonly string[];
    }
  | {
      readonly implementation: 'prototype';
      readonly space: string;
      /** The broker that holds the space, and a user of it. */
      readonly host: string;
      readonly port: number;
      readonly username: string;
      readonly password: string;
    };

/** For `exchange.declare` of type `x-exchangespace`. The declaring node starts the overlay, or holds the space. */
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
  if (value === 'dht' || value === 'prototype') return value;
  throw new Error(`--implementation ${value}: this market can be held with dht or prototype`);
}
