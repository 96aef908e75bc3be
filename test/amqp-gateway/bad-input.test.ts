import { describe, expect, it } from 'vitest';
import type { MethodName } from '../../src/amqp-gateway/codec/index.js';
import { encodeHeader, FRAME_BODY, FRAME_HEADER } from '../../src/amqp-gateway/codec/index.js';
import type { TestGateway } from '../support/amqp-gateway.js';
import { startGateway } from '../support/amqp-gateway.js';
import { frame, methodFrame, publication } from '../support/amqp-raw-client.js';
import { eventually } from '../support/eventually.js';
import { Random, seed } from '../support/random.js';

const METHODS: readonly MethodName[] = [
  'channel.open',
  'channel.close',
  'channel.close-ok',
  'channel.flow',
  'exchange.declare',
  'exchange.delete',
  'exchange.bind',
  'exchange.unbind',
  'queue.declare',
  'queue.bind',
  'queue.purge',
  'queue.delete',
  'queue.unbind',
  'basic.qos',
  'basic.consume',
  'basic.cancel',
  'basic.publish',
  'basic.get',
  'basic.ack',
  'basic.nack',
  'basic.reject',
  'basic.recover',
  'tx.select',
  'tx.commit',
  'tx.rollback',
  'confirm.select',
  'connection.close',
  'connection.open',
];

/** A frame that a client could send in some state: most of them in the wrong one. */
function anyFrame(random: Random): Buffer {
  const channel = random.int(4);
  switch (random.int(8)) {
    case 0:
      return frame(FRAME_HEADER, channel, encodeHeader(random.int(40), { headers: { a: 1 } }));
    case 1:
      return frame(FRAME_BODY, channel, Buffer.alloc(random.int(20)));
    case 2:
      return publication(channel, { exchange: random.pick(['', 'amq.fanout', 'x']), routingKey: 'q' }, [
        Buffer.from('body'),
      ]);
    case 3:
      return methodFrame(channel, 'channel.open');
    default: {
      const name = random.pick(METHODS);
      const names = {
        queue: random.pick(['', 'q']),
        exchange: random.pick(['', 'amq.fanout', 'x']),
        source: 'x',
        destination: 'x',
      };
      const flags = {
        multiple: random.int(2) === 0,
        requeue: random.int(2) === 0,
        passive: random.int(4) === 0,
        mandatory: true,
      };
      return methodFrame(channel, name, { ...names, ...flags, deliveryTag: random.int(3), active: true });
    }
  }
}

/** Changes, drops, doubles or adds a few octets. */
function mutated(octets: Buffer, random: Random): Buffer {
  const result = [...octets];
  for (let times = 1 + random.int(3); times > 0; times--) {
    const at = random.int(result.length);
    const choice = random.int(4);
    if (choice === 0) result[at] = random.int(256);
    else if (choice === 1) result.splice(at, 1);
    else if (choice === 2) result.splice(at, 0, random.int(256));
    else result[at] = [0, 0xff, 0x7f, 0x80, 0xce][random.int(5)] ?? 0;
    if (result.length === 0) break;
  }
  return Buffer.from(result);
}

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
