import { AMQPClient } from '@cloudamqp/amqp-client';
import { definedOf } from './amqplib.js';
import type { BasicProperties, Client, ClientLibrary } from './client.js';
import { Inbox } from './inbox.js';

/** @cloudamqp/amqp-client has no cluster id. */
const properties: (keyof BasicProperties)[] = [
  ...(['contentType', 'contentEncoding', 'headers', 'deliveryMode', 'priority', 'correlationId'] as const),
  ...(['replyTo', 'expiration', 'messageId', 'timestamp', 'type', 'userId', 'appId'] as const),
];

export const cloudamqp: ClientLibrary = {
  name: '@cloudamqp/amqp-client',
  tools: [],
  properties,
  seesEnvelope: true,
  async connect(url): Promise<Client> {
    const client = new AMQPClient(url);
    await client.connect();
    const channel = await client.channel();
    await channel.confirmSelect();
    return {
      declareExchange: (name, type, args) => channel.exchangeDeclare(name, type, { durable: false }, args),
      async subscribe(exchange, patterns) {
        const inbox = new Inbox();
        const { name } = await channel.queueDeclare('', { exclusive: true });
        for (const pattern of patterns) await channel.queueBind(name, exchange, pattern);
        await channel.basicConsume(name, { noAck: false }, async (message) => {
          const { timestamp, headers, ...others } = message.properties;
          inbox.add({
            exchange: message.exchange,
            routingKey: message.routingKey,
            body: message.bodyString() ?? '',
            properties: { ...others, headers, timestamp: timestamp && timestamp.getTime() / 1000 },
          });
          await message.ack();
        });
        return inbox;
      },
      async publish(exchange, messages) {
        const confirms = messages.map(({ routingKey, body, properties: { timestamp, ...others } = {} }) => {
          const date = timestamp === undefined ? {} : { timestamp: new Date(timestamp * 1000) };
          return channel.basicPublish(exchange, routingKey, body, definedOf({ ...others, ...date }) as never);
        });
        await Promise.all(confirms);
      },
      close: () => client.close(),
    };
  },
};
