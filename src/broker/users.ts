import { BrokerError } from './errors.js';

/** Somebody who may log in. */
export interface User {
  readonly name: string;
  readonly tags: readonly string[];
}

interface Account {
  readonly user: User;
  readonly password: string;
  /** May come from this machine only, as RabbitMQ's default user. */
  readonly loopbackOnly: boolean;
}

/** The node's users: RabbitMQ's default user. */
export class Users {
  readonly #accounts = new Map<string, Account>([
    ['guest', { user: { name: 'guest', tags: ['administrator'] }, password: 'guest', loopbackOnly: true }],
  ]);

  /**
   * The texts are for the log: a client is told only that its login was refused.
   *
   * @throws BrokerError `access-refused`
   */
  authenticate(name: string, password: string, options: { readonly loopback: boolean }): User {
    const account = this.#accounts.get(name);
    if (account === undefined || account.password !== password) {
      throw new BrokerError('access-refused', `user '${name}' - invalid credentials`);
    }
    if (account.loopbackOnly && !options.loopback) {
      throw new BrokerError('access-refused', `user '${name}' can only connect via localhost`);
    }
    return account.user;
  }
}
