import type { RabbitmqOptions } from '../test/support/rabbitmq-process.js';
import { RabbitmqProcess, rabbitmqTool } from '../test/support/rabbitmq-process.js';
import type { Server, ServerKind } from './server.js';

/** The command that installs it; undefined where it is installed. */
export const rabbitmqMissing = RabbitmqProcess.isInstalled() ? undefined : rabbitmqTool.install;

export async function startRabbitmq(options: RabbitmqOptions = {}): Promise<Server> {
  const server = await RabbitmqProcess.start(options);
  return { url: server.amqpUrl, pid: server.pid, stop: () => server.stop() };
}

/** One RabbitMQ as Debian configures it. */
export const rabbitmq: ServerKind = {
  name: 'RabbitMQ',
  missing: rabbitmqMissing,
  start: () => startRabbitmq(),
};
