import { once } from 'node:events';
import type { CircuitRelayService } from '@libp2p/circuit-relay-v2';
import { RELAY_V2_HOP_CODEC, RELAY_V2_STOP_CODEC } from '@libp2p/circuit-relay-v2';
import type { Connection, Stream } from '@libp2p/interface';
import { lpStream } from '@libp2p/utils';
import type { Multiaddr } from '@multiformats/multiaddr';
import { multiaddr } from '@multiformats/multiaddr';
import { describe, expect, it } from 'vitest';
import { MAX_RELAYS } from '../../src/dht-space/limits.js';
import type { OverlayNode } from '../../src/dht-space/node.js';
import { startOverlayNode } from '../../src/dht-space/node.js';
import type { ReachabilityOptions } from '../../src/dht-space/reachability.js';
import { eventually } from '../support/eventually.js';
import { teardown } from '../support/teardown.js';
import { quietLogger } from './environment.js';

const LOOPBACK = '/ip4/127.0.0.1/tcp/0';
const ECHO = '/test/echo';
/** Codes as varints. */
const OK = [100];
const PERMISSION_DENIED = [0xca, 0x01];

describe('a node that is connected to nodes that relay', () => {
  it('tells of some of them as ways to it, until they are gone, and of their successors', async () => {
    const relays = await Promise.all([1, 2, 3].map(() => start({ relay: true })));
    const node = await start();
    for (const relay of relays) await connect(node, relay);
    await eventually(() => expect(relaysOf(node)).toHaveLength(MAX_RELAYS));
    const [used, spare] = [
      relays.filter(({ id }) => relaysOf(node).includes(id)),
      relays.filter(({ id }) => !relaysOf(node).includes(id)),
    ];
    expect(node.addresses()[0]).not.toContain('p2p-circuit');

    await used[0]?.stop();
    await eventually(() => expect(relaysOf(node).sort()).toEqual([used[1]?.id, spare[0]?.id].sort()));
    await used[1]?.stop();
    await eventually(() => expect(relaysOf(node)).toEqual([spare[0]?.id]));
  });

  it('is reached through them with the end to end encryption of any connection', async () => {
    const [relay, node, other] = await Promise.all([start({ relay: true }), start(), start()]);
    await node.libp2p.handle(ECHO, (stream) => {
      stream.addEventListener('message', ({ data }) => stream.send(data));
    });
    await connect(node, relay);
    await eventually(() => expect(relaysOf(node)).toEqual([relay.id]));
    const connection = await other.libp2p.dial(relayedAddressOf(node));
    expect(connection.remotePeer.toString()).toBe(node.id);
    expect(connection).toMatchObject({ direct: false, encryption: '/noise', limits: undefined });
    const stream = await connection.newStream(ECHO);
    const echoed = once(stream, 'message');
    stream.send(Buffer.from('hello'));
    const [event] = await echoed;
    expect(Buffer.from(event.data.subarray()).toString()).toBe('hello');
  });

  it.each<[string, ReachabilityOptions]>([
    ['says where it is reached', { advertise: ['/dns4/node.example/tcp/4672'] }],
    ['relays itself', { relay: true }],
  ])('asks none of them to relay for it when it %s', async (_, reachability) => {
    const [relay, node, asks] = [await start({ relay: true }), await start(reachability), await start()];
    await connect(node, relay);
    await connect(asks, relay);
    await eventually(() => expect(relaysOf(asks)).toContain(relay.id));
    expect(reservationsOf(relay)).toEqual([asks.id]);
    expect(relaysOf(node)).toEqual([]);
  });

  it('takes in no connection that somebody brings whom it has not asked', async () => {
    const [node, stranger] = [await start(), await start()];
    const connection = await connect(stranger, node);
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const stream = await connection.newStream(RELAY_V2_STOP_CODEC);
      const messages = lpStream(stream);
      await messages.write(stopMessage(stranger));
      expect(Buffer.from((await messages.read()).subarray())).toEqual(answer(PERMISSION_DENIED));
      stream.abort(new Error('enough'));
    }
    expect(relaysOf(node)).toEqual([]);
    expect(reservationsOf(stranger)).toEqual([]);
  });
});

describe('a node that relays', () => {
  it('has a place free again as soon as its node is gone', async () => {
    const [relay, node] = [await start({ relay: true }), await start()];
    await connect(node, relay);
    await eventually(() => expect(reservationsOf(relay)).toEqual([node.id]));
    await node.stop();
    await eventually(() => expect(reservationsOf(relay)).toEqual([]));
  });

  it('lets the sender wait for a receiver that does not read, and hands over all that it took', async () => {
    const [relay, sender, receiver] = [await start({ relay: true }), await start(), await start()];
    await receiver.libp2p.unhandle(RELAY_V2_STOP_CODEC);
    const incoming = Promise.withResolvers<Stream>();
    await receiver.libp2p.handle(RELAY_V2_STOP_CODEC, (stream) => incoming.resolve(stream));
    await connect(receiver, relay);
    await eventually(() => expect(reservationsOf(relay)).toEqual([receiver.id]));

    const outgoing = await (await connect(sender, relay)).newStream(RELAY_V2_HOP_CODEC);
    const request = lpStream(outgoing);
    await request.write(connectMessage(receiver));
    const stop = lpStream(await incoming.promise);
    await stop.read();
    await stop.write(answer(OK));
    await request.read();
    request.unwrap();
    const received = stop.unwrap();
    received.pause();

    const chunk = Buffer.alloc(65_536, 1);
    for (let sent = 0; sent < 512; sent += 1) outgoing.send(chunk);
    await eventually(() => expect(hopStreamOf(relay, sender)?.readStatus).toBe('paused'));

    let bytes = 0;
    received.addEventListener('message', ({ data }) => {
      bytes += data.byteLength;
    });
    received.resume();
    await eventually(() => expect(bytes).toBe(512 * chunk.length));
  });
});

async function start(reachability: ReachabilityOptions = {}): Promise<OverlayNode> {
  const node = await startOverlayNode({ listen: [LOOPBACK], logger: quietLogger, reachability });
  let stopped: Promise<void> | undefined;
  const { stop } = node;
  node.stop = () => {
    stopped ??= stop.call(node);
    return stopped;
  };
  teardown(() => node.stop());
  return node;
}

function connect(from: OverlayNode, to: OverlayNode): Promise<Connection> {
  return from.libp2p.dial(multiaddr(to.addresses()[0] ?? ''));
}

/** Peer ids of those that relay for the node, as it tells others. */
function relaysOf(node: OverlayNode): string[] {
  const relays = node.addresses().flatMap((text) => /\/p2p\/([^/]+)\/p2p-circuit/.exec(text)?.[1] ?? []);
  return [...new Set(relays)];
}

function relayedAddressOf(node: OverlayNode): Multiaddr {
  return multiaddr(node.addresses().find((address) => address.includes('/p2p-circuit')) ?? '');
}

/** Whom a node relays for. */
function reservationsOf({ libp2p }: OverlayNode): string[] {
  const { relayServer } = libp2p.services as { relayServer?: CircuitRelayService };
  return [...(relayServer?.reservations.keys() ?? [])].map(String);
}

/** A relay's side of the stream on which somebody asked for a connection. */
function hopStreamOf(relay: OverlayNode, from: OverlayNode): Stream | undefined {
  const streams = relay.libp2p.getConnections(from.peerId).flatMap((connection) => connection.streams);
  return streams.find(({ protocol }) => protocol === RELAY_V2_HOP_CODEC);
}

// --- messages of circuit relay v2, as its specification has them ---

/** To a relay: connects this node with another one. */
function connectMessage(to: OverlayNode): Buffer {
  return Buffer.concat([Buffer.from([0x08, 1]), peerField(to)]);
}

/** From a relay: somebody wants to be connected. */
function stopMessage(from: OverlayNode): Buffer {
  return Buffer.concat([Buffer.from([0x08, 0]), peerField(from)]);
}

function peerField({ peerId }: OverlayNode): Buffer {
  const id = peerId.toMultihash().bytes;
  return Buffer.concat([Buffer.from([0x12, id.length + 2, 0x0a, id.length]), id]);
}

/** The answer to a relay: a StopMessage of type STATUS. */
function answer(code: readonly number[]): Buffer {
  return Buffer.from([0x08, 1, 0x20, ...code]);
}
