import { describe, expect, it } from 'vitest';
import type { TestGateway } from '../support/amqp-gateway.js';
import { startGateway } from '../support/amqp-gateway.js';
import { anyFrame, mutated } from '../support/amqp-nonsense.js';
import { publication } from '../support/amqp-raw-client.js';
import { eventually } from '../support/eventually.js';
import { Random, seed } from '../support/random.js';

async function attack(gateway: TestGateway, octets: readonly Buffer[]): Promise<void> {
  const client = await gateway.rawChannel();
  client.send(...octets);
  client.socket.end();
  await client.ended();
}

describe('whatever a client sends', () => {
  it.each([
    ['frames in any order', (random: Random) => random.list(40, () => anyFrame(random))],
    [
      'frames with some octets wrong',
      (random: Random) => random.list(20, () => mutated(anyFrame(random), random)),
    ],
    ['octets that mean nothing', (random: Random) => [Buffer.from(random.list(300, () => random.int(256)))]],
    [
      'frames that are cut off',
      (random: Random) => [anyFrame(random), anyFrame(random).subarray(0, random.int(12))],
    ],
  ])(`%s: the gateway stays up, keeps nothing, and others are served (SEED=${seed})`, async (_, input) => {
    const random = new Random(seed);
    const gateway = await startGateway();
    const bystander = await gateway.rawChannel();
    await bystander.call('queue.declare', { queue: 'mine', exclusive: true }, 'queue.declare-ok');
    await bystander.call('basic.consume', { queue: 'mine', noAck: true }, 'basic.consume-ok');
    for (let round = 0; round < 150; round++) {
      await attack(gateway, input(random));
      bystander.send(publication(1, { routingKey: 'mine' }, [Buffer.from(`${round}`)]));
      await bystander.expect('basic.deliver');
      expect((await bystander.expectContent()).body.toString()).toBe(`${round}`);
    }
    expect(gateway.log.filter((line) => line.startsWith('error'))).toEqual([]);
    await bystander.call('queue.delete', { queue: 'q' }, 'queue.delete-ok');
    await eventually(() => expect(gateway.memory.bytes).toBe(0));
    expect(gateway.gateway.status()).toMatchObject({ connections: 1, channels: 1 });
  });
});
