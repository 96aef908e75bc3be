import { Authorization, permissionName } from './authorization.js';
import { BrokerError } from './errors.js';
import { MAX_VIRTUAL_HOSTS } from './limits.js';
import type { LoginSource } from './login-sources.js';
import { LoginSources } from './login-sources.js';
import type { MemoryAccount } from './memory-account.js';
import { assertName, PRIVATE_VIRTUAL_HOST } from './names.js';
import type { GrantedPermissions, Grants, Permission, PermissionPatterns } from './permissions.js';
import { Permissions } from './permissions.js';
import type { QueueRules } from './queue-rules.js';
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
  readonly #loginSources = new LoginSources();
  readonly #permissions: Permissions;
  readonly #options: BrokerOptions;
  readonly #virtualHosts = new Map<string, VirtualHost>();
  #private: VirtualHost | undefined;
  readonly #removalListeners = new Set<(removal: Removal) => void>();

  /** @throws StorageError: what the store has makes no sense */
  constructor(options: BrokerOptions) {
    const { memory, storage } = options;
    this.memory = memory;
    this.#options = options;
    this.users = new Users(storage, this.#loginSources);
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
    if (name === PRIVATE_VIRTUAL_HOST) {
      throw new BrokerError(
        'precondition-failed',
        `vhost name: '${name}' is reserved for relays of other nodes`,
      );
    }
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

  /**
   * A virtual host that nobody administers: not listed, not removed, without permissions of users. Only accounts of login
   * sources enter it. It is kept in memory and goes with the node.
   *
   * @throws Error when it is open already: there is one of them
   */
  openPrivateVirtualHost(rules: QueueRules): VirtualHost {
    if (this.#private !== undefined) throw new Error(`vhost '${PRIVATE_VIRTUAL_HOST}' is open already`);
    const { exchangeTypes, memory, warn } = this.#options;
    this.#private = new VirtualHost(PRIVATE_VIRTUAL_HOST, { exchangeTypes, memory, warn, queueRules: rules });
    return this.#private;
  }

  /** Lets accounts log in that are no users. Returns what ends that; {@link dismiss} those who are there. */
  addLoginSource(source: LoginSource): () => void {
    return this.#loginSources.add(source);
  }

  /** Closes the connections of an account that is no user, or no more. */
  dismiss(name: string): void {
    this.#removed({ type: 'user', name });
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

  /** What a user may do with an exchange, whether it exists or not, by the permissions as they are now. */
  permits(user: string, virtualHost: string, exchange: string): Readonly<Record<Permission, boolean>> {
    const grant = this.#permissions.find(user, virtualHost);
    const name = permissionName('exchange', exchange);
    const allows = (permission: Permission) => grant?.allows(permission, name) === true;
    return { configure: allows('configure'), write: allows('write'), read: allows('read') };
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
    const isGuest = user.source === 'login-source';
    const virtualHost =
      isGuest && this.#private?.name === name ? this.#private : this.#virtualHosts.get(name);
    if (virtualHost === undefined) throw new BrokerError('not-allowed', `vhost ${name} not found`);
    const grants: Grants | undefined = isGuest ? this.#loginSources.grants(user, name) : this.#permissions;
    if (grants?.find(user.name, name) === undefined) {
      throw new BrokerError('not-allowed', `access to vhost '${name}' refused for user '${user.name}'`);
    }
    return { virtualHost, authorization: new Authorization(user, name, grants) };
  }

  /** Calls back when a user or a virtual host has been removed. Returns what ends that. */
  onRemoved(listener: (removal: Removal) => void): () => void {
    this.#removalListeners.add(listener);
    return () => this.#removalListeners.delete(listener);
  }

  /** The node stops, after the last connection has ended: what is kept is to be there at its next start. */
  stop(): void {
    for (const virtualHost of this.#virtualHosts.values()) virtualHost.stop();
    this.#private?.stop();
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
