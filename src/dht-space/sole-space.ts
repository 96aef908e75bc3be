import { SpaceError } from '../overlay/index.js';
import type { DhtSpace } from './space.js';

/** A space by what people call it. */
export interface SpaceName {
  readonly space: string;
  /** Peer id; may be left out where the node is in one space of that name only. */
  readonly owner?: string;
}

/** The one that is meant. @throws SpaceError `not-found` when this node is not in it; `conflict` when there are several */
export function soleSpace(spaces: Iterable<DhtSpace>, { space: name, owner }: SpaceName): DhtSpace {
  const named = [...spaces].filter((space) => space.name === name && space.owner === (owner ?? space.owner));
  const [sole, other] = named;
  const by = owner === undefined ? '' : ` of ${owner}`;
  if (sole === undefined)
    throw new SpaceError('not-found', `this node is not in exchange space '${name}'${by}`);
  if (other === undefined) return sole;
  const owners = named.map((space) => space.owner).join(' and ');
  throw new SpaceError('conflict', `exchange space '${name}': owner: expected one of ${owners}, found none`);
}
