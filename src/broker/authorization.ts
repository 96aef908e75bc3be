import { BrokerError, describe } from './errors.js';
import type { Grants, Permission, Rights } from './permissions.js';
import type { User } from './users.js';

/** How RabbitMQ's permissions call the default exchange, which has no name. */
const DEFAULT_EXCHANGE = 'amq.default';

/** The name by which permissions know a queue or an exchange. */
export function permissionName(kind: 'queue' | 'exchange', name: string): string {
  return kind === 'exchange' && name === '' ? DEFAULT_EXCHANGE : name;
}

/**
 * What a user who is logged in may do in the virtual host of the connection, by the permissions as they are at the time
 * of asking.
 */
export class Authorization {
  readonly #user: User;
  readonly #virtualHost: string;
  readonly #permissions: Grants;
  #version = -1;
  #rights: Rights | undefined;
  /** Publishers mostly stay with one exchange: the last one that was allowed. */
  #publishedTo: string | undefined;

  constructor(user: User, virtualHost: string, permissions: Grants) {
    this.#user = user;
    this.#virtualHost = virtualHost;
    this.#permissions = permissions;
  }

  /**
   * The name counts as it is, line breaks included. Also where there is no such queue or exchange: who may not touch a name
   * learns nothing about it.
   */
  assert(permission: Permission, kind: 'queue' | 'exchange', name: string): void {
    this.#refresh();
    const known = permissionName(kind, name);
    if (this.#rights?.allows(permission, known, kind) === true) return;
    const what = describe(kind, known, this.#virtualHost);
    throw new BrokerError('access-refused', `access to ${what} refused for user '${this.#user.name}'`);
  }

  /** As `assert('write', 'exchange', name)`, for each message. */
  assertPublish(exchange: string): void {
    if (exchange === this.#publishedTo && this.#version === this.#permissions.version) return;
    this.assert('write', 'exchange', exchange);
    this.#publishedTo = exchange;
  }

  #refresh(): void {
    const { version } = this.#permissions;
    if (version === this.#version) return;
    this.#version = version;
    this.#rights = this.#permissions.find(this.#user.name, this.#virtualHost);
    this.#publishedTo = undefined;
  }
}
