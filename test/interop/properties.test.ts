import { randomBytes } from 'node:crypto';
import type { ConfirmChannel, ConsumeMessage } from 'amqplib';
import { beforeAll, describe, expect, it } from 'vitest';
import type { NodeProcess } from '../support/node-process.js';
import { pointArguments, spaceArguments } from '../support/space-arguments.js';
import { startNodes } from '../support/start-node.js';
import { teardown } from '../support/teardown.js';
import { requireTools } from '../support/tools.js';
import { openChannel } from './amqplib-support.js';
import type { BasicProperties, ClientLibrary } from './clients/index.js';
import { amqplib, clientLibraries, cloudamqp, pika, rabbitmqClient } from './clients/index.js';

/** Without `expiration`, which a node refuses as long as its messages cannot expire. */
const everyProperty: Omit<Required<BasicProperties>, 'expiration'> = {
  contentType: 'application/json',
  contentEncoding: 'gzip',
  headers: { 'x-text': 'grün', 'x-number': 7, 'x-yes': true, 'x-table': { inner: { most: 'value' } } },
  deliveryMode: 2,
  priority: 9,
  correlationId: 'correlation',
  replyTo: 'somewhere',
  messageId: 'message-1',
  timestamp: 1_234_567_890,
  type: 'greeting',
  userId: 'guest',
  appId: 'interop',
  clusterId: 'cluster',
};

let nodes: readonly [here: NodeProcess, there: NodeProcess];

beforeAll(async () => {
  nodes = await startNodes('here', 'there');
  const owner = await amqplib.connect(nodes[0].amqpUrl);
  teardown(() => owner.close());
  await owner.declareExchange('post', 'x-exchangespace', spaceArguments);
});

describe('the properties of a message', () => {
  for (const publisher of clientLibraries) {
    for (const consumer of [pika, rabbitmqClient, cloudamqp, amqplib]) {
      const pair = `from ${publisher.name} to ${consumer.name}`;
      requireTools(...publisher.tools, ...consumer.tools)(pair, () => {
        it('arrive as they were published, without the user id that nobody here can verify', () =>
          compareProperties(pair, publisher, consumer));
      });
    }
  }
});

async function compareProperties(point: string, publisher: ClientLibrary, consumer: ClientLibrary) {
  const [from, to] = [await publisher.connect(nodes[0].amqpUrl), await consumer.connect(nodes[1].amqpUrl)];
  teardown(() => from.close());
  teardown(() => to.close());
  await from.declareExchange('out', 'x-exchange', pointArguments('post', nodes[0], 'letters', 'topic'));
  await to.declareExchange('in', 'x-exchange', pointArguments('post', nodes[0], 'letters', 'topic'));
  const subscription = await to.subscribe('in', [point]);
  const properties = publishable(publisher, consumer);

  await from.publish('out', [{ routingKey: point, body: 'hello', properties }]);

  const [message] = await subscription.until((received) => received.length > 0);
  const { userId, ...travelling } = properties;
  expect(message?.properties).toMatchObject(travelling);
  expect(message?.properties.userId).toBeUndefined();
}

function publishable(publisher: ClientLibrary, consumer: ClientLibrary): BasicProperties {
  // @cloudamqp/amqp-client 4.1.1 cannot parse a message that has a cluster id, whatever broker sends it.
  const unreadable = consumer === cloudamqp ? ['clusterId'] : [];
  const entries = Object.entries(everyProperty).filter(
    ([name]) => publisher.properties.includes(name as keyof BasicProperties) && !unreadable.includes(name),
  );
  return Object.fromEntries(entries);
}

describe('a message that crossed a point', () => {
  const headers = {
    text: 'ümläut',
    bytes: Buffer.from([0, 1, 254, 255]),
    small: -1,
    big: 2 ** 40,
    double: 1.5,
    yes: true,
    nothing: null,
    when: { '!': 'timestamp', value: 1_700_000_000 },
    list: [1, 'two', [3], { four: 4 }],
    table: { deep: { deeper: { deepest: 'x'.repeat(300) } } },
  };

  it.each([0, 1, 4_000, 131_064, 131_065, 400_000, 5_000_000])(
    'with a body of %i bytes is the same as one that crossed an ordinary exchange',
    async (bytes) => {
      const body = randomBytes(bytes);
      const channel = await openChannel(nodes[0]);
      const far = await openChannel(nodes[1]);
      await channel.assertExchange('plain', 'topic', { durable: false });
      await channel.assertExchange('out', 'x-exchange', {
        durable: false,
        arguments: pointArguments('post', nodes[0], 'letters', 'topic'),
      });
      await far.assertExchange('in', 'x-exchange', {
        durable: false,
        arguments: pointArguments('post', nodes[0], 'letters', 'topic'),
      });
      const key = `size.${bytes}`;
      const reference = await firstMessage(channel, 'plain', key);
      const crossed = await firstMessage(far, 'in', key);

      for (const exchange of ['plain', 'out']) {
        channel.publish(exchange, key, body, { headers, deliveryMode: 2, priority: 0 });
      }

      const [expected, actual] = [await reference(), await crossed()];
      expect(actual.content.equals(body)).toBe(true);
      expect(actual.properties).toEqual(expected.properties);
      expect(actual.fields.routingKey).toBe(key);
      expect(actual.fields.exchange).toBe('in');
      expect(actual.fields.redelivered).toBe(false);
    },
  );
});

/** Consumes before it returns; the promise inside settles with the first message. */
async function firstMessage(channel: ConfirmChannel, exchange: string, key: string) {
  const { queue } = await channel.assertQueue('', { exclusive: true });
  await channel.bindQueue(queue, exchange, key);
  let take: (message: ConsumeMessage) => void = () => undefined;
  const first = new Promise<ConsumeMessage>((resolve) => {
    take = resolve;
  });
  await channel.consume(queue, (message) => message && take(message), { noAck: true });
  return () => first;
}
