import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { projectRoot } from '../../support/node-process.js';
import { PYTHON } from '../../support/tools.js';
import type { BasicProperties, Client, ClientLibrary, ReceivedMessage, SentMessage } from './client.js';
import { Inbox } from './inbox.js';

const properties: (keyof BasicProperties)[] = [
  ...(['contentType', 'contentEncoding', 'headers', 'deliveryMode', 'priority', 'correlationId'] as const),
  ...(['replyTo', 'expiration', 'messageId', 'timestamp', 'type', 'userId', 'appId', 'clusterId'] as const),
];

/** Every call is a Python program of its own (pika_client.py) that connects, does it and leaves. */
export const pika: ClientLibrary = {
  name: 'pika',
  tools: ['pika'],
  properties,
  seesEnvelope: true,
  async connect(url): Promise<Client> {
    const subscriptions: ChildProcessWithoutNullStreams[] = [];
    return {
      declareExchange: (name, type, args) => call('declare', url, name, type, JSON.stringify(args)),
      async subscribe(exchange, patterns) {
        const inbox = new Inbox();
        const program = start('subscribe', url, exchange, ...patterns);
        subscriptions.push(program);
        await new Promise<void>((resolve, reject) => {
          program.once('exit', (code) => reject(new Error(`pika's subscription ended with ${code}`)));
          createInterface({ input: program.stdout }).on('line', (line) => {
            if (line === 'consuming') resolve();
            else inbox.add(receivedFrom(line));
          });
        });
        return inbox;
      },
      publish: async (exchange, messages) => {
        const program = start('publish', url, exchange);
        program.stdin.end(messages.map(sentLine).join(''));
        await succeeded(program);
      },
      close: async () => {
        for (const program of subscriptions) {
          program.stdin.end();
          await succeeded(program);
        }
      },
    };
  },
};

function start(...args: string[]): ChildProcessWithoutNullStreams {
  const program = spawn(PYTHON, [join(projectRoot, 'test/interop/clients/pika_client.py'), ...args]);
  program.stderr.pipe(process.stderr);
  return program;
}

async function call(...args: string[]): Promise<void> {
  await succeeded(start(...args));
}

async function succeeded(program: ChildProcessWithoutNullStreams): Promise<void> {
  if (program.exitCode === null) await once(program, 'exit');
  if (program.exitCode !== 0) throw new Error(`pika_client.py ended with ${program.exitCode}`);
}

function sentLine({ routingKey, body, properties: given = {} }: SentMessage): string {
  const renamed = Object.entries(given).map(([name, value]) => [snakeCase(name), value]);
  return `${JSON.stringify({ routing_key: routingKey, body, properties: Object.fromEntries(renamed) })}\n`;
}

function receivedFrom(line: string): ReceivedMessage {
  const { exchange, routing_key, body, properties: given } = JSON.parse(line);
  const renamed = Object.entries(given).map(([name, value]) => [camelCase(name), value]);
  return { exchange, routingKey: routing_key, body, properties: Object.fromEntries(renamed) };
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function camelCase(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
