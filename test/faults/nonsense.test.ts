import { describe, expect, it } from 'vitest';
import { PROTOCOL_HEADER } from '../../src/amqp-codec/index.js';
import { anyFrame, mutated } from '../support/amqp-nonsense.js';
import { GUEST, methodFrame, RawClient } from '../support/amqp-raw-client.js';
import { eventually } from '../support/eventually.js';
import type { NodeProcess } from '../support/node-process.js';
import { Random, seed } from '../support/random.js';
import { startNode } from '../support/start-node.js';
import { openApp } from './space.js';

const FRAMES = 100_000;
const FRAMES_PER_CLIENT = 40;
const CLIENTS_AT_ONCE = 20;
const MIB = 1024 * 1024;
/** What the collector may not have got to yet; a leak of 2 KiB a client would be five times that. */
const MAX_GROWTH_BYTES = 100 * MIB;

/** Everything that a client sends until its channel is open, without waiting for an answer. */
function handshake(): Buffer {
  const mechanism = { clientProperties: {}, mechanism: 'PLAIN', response: GUEST, locale: 'en_US' };
  return Buffer.concat([
    PROTOCOL_HEADER,
    methodFrame(0, 'connection.start-ok', mechanism),
    methodFrame(0, 'connection.tune-ok', { channelMax: 0, frameMax: 131_072, heartbeat: 0 }),
    methodFrame(0, 'connection.open', { virtualHost: '/' }),
    methodFrame(1, 'channel.open'),
  ]);
}

/** One client that sends nonsense; resolves when the node has ended the connection, or the client has. */
async function attack(node: NodeProcess, random: Random): Promise<void> {
  const client = await RawClient.connect(node.port);
  const frames = Array.from({ length: FRAMES_PER_CLIENT }, () => {
    const frame = anyFrame(random);
    const choice = random.int(4);
    if (choice === 0) return mutated(frame, random);
    return choice === 1 ? Buffer.from(random.list(30, () => random.int(256))) : frame;
  });
  const greeting = handshake();
  // One in ten does not even get through the handshake.
  const start = random.int(10) === 0 ? greeting.subarray(0, random.int(greeting.length)) : greeting;
  client.send(start, ...frames);
  client.socket.end();
  await client.ended();
}

describe(`${FRAMES} frames that mean nothing, are changed, or come in the wrong state (SEED=${seed})`, () => {
  it('leave the node up, its memory as it was, and other clients served', async () => {
    const node = await startNode({ flags: ['--log-level', 'error'] });
    const bystander = await openApp(node);
    const random = new Random(seed);
    const rounds = FRAMES / FRAMES_PER_CLIENT / CLIENTS_AT_ONCE;
    let warmBytes = 0;
    for (let round = 0; round < rounds; round++) {
      await Promise.all(Array.from({ length: CLIENTS_AT_ONCE }, () => attack(node, random)));
      bystander.channel.sendToQueue(bystander.queue, Buffer.from(`${round}`));
      await eventually(() => expect(bystander.arrived).toHaveLength(round + 1));
      if (round === Math.floor(rounds / 4)) warmBytes = node.rssBytes();
    }
    expect(bystander.arrived).toEqual(Array.from({ length: rounds }, (_, round) => `${round}`));
    expect(node.rssBytes() - warmBytes).toBeLessThan(MAX_GROWTH_BYTES);
    expect(node.logs).toEqual([]);
  });
});
