import type { Connection } from '@libp2p/interface';
import { multiaddr } from '@multiformats/multiaddr';
import * as varint from 'uint8-varint';
import { describe, expect, it } from 'vitest';
import type { OverlayNode } from '../../src/dht-space/node.js';
import { startOverlayNode } from '../../src/dht-space/node.js';
import { openStream } from '../../src/dht-space/open-stream.js';
import { CONTROL_PROTOCOL, LOOKUP_PROTOCOL, MESSAGES_PROTOCOL } from '../../src/dht-space/protocol.js';
import { Control } from '../../src/dht-space/wire/control.js';
import { eventually } from '../support/eventually.js';
import { Random, seed } from '../support/random.js';
import { teardown } from '../support/teardown.js';
import { LogStub } from './log-stub.js';
import type { SpaceNode } from './space-node.js';
import { startMesh } from './space-node.js';

const FRAMES = 100_000;
const FRAMES_PER_STREAM = 100;
const STREAMS_AT_ONCE = 4;
const MIB = 1024 * 1024;
/** What the collector may not have got to yet. */
const MAX_GROWTH_BYTES = 150 * MIB;

function frame(message: Control): Buffer {
  const body = Control.encode(message);
  return Buffer.concat([varint.encode(body.byteLength), body]);
}

function bytes(random: Random, most: number): Buffer {
  return Buffer.from(random.list(most, () => random.int(256)));
}

/** A greeting that is in order: what follows it gets further. */
function hello(random: Random): Buffer {
  const epoch = BigInt(1 + random.int(2 ** 31));
  return frame({
    hello: {
      versions: [1],
      capabilities: [],
      epoch,
      name: 'hostile',
      link: epoch,
      knownLink: 0n,
      consumed: 0,
      credit: random.int(2 ** 31),
      session: random.int(2 ** 31),
    },
  });
}

/** A message that is well formed and means nothing, or nothing good. */
function nonsense(random: Random): Control {
  const spaceId = random.int(2) === 0 ? Buffer.alloc(32, 7) : bytes(random, 40);
  const id = random.int(5);
  const number = random.int(100);
  const pattern = { routingKey: 'a.#', arguments: '{}', token: bytes(random, 40), everything: false };
  return random.pick<Control>([
    { members: { spaceId, records: [bytes(random, 200)], digest: [], wanted: ['12D3nobody'] } },
    { definitions: { spaceId, points: [bytes(random, 200)], manifest: bytes(random, 100) } },
    {
      attach: {
        number,
        id,
        spaceId,
        point: `p${random.int(9)}`,
        type: random.pick(['topic', 'direct', 'odd']),
      },
    },
    { detach: { number, id } },
    { interest: { number, id, snapshot: true, added: [pattern], removed: [], digest: 0n } },
    { synced: { number: 0, spaceId } },
    { settled: { number: 2 ** 31 } },
    { progress: { consumed: random.int(2 ** 31), limit: random.int(2 ** 31) } },
    { ping: { nonce: number } },
    { goodbye: { reason: 'x'.repeat(random.int(2_000)) } },
    {},
  ]);
}

function damaged(octets: Buffer, random: Random): Buffer {
  const result = Buffer.from(octets);
  for (let times = 1 + random.int(3); times > 0 && result.length > 0; times--) {
    result[random.int(result.length)] = random.int(256);
  }
  return result.subarray(0, random.int(4) === 0 ? random.int(result.length + 1) : result.length);
}

/** What one stream carries: on any protocol, random octets, damaged messages, or sound ones in no order. */
function flood(protocol: string, random: Random): Buffer {
  const frames = protocol === CONTROL_PROTOCOL && random.int(4) > 0 ? [hello(random)] : [];
  while (frames.length < FRAMES_PER_STREAM) {
    const message = frame(nonsense(random));
    const kind = random.int(4);
    if (kind === 0) frames.push(bytes(random, 30));
    else if (kind === 1) frames.push(damaged(message, random));
    else frames.push(message);
  }
  return Buffer.concat(frames);
}

async function attack(connection: Connection, random: Random): Promise<void> {
  const protocol = random.pick([CONTROL_PROTOCOL, CONTROL_PROTOCOL, MESSAGES_PROTOCOL, LOOKUP_PROTOCOL]);
  const stream = await openStream(connection, protocol);
  const over = new Promise<void>((resolve) => stream.addEventListener('close', () => resolve()));
  stream.addEventListener('message', () => {});
  if (stream.writeStatus === 'writable') stream.send(flood(protocol, random));
  // Some wait for the other side to end it; some vanish.
  if (random.int(8) > 0) await stream.close().catch(() => {});
  else stream.abort(new Error('gone'));
  stream.closeRead().catch(() => {});
  await over;
}

async function connectedTo(victim: SpaceNode, hostile: OverlayNode): Promise<Connection> {
  return hostile.libp2p.dial(multiaddr(victim.address));
}

describe('a hostile peer', () => {
  it(`that sends ${FRAMES} frames of rubbish on all protocols harms nobody (SEED=${seed})`, async () => {
    const [victim, friend] = (await startMesh(2)) as [SpaceNode, SpaceNode];
    const hostile = await startOverlayNode({ listen: ['/ip4/127.0.0.1/tcp/0'], logger: new LogStub() });
    teardown(() => hostile.stop());
    const random = new Random(seed);
    const rounds = FRAMES / FRAMES_PER_STREAM / STREAMS_AT_ONCE;
    let warmBytes = 0;
    for (let round = 0; round < rounds; round++) {
      const connection = await connectedTo(victim, hostile);
      const attacks = Array.from({ length: STREAMS_AT_ONCE }, () =>
        attack(connection, random).catch(() => {}),
      );
      await Promise.all(attacks);
      friend.publish(`${round}`);
      await eventually(() => expect(victim.received).toHaveLength(round + 1));
      if (round === Math.floor(rounds / 4)) warmBytes = process.memoryUsage().rss;
    }
    expect(victim.received).toEqual(Array.from({ length: rounds }, (_, round) => `${round}`));
    expect(victim.session.status().participants.map(({ id }) => id)).toEqual([friend.id]);
    for (const end of ['link lost', 'refused a link', 'refused a message stream', 'lookup failed']) {
      expect(victim.log.about(end).length, end).toBeGreaterThan(5);
    }
    expect(process.memoryUsage().rss - warmBytes).toBeLessThan(MAX_GROWTH_BYTES);
    victim.publish('still here');
    await eventually(() => expect(friend.received).toContain('still here'));
  }, 60_000);
});
