import type { FieldTable } from '../amqp-codec/index.js';

/**
 * What this server can do beyond AMQP 0-9-1, under the names that clients look for (RabbitMQ's). One is added here
 * when it works, and not before.
 */
const SERVER_CAPABILITIES: FieldTable = {
  publisher_confirms: true,
  exchange_exchange_bindings: true,
  'basic.nack': true,
  consumer_cancel_notify: true,
  'connection.blocked': true,
  consumer_priorities: true,
  authentication_failure_close: true,
  per_consumer_qos: true,
  direct_reply_to: true,
};

/**
 * The release whose behaviour is followed. Clients choose by product and version which methods they use and how they
 * take the answers (kombu: prefetch; AnyEvent::RabbitMQ: confirms and rejects), and know RabbitMQ's only.
 */
const RABBITMQ_VERSION = '3.10.8';

/** The server properties of connection.start; `own` are the node's, and win. */
export function serverProperties(own: FieldTable): FieldTable {
  return {
    product: 'RabbitMQ',
    version: RABBITMQ_VERSION,
    platform: `Node.js ${process.versions.node}`,
    copyright: 'Copyright (c) 2026 the xspace authors',
    information: 'xspace, which serves AMQP 0-9-1 as RabbitMQ does. Licensed under the MIT licence',
    ...own,
    capabilities: SERVER_CAPABILITIES,
  };
}

/** Which extensions a client can take, by its client properties: the names that its table `capabilities` has as true. */
export function capabilitiesIn({ capabilities }: FieldTable): ReadonlySet<string> {
  if (typeof capabilities !== 'object' || capabilities === null) return new Set();
  const names = Object.entries(capabilities).filter(([, value]) => value === true);
  return new Set(names.map(([name]) => name));
}
