import type { ExchangeType } from './exchange-type.js';
import type { MemoryAccount } from './memory-account.js';
import type { User } from './users.js';
import { Users } from './users.js';
import { VirtualHost } from './virtual-host.js';

export interface BrokerOptions {
  /** The registry of exchange types; `direct`, `fanout`, `topic` and `headers` must be there. */
  readonly exchangeTypes: readonly ExchangeType[];
  readonly memory: MemoryAccount;
}

/** The AMQP model without bytes: users, and virtual hosts with their exchanges and queues. */
export class Broker {
  readonly memory: MemoryAccount;
  readonly #users = new Users();
  readonly #virtualHosts = new Map<string, VirtualHost>();

  constructor(options: BrokerOptions) {
    this.memory = options.memory;
    this.#virtualHosts.set('/', new VirtualHost('/', options.exchangeTypes, options.memory));
  }

  virtualHost(name: string): VirtualHost | undefined {
    return this.#virtualHosts.get(name);
  }

  /** @throws BrokerError `access-refused` */
  authenticate(name: string, password: string, options: { readonly loopback: boolean }): User {
    return this.#users.authenticate(name, password, options);
  }
}
