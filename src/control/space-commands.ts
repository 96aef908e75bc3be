import { BrokerError } from '../broker/index.js';

/** What an administrator asks of a node that runs: about its spaces, and about itself. */
export type SpaceRequest =
  | {
      readonly command: 'point delete';
      readonly space: string;
      /** Peer id of the space's owner; the node finds out by itself where it is in one space of that name only. */
      readonly owner?: string;
      readonly point: string;
    }
  | { readonly command: 'status' };

/** All that a node tells about itself: what JSON can say. */
export type NodeSnapshot = { readonly [field: string]: unknown };

/** The spaces of a node, and what it tells about itself. Whatever it throws as BrokerError is for the administrator. */
export interface SpaceAdministration {
  deletePoint(target: Omit<Extract<SpaceRequest, { command: 'point delete' }>, 'command'>): Promise<void>;
  status(): NodeSnapshot;
}

const TEXTS: { readonly [C in SpaceRequest['command']]: readonly string[] } = {
  'point delete': ['space', 'point'],
  status: [],
};
export const SPACE_COMMANDS: readonly string[] = Object.keys(TEXTS);

export function isSpaceRequest(request: { readonly command: string }): request is SpaceRequest {
  return Object.hasOwn(TEXTS, request.command);
}

export async function executeSpaceRequest(
  spaces: SpaceAdministration,
  request: SpaceRequest,
): Promise<readonly never[] | NodeSnapshot> {
  switch (request.command) {
    case 'point delete': {
      const { command: _, ...target } = request;
      await spaces.deletePoint(target);
      return [];
    }
    case 'status':
      return spaces.status();
    default:
      return request satisfies never;
  }
}

/** @throws BrokerError naming the field */
export function checkSpaceRequest(request: {
  readonly [field: string]: unknown;
  readonly command: string;
}): void {
  const { command, owner } = request;
  const texts = [...TEXTS[command as SpaceRequest['command']], ...(owner === undefined ? [] : ['owner'])];
  for (const field of texts) {
    if (typeof request[field] === 'string') continue;
    throw new BrokerError('precondition-failed', `request: ${command}: ${field}: expected a text`);
  }
}
