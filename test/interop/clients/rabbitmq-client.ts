import { Connection } from 'rabbitmq-client';
import type { BasicProperties, Client, ClientLibrary } from './client.js';
import { Inbox } from './inbox.js';

const properties: (keyof BasicProperties)[] = [
  ...(['contentType', 'contentEncoding', 'headers', 'deliveryMode', 'priority', 'correlationId'] as const),
  ...(['replyTo', 'expiration', 'messageId', 'timestamp', 'type', 'userId', 'appId', 'clusterId'] as const),
];

export const rabbitmqClient: ClientLibrary = {
  name: 'rabbitmq-client',
  tools: [],
  properties,
  seesEnvelope: true,
  async connect(url): Promise<Client> {
    const connection = new Connection(url);
    await connection.onConnect(5_000);
    const channel = await connection.acquire();
    await channel.confirmSelect();
    return {
      declareExchange: (exchange, type, args) =>
        channel.exchangeDeclare({ exchange, type, durable: false, arguments: args }),
      async subscribe(exchange, patterns) {
        const inbox = new Inbox();
        const { queue } = await channel.queueDeclare({ exclusive: true });
        for (const routingKey of patterns) await channel.queueBind({ queue, exchange, routingKey });
        await channel.basicConsume({ queue }, ({ deliveryTag, body, ...message }) => {
          const { durable, ...others } = message;
          inbox.add({
            exchange: message.exchange,
            routingKey: message.routingKey,
            body: Buffer.isBuffer(body) ? body.toString() : String(body),
            properties: { ...others, deliveryMode: durable ? 2 : 1 },
          });
          channel.basicAck({ deliveryTag });
        });
        return inbox;
      },
      async publish(exchange, messages) {
        const confirms = messages.map(({ routingKey, body, properties: { deliveryMode, ...others } = {} }) =>
          channel.basicPublish(
            { exchange, routingKey, ...others, durable: deliveryMode === 2 } as never,
            Buffer.from(body),
          ),
        );
        await Promise.all(confirms);
      },
      close: async () => {
        await channel.close(); // connection.close() waits for it
        await connection.close();
      },
    };
  },
};
