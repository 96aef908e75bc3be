import { describe, inject } from 'vitest';
import { requireTools } from '../../support/tools.js';
import type { Account, VirtualHost } from './accounts.js';
import { guest } from './accounts.js';
import type { DifferenceName } from './differences.js';
import { differences } from './differences.js';

export type ServerName = keyof typeof servers;

const servers = {
  RabbitMQ: { suite: requireTools('rabbitmq'), port: inject('rabbitmqPort') },
  'the node': { suite: requireTools(), port: inject('nodePort') },
};

/** A server under test: RabbitMQ, whose answers are the expectations, or a node. */
export class Server {
  readonly host = '127.0.0.1';
  readonly port: number;
  readonly name: ServerName;

  constructor(name: ServerName, port: number) {
    this.name = name;
    this.port = port;
  }

  url(account: Account = guest, vhost: VirtualHost = '/'): string {
    const user = `${encodeURIComponent(account.name)}:${encodeURIComponent(account.password)}`;
    return `amqp://${user}@${this.host}:${this.port}/${encodeURIComponent(vhost)}`;
  }

  /** What to expect where the two differ on purpose. */
  expected<Expected>(difference: DifferenceName, by: Readonly<Record<ServerName, Expected>>): Expected {
    if (differences[difference] === undefined) throw new Error(`no such difference: ${difference}`);
    return by[this.name];
  }
}

/** The same tests for each of the servers; skipped for one that this run leaves out. */
export function onEachServer(topic: string, tests: (server: Server) => void): void {
  for (const name of ['RabbitMQ', 'the node'] as const) {
    const { suite, port } = servers[name];
    const run = port === 0 && suite === describe ? describe.skip : suite;
    run(`${topic} (${name})`, () => tests(new Server(name, port)));
  }
}
