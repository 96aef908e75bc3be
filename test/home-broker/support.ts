import { randomBytes } from 'node:crypto';
import type { ChannelModel, ConfirmChannel } from 'amqplib';
import { connect } from 'amqplib';
import { SpaceExchanges } from '../../src/amqp-gateway/index.js';
import { NodeHomeBroker } from '../../src/home-broker/index.js';
import type { TestGateway } from '../support/amqp-gateway.js';
import { startGateway } from '../support/amqp-gateway.js';
import { teardown } from '../support/teardown.js';

type Options = ConstructorParameters<typeof NodeHomeBroker>[0];

export interface TestNode extends TestGateway {
  readonly home: NodeHomeBroker;
  /** What the home broker logged: the fields of each line. */
  readonly warnings: readonly object[];
}

/** A node's gateway with a home broker, which knows where the node listens. */
export async function startHome(options: Partial<Options> = {}): Promise<TestNode> {
  const warnings: object[] = [];
  const quiet = () => {};
  const warn = (fields: object) => void warnings.push(fields);
  const logger = { debug: quiet, info: quiet, warn, error: warn };
  const gateway = await startGateway({ spaceExchange: new SpaceExchanges([], logger) });
  const home = new NodeHomeBroker({ broker: gateway.broker, logger, ...options });
  teardown(() => home.close());
  home.listening([{ host: '127.0.0.1', port: gateway.port, tls: false }]);
  return { ...gateway, home, warnings };
}

/** A member id. */
export function anyone(): string {
  return randomBytes(16).toString('hex');
}

export function passwordOf(relay: string): string {
  return `the password of ${relay}`;
}

/** Logs a relay in, or whoever it says it is. */
export async function logIn(
  node: TestNode,
  username: string,
  password: string,
  vhost = 'xspace-relay',
): Promise<ChannelModel> {
  const client = await connect({ hostname: '127.0.0.1', port: node.port, username, password, vhost });
  client.on('error', () => {});
  teardown(() => client.close().catch(() => {}));
  return client;
}

/** A channel of a relay that is logged in at a member. */
export async function relayChannel(node: TestNode, member: string, relay: string): Promise<ConfirmChannel> {
  const client = await logIn(node, `${member}.${relay}`, passwordOf(relay));
  const channel = await client.createConfirmChannel();
  channel.on('error', () => {});
  return channel;
}

/** How an attempt on a channel of its own is refused. */
export async function refusalOf(
  client: ChannelModel,
  attempt: (channel: ConfirmChannel) => Promise<unknown>,
): Promise<string> {
  const channel = await client.createConfirmChannel();
  return new Promise((resolve, reject) => {
    channel.on('error', (error: Error) => {
      resolve(/with message "(.*)"$/s.exec(error.message)?.[1] ?? error.message);
    });
    attempt(channel).then(
      () => reject(new Error('it was accepted')),
      () => {},
    );
  });
}
