import type { ConfirmChannel } from 'amqplib';
import { connect } from 'amqplib';
import type { NodeProcess } from '../support/node-process.js';
import { teardown } from '../support/teardown.js';

const REFUSAL_LIMIT_MS = 20_000;

/** A channel on a connection of its own, closed after the test. */
export async function openChannel(node: NodeProcess): Promise<ConfirmChannel> {
  const connection = await connect(node.amqpUrl);
  teardown(() => connection.close());
  return connection.createConfirmChannel();
}

interface Refusal {
  readonly scope: 'channel' | 'connection';
  readonly code: number;
  readonly text: string;
}

/** amqplib gives the close method's reply code to its error; its types do not say so. */
type CloseError = Error & { readonly code?: number };

function refusalBy(scope: Refusal['scope'], { code = 0, message }: CloseError): Refusal {
  return { scope, code, text: message };
}

/** How the node refuses `attempt`, on a connection of its own: the code and text of its channel or connection close. */
export async function refusalOf(
  url: string,
  attempt: (channel: ConfirmChannel) => unknown,
): Promise<Refusal> {
  const connection = await connect(url);
  const refusals = new Promise<Refusal>((resolve, reject) => {
    connection.on('error', (error: CloseError) => resolve(refusalBy('connection', error)));
    const timer = setTimeout(() => reject(new Error('nothing was refused')), REFUSAL_LIMIT_MS);
    connection.once('close', () => clearTimeout(timer));
  });
  const channel = await connection.createConfirmChannel();
  const onChannel = new Promise<Refusal>((resolve) => {
    channel.on('error', (error: CloseError) => resolve(refusalBy('channel', error)));
  });
  // What is refused later than the call rejects it too; the close that explains it is the one that counts.
  Promise.resolve(attempt(channel)).catch(() => undefined);
  const refusal = await Promise.race([refusals, onChannel]);
  if (refusal.scope === 'channel') await connection.close();
  return refusal;
}

/** Consumes until a body is `last`, and returns the bodies in order. */
export function bodiesUntil(channel: ConfirmChannel, queue: string, last: string): Promise<string[]> {
  const bodies: string[] = [];
  return new Promise((resolve, reject) => {
    const take = (body: string) => {
      bodies.push(body);
      if (body === last) resolve(bodies);
    };
    channel
      .consume(queue, (message) => message && take(message.content.toString()), { noAck: true })
      .catch(reject);
  });
}
