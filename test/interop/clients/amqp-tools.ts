import type { ChildProcess } from 'node:child_process';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import type { Channel } from 'amqplib';
import { connect } from 'amqplib';
import type { BasicProperties, Client, ClientLibrary, SentMessage } from './client.js';
import { Inbox } from './inbox.js';

const run = promisify(execFile);
const properties: (keyof BasicProperties)[] = ['contentType', 'contentEncoding', 'deliveryMode', 'replyTo'];

/**
 * The shell tools of rabbitmq-c. They can neither declare exchanges nor bind a queue with more than one key, so
 * another client does that for them, as it would in a script.
 */
export const amqpTools: ClientLibrary = {
  name: 'amqp-tools',
  tools: ['amqp-tools'],
  properties,
  seesEnvelope: false,
  async connect(url): Promise<Client> {
    const connection = await connect(url);
    const channel = await connection.createChannel();
    const consumers: ChildProcess[] = [];
    return {
      async declareExchange(name, type, args) {
        await channel.assertExchange(name, type, { durable: false, arguments: args });
      },
      async subscribe(exchange, patterns) {
        const queue = await declareAndBind(url, channel, exchange, patterns);
        const inbox = new Inbox();
        // It runs a command per message, with the body as its input.
        const consumer = spawn('amqp-consume', [
          '--url',
          url,
          '--queue',
          queue,
          '--',
          'sh',
          '-c',
          'cat; echo',
        ]);
        consumers.push(consumer);
        createInterface({ input: consumer.stdout }).on('line', (body) => {
          inbox.add({ exchange: '', routingKey: '', body, properties: {} });
        });
        return inbox;
      },
      async publish(exchange, messages) {
        for (const message of messages) await run('amqp-publish', publishOptions(url, exchange, message));
      },
      async close() {
        for (const consumer of consumers) {
          consumer.kill();
          if (consumer.exitCode === null && consumer.signalCode === null) await once(consumer, 'exit');
        }
        await connection.close();
      },
    };
  },
};

async function declareAndBind(
  url: string,
  channel: Channel,
  exchange: string,
  patterns: readonly string[],
): Promise<string> {
  const { stdout } = await run('amqp-declare-queue', [
    '--url',
    url,
    '--queue',
    `${exchange}-${process.hrtime.bigint()}`,
  ]);
  const queue = stdout.trim();
  for (const pattern of patterns) await channel.bindQueue(queue, exchange, pattern);
  return queue;
}

function publishOptions(url: string, exchange: string, message: SentMessage): string[] {
  const { contentType, contentEncoding, deliveryMode, replyTo } = message.properties ?? {};
  return [
    ...['--url', url, '--exchange', exchange, '--routing-key', message.routingKey, '--body', message.body],
    ...(contentType === undefined ? [] : ['--content-type', contentType]),
    ...(contentEncoding === undefined ? [] : ['--content-encoding', contentEncoding]),
    ...(replyTo === undefined ? [] : ['--reply-to', replyTo]),
    ...(deliveryMode === 2 ? ['--persistent'] : []),
  ];
}
