import { MAX_CACHED_DECISIONS } from './limits.js';
import type { FieldTable } from './message.js';
import { NamePattern } from './name-pattern/index.js';
import type { Storage } from './storage.js';
import { StorageError } from './storage-error.js';

/** What somebody wants to do with a queue or an exchange. */
export type Permission = 'configure' | 'write' | 'read';

/** For each of them, a regular expression of the names it is granted for. */
export type PermissionPatterns = Readonly<Record<Permission, string>>;

export interface GrantedPermissions extends PermissionPatterns {
  readonly user: string;
  readonly virtualHost: string;
}

/** What is granted to somebody in one virtual host. */
export interface Rights {
  allows(permission: Permission, name: string, kind: 'queue' | 'exchange'): boolean;
}

/** Where to look for what is granted. */
export interface Grants {
  /** Another one after each change: who has kept a grant, or what it allowed, has to ask again. */
  readonly version: number;
  find(user: string, virtualHost: string): Rights | undefined;
}

/** What one user is granted in one virtual host, for queues and exchanges alike. */
export class Grant implements Rights {
  readonly patterns: PermissionPatterns;
  readonly #compiled: Readonly<Record<Permission, NamePattern>>;
  readonly #decisions: Readonly<Record<Permission, Map<string, boolean>>> = {
    configure: new Map(),
    write: new Map(),
    read: new Map(),
  };

  /** @throws BrokerError `precondition-failed`: a pattern is no regular expression, or not a supported one */
  constructor({ configure, write, read }: PermissionPatterns) {
    this.patterns = { configure, write, read };
    this.#compiled = {
      configure: new NamePattern(configure),
      write: new NamePattern(write),
      read: new NamePattern(read),
    };
  }

  allows(permission: Permission, name: string): boolean {
    const decisions = this.#decisions[permission];
    let decision = decisions.get(name);
    if (decision === undefined) {
      decision = this.#compiled[permission].matches(name);
      if (decisions.size >= MAX_CACHED_DECISIONS) decisions.clear();
      decisions.set(name, decision);
    }
    return decision;
  }
}

/** What users are granted. Whether the users and virtual hosts exist is for the caller to know. */
export class Permissions implements Grants {
  readonly #storage: Storage | undefined;
  /** By user, then by virtual host. */
  readonly #grants = new Map<string, Map<string, Grant>>();
  #version = 0;

  constructor(storage: Storage | undefined) {
    this.#storage = storage;
    for (const { kind, key, value } of storage?.definitions ?? []) {
      if (kind === 'permission') this.#restore(key[0] ?? '', key[1] ?? '', value);
    }
  }

  get version(): number {
    return this.#version;
  }

  get size(): number {
    return this.#grants.size;
  }

  find(user: string, virtualHost: string): Grant | undefined {
    return this.#grants.get(user)?.get(virtualHost);
  }

  /** Of one user, or of all, by virtual host and user. */
  list(user?: string): readonly GrantedPermissions[] {
    const users = user === undefined ? [...this.#grants.keys()].sort() : [user];
    return users.flatMap((name) =>
      [...(this.#grants.get(name) ?? [])]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([virtualHost, { patterns }]) => ({ user: name, virtualHost, ...patterns })),
    );
  }

  /** In place of what was granted before. @throws as {@link Grant} */
  set(user: string, virtualHost: string, patterns: PermissionPatterns): void {
    this.#set(user, virtualHost, new Grant(patterns));
    const { configure, write, read } = patterns;
    this.#storage?.define({
      kind: 'permission',
      key: [user, virtualHost],
      value: { configure, write, read },
    });
  }

  /** Nothing granted: nothing to do, as in RabbitMQ. */
  remove(user: string, virtualHost: string): void {
    const ofUser = this.#grants.get(user);
    if (ofUser === undefined || !ofUser.delete(virtualHost)) return;
    if (ofUser.size === 0) this.#grants.delete(user);
    this.#version++;
    this.#storage?.undefine('permission', [user, virtualHost]);
  }

  removeUser(user: string): void {
    for (const virtualHost of [...(this.#grants.get(user)?.keys() ?? [])]) this.remove(user, virtualHost);
  }

  removeVirtualHost(virtualHost: string): void {
    for (const user of [...this.#grants.keys()]) this.remove(user, virtualHost);
  }

  #set(user: string, virtualHost: string, grant: Grant): void {
    const ofUser = this.#grants.get(user) ?? new Map<string, Grant>();
    this.#grants.set(user, ofUser.set(virtualHost, grant));
    this.#version++;
  }

  #restore(user: string, virtualHost: string, { configure, write, read }: FieldTable): void {
    if (typeof configure !== 'string' || typeof write !== 'string' || typeof read !== 'string') {
      const where = `user '${user}' in vhost '${virtualHost}'`;
      throw new StorageError('damaged', `the permissions of ${where} in the store are none`);
    }
    this.#set(user, virtualHost, new Grant({ configure, write, read }));
  }
}
