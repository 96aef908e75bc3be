import { connect } from 'amqplib';
import type { BasicProperties, Client, ClientLibrary } from './client.js';
import { Inbox } from './inbox.js';

/** amqplib publishes every property except the cluster id. */
const properties: (keyof BasicProperties)[] = [
  ...(['contentType', 'contentEncoding', 'headers', 'deliveryMode', 'priority', 'correlationId'] as const),
  ...(['replyTo', 'expiration', 'messageId', 'timestamp', 'type', 'userId', 'appId'] as const),
];

export const amqplib: ClientLibrary = {
  name: 'amqplib',
  tools: [],
  properties,
  seesEnvelope: true,
  async connect(url): Promise<Client> {
    const connection = await connect(url);
    const channel = await connection.createConfirmChannel();
    return {
      async declareExchange(name, type, args) {
        await channel.assertExchange(name, type, { durable: false, arguments: args });
      },
      async subscribe(exchange, patterns) {
        const inbox = new Inbox();
        const { queue } = await channel.assertQueue('', { exclusive: true });
        for (const pattern of patterns) await channel.bindQueue(queue, exchange, pattern);
        await channel.consume(queue, (message) => {
          if (message === null) return;
          const { headers, ...others } = message.properties;
          inbox.add({
            exchange: message.fields.exchange,
            routingKey: message.fields.routingKey,
            body: message.content.toString(),
            properties: { ...others, headers },
          });
          channel.ack(message);
        });
        return inbox;
      },
      async publish(exchange, messages) {
        for (const { routingKey, body, properties: { headers, ...others } = {} } of messages) {
          channel.publish(exchange, routingKey, Buffer.from(body), definedOf({ ...others, headers }));
        }
        await channel.waitForConfirms();
      },
      close: () => connection.close(),
    };
  },
};

/** Client libraries take a property that is there as given, even when its value is undefined. */
export function definedOf<T extends object>(values: T): { [Key in keyof T]: Exclude<T[Key], undefined> } {
  const defined = Object.entries(values).filter(([, value]) => value !== undefined);
  return Object.fromEntries(defined) as { [Key in keyof T]: Exclude<T[Key], undefined> };
}
