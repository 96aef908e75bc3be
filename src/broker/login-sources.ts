import { createHash, timingSafeEqual } from 'node:crypto';
import type { Grants, PermissionPatterns, Rights } from './permissions.js';
import { Grant } from './permissions.js';
import type { User } from './users.js';

/** Who may log in without being a user of the node: nothing is stored, listed or for administrators to change. */
export interface Account {
  /** Nobody can guess it: it is compared as it is, and not hashed slowly. */
  readonly password: string;
  /** The only one that it leads into. */
  readonly virtualHost: string;
  readonly permissions: PermissionPatterns;
  /** Where exchanges have other ones than queues. */
  readonly exchangePermissions?: PermissionPatterns;
}

/** Asked at each login for names that no user has, as RabbitMQ's authentication backends are. */
export interface LoginSource {
  /** As it is now; undefined: there is none. */
  account(name: string): Account | undefined;
}

/** The accounts of all sources. */
export class LoginSources {
  readonly #sources = new Set<LoginSource>();

  /** Returns what ends it; connections that are there stay. */
  add(source: LoginSource): () => void {
    this.#sources.add(source);
    return () => this.#sources.delete(source);
  }

  /** Undefined where the name or the password is wrong. */
  authenticate(name: string, password: string): User | undefined {
    const account = this.#find(name);
    if (account === undefined || !isEqual(account.password, password)) return undefined;
    return { name, tags: [], source: 'login-source' };
  }

  /** What an account may do in a virtual host; undefined: it may not enter, or is not there any more. */
  grants({ name }: User, virtualHost: string): Grants | undefined {
    const account = this.#find(name);
    if (account === undefined || account.virtualHost !== virtualHost) return undefined;
    const rights = rightsOf(account);
    return { version: 0, find: () => rights };
  }

  #find(name: string): Account | undefined {
    for (const source of this.#sources) {
      const account = source.account(name);
      if (account !== undefined) return account;
    }
    return undefined;
  }
}

function rightsOf({ permissions, exchangePermissions }: Account): Rights {
  const grant = new Grant(permissions);
  if (exchangePermissions === undefined) return grant;
  const ofExchanges = new Grant(exchangePermissions);
  return {
    allows: (permission, name, kind) => (kind === 'exchange' ? ofExchanges : grant).allows(permission, name),
  };
}

/** In a time that tells nothing of what is equal. */
function isEqual(one: string, other: string): boolean {
  return timingSafeEqual(sha256(one), sha256(other));
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
