import { BrokerError } from './errors.js';
import { MAX_TAGS, MAX_USERS } from './limits.js';
import type { LoginSources } from './login-sources.js';
import type { FieldTable } from './message.js';
import { assertName } from './names.js';
import type { StoredPassword } from './passwords.js';
import { Passwords, storedPasswordIn } from './passwords.js';
import type { Storage } from './storage.js';
import { StorageError } from './storage-error.js';

/** Somebody who may log in. */
export interface User {
  readonly name: string;
  /** RabbitMQ's, such as `administrator`: they say what someone may do in management. */
  readonly tags: readonly string[];
  /** Missing: a user of the node. */
  readonly source?: 'login-source';
}

interface Account {
  readonly user: User;
  readonly password: StoredPassword;
}

/** RabbitMQ's default user, of a node that is new. Whoever has this name may come from this machine only. */
const DEFAULT_USER = 'guest';
const DEFAULT_PASSWORD = 'guest';
/** Hashed in advance: everybody knows it anyway, and a new node is not kept waiting. */
const DEFAULT_STORED: StoredPassword = {
  algorithm: 'scrypt',
  cost: 16_384,
  blockSize: 8,
  parallelization: 5,
  salt: 'Z3Vlc3Q6Z3Vlc3Qgb2YgZQ==',
  hash: '1qD5LINfFROaoUKYYt2tQKyv2sCmhdloBgTkIlcOQSk=',
};

/** The node's users. Methods throw a {@link BrokerError} for what they refuse, and have then changed nothing. */
export class Users {
  readonly #storage: Storage | undefined;
  readonly #sources: LoginSources;
  readonly #passwords = new Passwords();
  readonly #accounts = new Map<string, Account>();

  /** `sources`: who else may log in. */
  constructor(storage: Storage | undefined, sources: LoginSources) {
    this.#storage = storage;
    this.#sources = sources;
    for (const { kind, key, value } of storage?.definitions ?? []) {
      if (kind === 'user') this.#restore(key[0] ?? '', value);
    }
  }

  get size(): number {
    return this.#accounts.size;
  }

  find(name: string): User | undefined {
    return this.#accounts.get(name)?.user;
  }

  /** @throws BrokerError `not-found` */
  get(name: string): User {
    return this.#get(name).user;
  }

  /** By name. */
  list(): readonly User[] {
    return [...this.#accounts.values()]
      .map(({ user }) => user)
      .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  }

  /** Of a node that is new. */
  addDefault(): User {
    const password = { ...DEFAULT_STORED };
    this.#passwords.know(password, DEFAULT_PASSWORD);
    return this.#define({ name: DEFAULT_USER, tags: ['administrator'] }, password);
  }

  /** An empty password is good for no login: such users have a certificate. */
  async add(name: string, password: string, tags: readonly string[]): Promise<User> {
    assertName('user', name);
    assertTags(tags);
    this.#assertFree(name);
    const stored = await this.#passwords.store(password);
    this.#assertFree(name);
    return this.#define({ name, tags: [...tags] }, stored);
  }

  remove(name: string): void {
    this.#get(name);
    this.#accounts.delete(name);
    this.#storage?.undefine('user', [name]);
  }

  /** Connections that were there before stay, as in RabbitMQ. */
  async setPassword(name: string, password: string): Promise<void> {
    this.#get(name);
    const stored = await this.#passwords.store(password);
    this.#define(this.#get(name).user, stored);
  }

  /**
   * The texts are for the log: a client is told only that its login was refused.
   *
   * @throws BrokerError `access-refused`
   */
  async authenticate(name: string, password: string, options: { readonly loopback: boolean }): Promise<User> {
    if (password === '') throw refusal(name, 'attempted to log in with a blank password');
    const account = this.#accounts.get(name);
    const guest = account === undefined ? this.#sources.authenticate(name, password) : undefined;
    if (guest !== undefined) return guest;
    const matches = await this.#passwords.matches(password, account?.password);
    // Who was removed, or was given another password, while this one was being hashed, has not logged in.
    if (!matches || account === undefined || this.#accounts.get(name) !== account) {
      throw refusal(name, '- invalid credentials');
    }
    return admitted(account.user, options);
  }

  /** Somebody else has made sure of the name, such as TLS. As {@link authenticate}. */
  admit(name: string, options: { readonly loopback: boolean }): User {
    const account = this.#accounts.get(name);
    if (account === undefined) throw refusal(name, '- invalid credentials');
    return admitted(account.user, options);
  }

  #get(name: string): Account {
    const account = this.#accounts.get(name);
    if (account === undefined) throw new BrokerError('not-found', `user '${name}' does not exist`);
    return account;
  }

  #assertFree(name: string): void {
    if (this.#accounts.has(name))
      throw new BrokerError('precondition-failed', `user '${name}' already exists`);
    if (this.#accounts.size < MAX_USERS) return;
    throw new BrokerError('precondition-failed', `the limit of ${MAX_USERS} users is reached`);
  }

  #define(user: User, password: StoredPassword): User {
    this.#accounts.set(user.name, { user, password });
    this.#storage?.define({
      kind: 'user',
      key: [user.name],
      value: { tags: [...user.tags], password: { ...password } },
    });
    return user;
  }

  #restore(name: string, value: FieldTable): void {
    const password = storedPasswordIn(value.password);
    const { tags } = value;
    if (name === '' || password === undefined || !isTexts(tags)) {
      throw new StorageError('damaged', `the definition of user '${name}' in the store is no user`);
    }
    this.#accounts.set(name, { user: { name, tags }, password });
  }
}

function admitted(user: User, { loopback }: { readonly loopback: boolean }): User {
  if (user.name === DEFAULT_USER && !loopback) throw refusal(user.name, 'can only connect via localhost');
  return user;
}

function refusal(name: string, why: string): BrokerError {
  return new BrokerError('access-refused', `user '${name}' ${why}`);
}

function assertTags(tags: readonly string[]): void {
  for (const tag of tags) assertName('tag', tag);
  if (tags.length > MAX_TAGS) throw new BrokerError('precondition-failed', `more than ${MAX_TAGS} tags`);
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}
