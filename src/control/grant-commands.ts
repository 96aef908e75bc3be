import { BrokerError } from '../broker/index.js';
import type { Rows } from './commands.js';

/** What an administrator asks of a node about grants. */
export type GrantRequest =
  | {
      readonly command: 'grant create';
      readonly space: string;
      /** Peer id of the owner, where the node hands down a grant; it finds out by itself where there is one only. */
      readonly owner?: string;
      readonly to: string;
      readonly points: readonly string[];
      readonly rights: readonly string[];
      readonly routingKeys: readonly string[];
      readonly expiresMs: number;
      readonly delegable: number;
    }
  | { readonly command: 'grant list' }
  | { readonly command: 'grant revoke'; readonly grant: string }
  | { readonly command: 'grant import'; readonly grant: string };

/** The grants of a node. Whatever it throws as BrokerError is for the administrator. */
export interface GrantAdministration {
  create(request: Omit<Extract<GrantRequest, { command: 'grant create' }>, 'command'>): Promise<string>;
  list(): Rows;
  revoke(grant: string): Promise<void>;
  import(grant: string): Promise<void>;
}

export function isGrantRequest(request: { readonly command: string }): request is GrantRequest {
  return Object.hasOwn(TEXTS, request.command);
}

export async function executeGrantRequest(grants: GrantAdministration, request: GrantRequest): Promise<Rows> {
  switch (request.command) {
    case 'grant create': {
      const { command: _, ...terms } = request;
      return [{ grant: await grants.create(terms) }];
    }
    case 'grant list':
      return grants.list();
    case 'grant revoke':
      await grants.revoke(request.grant);
      return [];
    case 'grant import':
      await grants.import(request.grant);
      return [];
    default:
      return request satisfies never;
  }
}

const TEXTS: { readonly [C in GrantRequest['command']]: readonly string[] } = {
  'grant create': ['space', 'to'],
  'grant list': [],
  'grant revoke': ['grant'],
  'grant import': ['grant'],
};
export const GRANT_COMMANDS: readonly string[] = Object.keys(TEXTS);
const LISTS = ['points', 'rights', 'routingKeys'];
const NUMBERS = ['expiresMs', 'delegable'];

/** @throws BrokerError naming the field */
export function checkGrantRequest(request: {
  readonly [field: string]: unknown;
  readonly command: string;
}): void {
  const { command, owner } = request;
  const refuse = (field: string, expected: string): never => {
    throw new BrokerError('precondition-failed', `request: ${command}: ${field}: expected ${expected}`);
  };
  for (const field of TEXTS[command as GrantRequest['command']]) {
    if (typeof request[field] !== 'string') refuse(field, 'a text');
  }
  if (command !== 'grant create') return;
  if (owner !== undefined && typeof owner !== 'string') refuse('owner', 'a text');
  for (const field of LISTS) {
    const value = request[field];
    if (!Array.isArray(value) || !value.every((item) => typeof item === 'string'))
      refuse(field, 'a list of texts');
  }
  for (const field of NUMBERS) if (!Number.isSafeInteger(request[field])) refuse(field, 'a whole number');
}
