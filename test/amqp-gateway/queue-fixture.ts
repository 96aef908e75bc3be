import { startGateway } from '../support/amqp-gateway.js';
import type { RawClient } from '../support/amqp-raw-client.js';
import { publication } from '../support/amqp-raw-client.js';

/** A raw client with a queue `q` that holds messages 1 to `count`. */
export async function withMessages(count: number, capabilities: readonly string[] = []): Promise<RawClient> {
  const client = await (await startGateway()).rawChannel(capabilities);
  await client.call('queue.declare', { queue: 'q' }, 'queue.declare-ok');
  for (let number = 1; number <= count; number++)
    client.send(publication(1, { routingKey: 'q' }, [Buffer.from(`${number}`)]));
  return client;
}

export async function delivered(
  client: RawClient,
): Promise<{ tag: number; redelivered: boolean; body: string }> {
  const { deliveryTag, redelivered } = await client.expect('basic.deliver');
  const { body } = await client.expectContent();
  return { tag: Number(deliveryTag), redelivered, body: body.toString() };
}
