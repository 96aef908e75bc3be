import { eventually } from '../test/support/eventually.js';
import { rabbitmqMissing, startRabbitmq } from './rabbitmq.js';
import type { Server } from './server.js';
import type { System } from './testbed.js';
import { bindQueue, ends, onChannel, QUEUE, ROUTING_KEY } from './testbed.js';

const EXCHANGE = 'federated';

export const FEDERATION = 'RabbitMQ exchange federation';

/** Two RabbitMQ servers, an exchange on the second federated with the one of the same name on the first. */
export const rabbitmqFederation: System = {
  name: FEDERATION,
  missing: rabbitmqMissing,
  async with(use) {
    const servers: Server[] = [];
    try {
      const plugins = ['rabbitmq_federation'];
      const near = await startRabbitmq({ plugins });
      servers.push(near);
      const far = await startRabbitmq({ plugins, definitions: federationWith(near.url) });
      servers.push(far);
      await onChannel(far.url, async (channel) => {
        await channel.assertExchange(EXCHANGE, 'topic', { durable: false });
        await bindQueue(channel, EXCHANGE);
      });
      await linked(near.url, far.url);
      return await use({ ...ends(near.url, far.url), exchange: EXCHANGE, pids: [near.pid, far.pid] });
    } finally {
      await Promise.all(servers.map((server) => server.stop()));
    }
  },
};

/** As one would configure it for speed: no acknowledgements between the servers. */
function federationWith(url: string): object {
  return {
    parameters: [
      {
        vhost: '/',
        component: 'federation-upstream',
        name: 'near',
        value: { uri: url, 'ack-mode': 'no-ack' },
      },
    ],
    policies: [
      {
        vhost: '/',
        name: 'federate',
        pattern: `^${EXCHANGE}$`,
        'apply-to': 'exchanges',
        definition: { 'federation-upstream': 'near' },
      },
    ],
  };
}

/** Waits until what is published at one end is in the queue at the other, and leaves the queue empty. */
async function linked(nearUrl: string, farUrl: string): Promise<void> {
  await onChannel(nearUrl, async (near) => {
    await near.assertExchange(EXCHANGE, 'topic', { durable: false });
    const probe = (text: string) => near.publish(EXCHANGE, ROUTING_KEY, Buffer.from(text));
    await onChannel(farUrl, async (far) => {
      const next = async () => {
        const message = await far.get(QUEUE, { noAck: true });
        if (message === false) throw new Error('the federation link is not up');
        return message.content.toString();
      };
      await eventually(() => {
        probe('first');
        return next();
      });
      probe('last'); // arrives after every probe before it
      await eventually(async () => {
        while ((await next()) !== 'last');
      });
    });
  });
}
