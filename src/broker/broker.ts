import { Authorization } from './authorization.js';
import { BrokerError } from './errors.js';
import { MAX_VIRTUAL_HOSTS } from './limits.js';
import type { MemoryAccount } from './memory-account.js';
import { assertName } from './names.js';
import type { GrantedPermissions, PermissionPatterns } from './permissions.js';
import { Permissions } from './permissions.js';
import type { GroupCommit } from './storage.js';
import type { User } from './users.js';
import { Users } from './users.js';
import type { VirtualHostOptions } from './virtual-host.js';
import { VirtualHost } from './virtual-host.js';
import { whenSynced } from './when-synced.js';

export type BrokerOptions = VirtualHostOptions;

/** Somebody or something is gone, and with it the right to be connected. */
export type Removal =
  | { readonly type: 'user'; readonly name: string }
  | { readonly type: 'virtual-host'; readonly name: string };

const DEFAULT_VIRTUAL_HOST = '/';
const EVERYTHING: PermissionPatterns = { configure: '.*', write: '.*', read: '.*' };

/** The AMQP model without bytes: who may do what, and virtual hosts with their exchanges and queues. */
export class Broker {
  readonly memory: MemoryAccount;
  readonly users: Users;
  readonly #permissions: Permissions;
  readonly #options: BrokerOptions;
  readonly #virtualHosts = new Map<string, VirtualHost>();
  readonly #removalListeners = new Set<(removal: Removal) => void>();

  /** @throws StorageError: what the store has makes no sense */
  constructor(options: BrokerOptions) {
    const { memory, storage } = options;
    this.memory = memory;
    this.#options = options;
    this.users = new Users(storage);
    this.#permissions = new Permissions(storage);
    for (const { kind, key } of storage?.definitions ?? []) {
      if (kind === 'virtual-host') this.#openVirtualHost(key[0] ?? '');
    }
    // As RabbitMQ: also where an administrator has removed them all.
    if (this.users.size + this.#permissions.size + this.#virtualHosts.size === 0) this.#addDefaults();
  }

  /** How what is kept gets to the disk; undefined: nothing is kept. */
  get commit(): GroupCommit | undefined {
    return this.#options.storage;
  }

  /** Settles when all that was defined so far is kept: users, permissions, and what is in virtual hosts. */
  settled(): Promise<void> | undefined {
    const { storage } = this.#options;
    return storage && whenSynced(storage, storage.definedIn);
  }

  /** By name. */
  get virtualHostNames(): readonly string[] {
    return [...this.#virtualHosts.keys()].sort();
  }

  virtualHost(name: string): VirtualHost | undefined {
    return this.#virtualHosts.get(name);
  }

  /** One that is there already stays as it is, as in RabbitMQ. */
  addVirtualHost(name: string): void {
    assertName('vhost', name);
    if (this.#virtualHosts.has(name)) return;
    if (this.#virtualHosts.size >= MAX_VIRTUAL_HOSTS) {
      const text = `the limit of ${MAX_VIRTUAL_HOSTS} virtual hosts is reached`;
      throw new BrokerError('precondition-failed', text);
    }
    this.#openVirtualHost(name);
    this.#options.storage?.define({ kind: 'virtual-host', key: [name], value: {} });
  }

  /** With its exchanges, its queues and their messages, and the permissions for it. */
  removeVirtualHost(name: string): void {
    const virtualHost = this.#virtualHosts.get(name);
    if (virtualHost === undefined) throw noVirtualHost(name);
    this.#permissions.removeVirtualHost(name);
    virtualHost.delete();
    this.#virtualHosts.delete(name);
    this.#options.storage?.undefine('virtual-host', [name]);
    this.#removed({ type: 'virtual-host', name });
  }

  removeUser(name: string): void {
    this.users.remove(name);
    this.#permissions.removeUser(name);
    this.#removed({ type: 'user', name });
  }

  setPermissions(user: string, virtualHost: string, patterns: PermissionPatterns): void {
    this.#assertBoth(user, virtualHost);
    this.#permissions.set(user, virtualHost, patterns);
  }

  removePermissions(user: string, virtualHost: string): void {
    this.#assertBoth(user, virtualHost);
    this.#permissions.remove(user, virtualHost);
  }

  /** Of one user, or of all. */
  permissions(user?: string): readonly GrantedPermissions[] {
    if (user !== undefined) this.users.get(user);
    return this.#permissions.list(user);
  }

  /**
   * Lets a user into a virtual host.
   *
   * @throws BrokerError `not-allowed`: there is none, or nothing in it is permitted to the user
   */
  enter(
    user: User,
    name: string,
  ): { readonly virtualHost: VirtualHost; readonly authorization: Authorization } {
    const virtualHost = this.#virtualHosts.get(name);
    if (virtualHost === undefined) throw new BrokerError('not-allowed', `vhost ${name} not found`);
    if (this.#permissions.find(user.name, name) === undefined) {
      throw new BrokerError('not-allowed', `access to vhost '${name}' refused for user '${user.name}'`);
    }
    return { virtualHost, authorization: new Authorization(user, name, this.#permissions) };
  }

  /** Calls back when a user or a virtual host has been removed. Returns what ends that. */
  onRemoved(listener: (removal: Removal) => void): () => void {
    this.#removalListeners.add(listener);
    return () => this.#removalListeners.delete(listener);
  }

  /** The node stops, after the last connection has ended: what is kept is to be there at its next start. */
  stop(): void {
    for (const virtualHost of this.#virtualHosts.values()) virtualHost.stop();
  }

  #addDefaults(): void {
    const { name } = this.users.addDefault();
    this.addVirtualHost(DEFAULT_VIRTUAL_HOST);
    this.setPermissions(name, DEFAULT_VIRTUAL_HOST, EVERYTHING);
  }

  #openVirtualHost(name: string): void {
    this.#virtualHosts.set(name, new VirtualHost(name, this.#options));
  }

  #assertBoth(user: string, virtualHost: string): void {
    this.users.get(user);
    if (!this.#virtualHosts.has(virtualHost)) throw noVirtualHost(virtualHost);
  }

  #removed(removal: Removal): void {
    for (const listener of this.#removalListeners) listener(removal);
  }
}

function noVirtualHost(name: string): BrokerError {
  return new BrokerError('not-found', `vhost '${name}' does not exist`);
}
