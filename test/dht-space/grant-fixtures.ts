import type { Grant } from '../../src/dht-space/grant.js';
import type { GrantTerms } from '../../src/dht-space/grant-issue.js';
import { delegateGrant, issueGrant } from '../../src/dht-space/grant-issue.js';
import type { Identity } from './fixtures.js';
import { NOW } from './fixtures.js';

export const DAY_MS = 86_400_000;

const TERMS = {
  points: ['bids', 'mail*'],
  rights: ['publish', 'subscribe'],
  routingKeys: ['eu.#'],
  expiresMs: NOW + DAY_MS,
  delegable: 2,
} as const;

type Changes = Partial<GrantTerms> & { readonly space?: string; readonly nowMs?: number };

export function issued(owner: Identity, to: string, changes: Changes = {}): Promise<Grant> {
  return issueGrant({ space: 'market', nowMs: NOW, to, ...TERMS, ...changes }, owner.key);
}

export function delegated(parent: Grant, by: Identity, to: string, changes: Changes = {}): Promise<Grant> {
  return delegateGrant(parent, { nowMs: NOW, to, ...TERMS, delegable: 1, ...changes }, by.key);
}
