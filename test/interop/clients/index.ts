import { amqpTools } from './amqp-tools.js';
import { amqplib } from './amqplib.js';
import { cloudamqp } from './cloudamqp.js';
import { pika } from './pika.js';
import { rabbitmqClient } from './rabbitmq-client.js';

export type { BasicProperties, Client, ClientLibrary, ReceivedMessage, SentMessage } from './client.js';
export const clientLibraries = [amqplib, rabbitmqClient, cloudamqp, pika, amqpTools] as const;
export { amqplib, cloudamqp, pika, rabbitmqClient };
