/** What both servers know before the first test: one list, put in by each server's own means. */
export const virtualHosts = ['/', 'elsewhere'] as const;
export type VirtualHost = (typeof virtualHosts)[number];

interface Permission {
  readonly vhost: VirtualHost;
  readonly configure: string;
  readonly write: string;
  readonly read: string;
}

export interface Account {
  readonly name: string;
  readonly password: string;
  readonly tags: readonly string[];
  readonly permissions: readonly Permission[];
}

const everything = { configure: '.*', write: '.*', read: '.*' } as const;

export const guest: Account = {
  name: 'guest',
  password: 'guest',
  tags: ['administrator'],
  permissions: [
    { vhost: '/', ...everything },
    { vhost: 'elsewhere', ...everything },
  ],
};

/** May log in, and then nothing. */
export const stranger: Account = { name: 'stranger', password: 'let me in', tags: [], permissions: [] };

/** A different expression for each of the three, none of them anchored but by itself. */
export const clerk: Account = {
  name: 'clerk',
  password: 'clerk',
  tags: [],
  permissions: [{ vhost: '/', configure: '^mine-', write: '^(mine|out)-', read: '^(mine|in)-' }],
};

/** May do anything with what has no name of its own, and nothing else. */
export const nameless: Account = {
  name: 'nameless',
  password: 'nameless',
  tags: [],
  permissions: [{ vhost: '/', configure: '^amq\\.gen', write: '^amq\\.(gen|default)', read: '^amq\\.gen' }],
};

/** Takes messages of others' names for its own. */
export const impersonator: Account = {
  name: 'impersonator',
  password: 'impersonator',
  tags: ['impersonator'],
  permissions: [{ vhost: '/', ...everything }],
};

export const accounts: readonly Account[] = [guest, stranger, clerk, nameless, impersonator];
