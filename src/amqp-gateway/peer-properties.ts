import type { FieldTable } from './codec/index.js';

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
};

/** The server properties of connection.start; `own` are the node's, and win. */
export function serverProperties(own: FieldTable): FieldTable {
  return {
    product: 'xspace',
    platform: `Node.js ${process.versions.node}`,
    information: 'Exchange spaces for AMQP 0-9-1',
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
