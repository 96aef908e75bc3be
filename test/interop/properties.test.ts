import { randomBytes } from 'node:crypto';
import type { ConfirmChannel, ConsumeMessage } from 'amqplib';
import { beforeAll, describe, expect, it } from 'vitest';
import type { NodeProcess } from '../support/node-process.js';
import type { Implementation } from '../support/space-arguments.js';
import { IMPLEMENTATIONS, pointArguments, spaceArguments } from '../support/space-arguments.js';
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
  for (const implementation of IMPLEMENTATIONS) {
    await owner.declareExchange(`${implementation} post`, 'x-exchangespace', spaceArguments(implementation));
  }
});

describe.each(IMPLEMENTATIONS)('with %s, the properties of a message', (implementation) => {
  for (const publisher of clientLibraries) {
    for (const consumer of [pika, rabbitmqClient, cloudamqp, amqplib]) {
      const pair = `from ${publisher.name} to ${consumer.name}`;
      requireTools(...publisher.tools, ...consumer.tools)(pair, () => {
        it('arrive as they were published, without the user id that nobody here can verify', () =>
          compareProperties(implementation, pair, publisher, consumer));
      });
    }
  }
});

/** What an alias is called, and how it is declared. */
function lettersOf(implementation: Implementation) {
  const args = pointArguments(`${implementation} post`, nodes[0], 'letters', 'topic', implementation);
  return { out: `${implementation} out`, in: `${implementation} in`, args };
}

async function compareProperties(
  implementation: Implementation,
  point: string,
  publisher: ClientLibrary,
  consumer: ClientLibrary,
) {
  const letters = lettersOf(implementation);
  const [from, to] = [await publisher.connect(nodes[0].amqpUrl), await consumer.connect(nodes[1].amqpUrl)];
  teardown(() => from.close());
  teardown(() => to.close());
  await from.declareExchange(letters.out, 'x-exchange', letters.args);
  await to.declareExchange(letters.in, 'x-exchange', letters.args);
  const subscription = await to.subscribe(letters.in, [point]);
  const properties = publishable(publisher, consumer);

  await from.publish(letters.out, [{ routingKey: point, body: 'hello', properties }]);

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

describe.each(IMPLEMENTATIONS)('with %s, a message that crossed a point', (implementation) => {
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
      const letters = lettersOf(implementation);
      const options = { durable: false, arguments: letters.args };
      await channel.assertExchange(letters.out, 'x-exchange', options);
      await far.assertExchange(letters.in, 'x-exchange', options);
      const key = `size.${bytes}`;
      const reference = await firstMessage(channel, 'plain', key);
      const crossed = await firstMessage(far, letters.in, key);

      for (const exchange of ['plain', letters.out]) {
        channel.publish(exchange, key, body, { headers, deliveryMode: 2, priority: 0 });
      }

      const [expected, actual] = [await reference(), await crossed()];
      expect(actual.content.equals(body)).toBe(true);
      expect(actual.properties).toEqual(expected.properties);
      expect(actual.fields.routingKey).toBe(key);
      expect(actual.fields.exchange).toBe(letters.in);
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
