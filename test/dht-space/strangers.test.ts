import type { Connection, Stream } from '@libp2p/interface';
import { pbStream } from '@libp2p/utils';
import { multiaddr } from '@multiformats/multiaddr';
import { expect, it } from 'vitest';
import type { OverlayNode } from '../../src/dht-space/node.js';
import { startOverlayNode } from '../../src/dht-space/node.js';
import { CONTROL_PROTOCOL, LOOKUP_PROTOCOL, MESSAGES_PROTOCOL } from '../../src/dht-space/protocol.js';
import { LookupReply, LookupRequest } from '../../src/dht-space/wire/control.js';
import { eventually } from '../support/eventually.js';
import { Random, seed } from '../support/random.js';
import { teardown } from '../support/teardown.js';
import { heldMemory } from './collect-garbage.js';
import { LogStub } from './log-stub.js';
import { SPACE, SpaceNode, startMesh } from './space-node.js';
import { frame, framed, HELLO, mutate } from './stranger.js';

const MIB = 1_048_576;
const PROTOCOLS = [CONTROL_PROTOCOL, MESSAGES_PROTOCOL, LOOKUP_PROTOCOL];

/** A libp2p node of somebody else. */
async function startStranger(): Promise<OverlayNode> {
  const node = await startOverlayNode({ listen: ['/ip4/127.0.0.1/tcp/0'], logger: new LogStub() });
  let stopped: Promise<void> | undefined;
  const stop = node.stop.bind(node);
  node.stop = () => {
    stopped ??= stop();
    return stopped;
  };
  teardown(() => node.stop());
  return node;
}

function connect(stranger: OverlayNode, victim: SpaceNode): Promise<Connection> {
  return stranger.libp2p.dial(multiaddr(victim.address));
}

function over(stream: Stream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.status !== 'open') resolve();
    stream.addEventListener('close', () => resolve());
  });
}

it(`a node is sent random and mutated bytes on every protocol, and goes on with its friends (SEED=${seed})`, async () => {
  const random = new Random(seed);
  const [victim, friend] = (await startMesh(2)) as [SpaceNode, SpaceNode];
  const valid = [
    frame(LookupRequest.encode({ space: SPACE, owner: '' })),
    framed({ hello: HELLO }),
    Buffer.concat([framed({ hello: HELLO }), framed({ ping: { nonce: 1 } })]),
    Buffer.concat([Buffer.from('0000000700000000000000000000000900', 'hex'), Buffer.alloc(200, 1)]),
    Buffer.alloc(70_000, 0xff),
    Buffer.alloc(0),
  ];
  let published = 0;
  let before = await heldMemory();
  for (let round = 0; round < 12; round += 1) {
    if (round === 3) before = await heldMemory();
    const stranger = await startStranger();
    const connection = await connect(stranger, victim);
    for (let i = 0; i < 30; i += 1) {
      const stream = await connection.newStream(random.pick(PROTOCOLS)).catch(() => undefined);
      if (stream?.writeStatus === 'writable')
        stream.send(random.int(5) === 0 ? random.pick(valid) : mutate(random.pick(valid), random));
      if (random.int(3) === 0) stream?.abort(new Error('next'));
      victim.publish(`${published}`);
      friend.publish(`${published}`);
      published += 1;
    }
    if (random.int(2) === 0) connection.abort(new Error('next'));
    await stranger.stop();
  }
  const texts = Array.from({ length: published }, (_, i) => `${i}`);
  await eventually(() => expect([friend.received, victim.received]).toEqual([texts, texts]));
  expect(friend.log.about('link lost')).toEqual([]);
  const causes = victim.log.entries.filter(({ text }) => text === 'link lost' || text === 'refused a link');
  expect(causes.length).toBeGreaterThan(20);
  expect(causes.filter(({ fields }) => !fields.cause)).toEqual([]);
  const after = await heldMemory();
  expect(after.heapBytes - before.heapBytes).toBeLessThan(16 * MIB);
  expect(after.bufferBytes - before.bufferBytes).toBeLessThan(16 * MIB);
});

it('a connection that breaks in the same event in which a stranger has greeted does no harm', async () => {
  const [victim, friend] = (await startMesh(2)) as [SpaceNode, SpaceNode];
  for (let round = 0; round < 5; round += 1) {
    const stranger = await startStranger();
    const connection = await connect(stranger, victim);
    const stream = await connection.newStream(CONTROL_PROTOCOL);
    await eventually(() => expect(stream.readBufferLength).toBeGreaterThan(0));
    const { muxer } = connection as unknown as { muxer: { send(bytes: Uint8Array): void } };
    // Both in one segment: the greeting makes the victim open a stream, and then nothing of the connection is left.
    stream.send(framed({ hello: HELLO }));
    muxer.send(Buffer.alloc(12, 0xff));
    await over(stream);
    await stranger.stop();
  }
  await eventually(() =>
    expect(victim.log.about('link lost').map(({ fields }) => fields.cause)).toContain(
      'Invalid frame version',
    ),
  );
  victim.publish('still here');
  await eventually(() => expect(friend.received).toEqual(['still here']));
});

it('streams are so many on one connection, and more of them are reset', async () => {
  const [victim, friend] = (await startMesh(2)) as [SpaceNode, SpaceNode];
  const connection = await connect(await startStranger(), victim);
  const streams = await Promise.all(
    Array.from({ length: 40 }, () => connection.newStream(CONTROL_PROTOCOL, { maxOutboundStreams: 100 })),
  );
  await eventually(() =>
    expect(streams.filter(({ status }) => status === 'open').length).toBeLessThanOrEqual(4),
  );
  friend.publish('others are not concerned');
  await eventually(() => expect(victim.received).toEqual(['others are not concerned']));
});

it('what strangers answer to a lookup is no reason not to join, and does not get into the space', async () => {
  const [honest] = (await startMesh(2)) as [SpaceNode, SpaceNode];
  const real = await ask(await startStranger(), honest);
  const garbage = [Buffer.from('garbage'), Buffer.alloc(0), Buffer.alloc(60_000, 1)];
  const answers: ((stream: Stream) => Promise<void>)[] = [
    async (stream) => void stream.send(Buffer.alloc(100, 0xff)),
    async (stream) => stream.abort(new Error('no')),
    async () => {},
    (stream) => reply(stream, { spaces: [{ manifest: Buffer.from('garbage'), members: [], points: [] }] }),
    (stream) => reply(stream, { spaces: [{ manifest: real, members: garbage, points: garbage }] }),
    async (stream) =>
      void stream.send(Buffer.concat([Buffer.from('ffffff07', 'hex'), Buffer.alloc(2 * MIB)])),
  ];
  const seeds = [honest.address];
  for (const answer of answers) {
    const stranger = await startStranger();
    await stranger.libp2p.handle(LOOKUP_PROTOCOL, answer);
    seeds.unshift(stranger.addresses()[0] ?? '');
  }
  const newcomer = await SpaceNode.start();
  await newcomer.join({ address: seeds.join(',') } as SpaceNode);
  await eventually(() => expect(newcomer.statusOf(honest)?.linked).toBe(true));
  expect(newcomer.session.status().participants).toHaveLength(2);
  honest.publish('welcome');
  await eventually(() => expect(newcomer.received).toEqual(['welcome']));
});

/** The manifest that a node hands out. */
async function ask(stranger: OverlayNode, victim: SpaceNode): Promise<Uint8Array> {
  const stream = await (await connect(stranger, victim)).newStream(LOOKUP_PROTOCOL);
  const messages = pbStream(stream);
  await messages.write({ space: SPACE, owner: '' }, LookupRequest);
  const { spaces } = await messages.read(LookupReply);
  return spaces[0]?.manifest ?? expect.fail('the space is not known');
}

async function reply(stream: Stream, answer: LookupReply): Promise<void> {
  const messages = pbStream(stream);
  await messages.read(LookupRequest);
  await messages.write(answer, LookupReply);
}
