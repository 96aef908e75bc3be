import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import type { Connection, MessageStream, StreamMuxer } from '@libp2p/interface';
import { beforeEach, describe, expect, it } from 'vitest';
import { MAX_DHT_STREAMS_PER_CONNECTION } from '../../src/dht-space/limits.js';
import { startOverlayNode } from '../../src/dht-space/node.js';
import { openStream } from '../../src/dht-space/open-stream.js';
import { DHT_PROTOCOL } from '../../src/dht-space/protocol.js';
import { eventually } from '../support/eventually.js';
import { Random, seed } from '../support/random.js';
import { teardown } from '../support/teardown.js';
import { HostileNode } from './hostile-node.js';
import { LogStub } from './log-stub.js';
import { frame } from './stranger.js';

const OCTETS = 200;
const random = new Random(seed);
let victim: Awaited<ReturnType<typeof startOverlayNode>>;
let hostile: HostileNode;

beforeEach(async () => {
  victim = await startOverlayNode({ listen: ['/ip4/127.0.0.1/tcp/0'], logger: new LogStub() });
  teardown(() => victim.stop());
  hostile = await HostileNode.start();
});

const address = (): string => victim.libp2p.getMultiaddrs()[0]?.toString() ?? '';
const counts = () => victim.refusals.counts;

describe('what libp2p ends without a word is counted:', () => {
  it(`connections of those that do not speak it, but for those that say nothing (SEED=${seed})`, async () => {
    (await connected()).destroy();
    for (const octets of ['GET / HTTP/1.1\r\n\r\n', 'AMQP\0\0\x09\x01', garbage()]) {
      const before = counts().handshake ?? 0;
      const socket = await connected();
      // Some stay and wait, some leave.
      if (random.int(2) === 0) socket.write(octets);
      else socket.end(octets);
      await eventually(() => expect(counts()).toEqual({ handshake: before + 1 }));
      socket.destroy();
    }
  });

  it('connections of those that greet and then ask for nothing there is', async () => {
    const socket = await connected();
    socket.write('\x13/multistream/1.0.0\n');
    socket.write(Buffer.from([4, 1, 2, 3, 4]));
    await eventually(() => expect(counts()).toEqual({ handshake: 1 }));
  });

  it('octets that are not encrypted as they have to be', async () => {
    const connection = await letIn();
    internals(connection).maConn.send(Buffer.concat([Buffer.from([0, OCTETS]), garbage()]));
    await once(connection, 'close');
    await eventually(() => expect(counts()).toEqual({ protocol: 1 }));
  });

  it('frames that the multiplexer does not know, once for the connection and all its streams', async () => {
    const connection = await letIn();
    const streams = [1, 2, 3].map(() => openStream(connection, DHT_PROTOCOL));
    await Promise.all(streams);
    // Version 9 of yamux.
    internals(connection).muxer.send(Buffer.alloc(12, 9));
    await once(connection, 'close');
    await eventually(() => expect(counts()).toEqual({ protocol: 1 }));
  });

  it('streams beyond their number', async () => {
    const connection = await letIn();
    const request = Buffer.from(`\x13/multistream/1.0.0\n\x12${DHT_PROTOCOL}\n`);
    // By hand: libp2p has limits for who opens them too.
    for (let count = 0; count < MAX_DHT_STREAMS_PER_CONNECTION + 10; count++) {
      const stream = await internals(connection).muxer.createStream();
      stream.send(request);
    }
    await eventually(() => expect(counts()).toEqual({ flood: 10 }));
  });

  it('streams that name no protocol', async () => {
    const connection = await letIn();
    const stream = await internals(connection).muxer.createStream();
    stream.send(Buffer.from([4, 1, 2, 3, 4]));
    await eventually(() => expect(counts()).toEqual({ protocol: 1 }));
  });

  it('requests of the DHT that are none', async () => {
    expect(await hostile.send({ address: address() }, DHT_PROTOCOL, frame(Buffer.alloc(9, 0xff)))).toBe(
      'reset',
    );
    await eventually(() => expect(counts()).toEqual({ protocol: 1 }));
  });

  it('answers to identify that are none', async () => {
    await hostile.answer('/ipfs/id/1.0.0', frame(Buffer.alloc(9, 0xff)));
    await hostile.dial({ address: address() });
    await eventually(() => expect(counts()).toEqual({ protocol: 1 }));
  });
});

/** Connected, on both sides. */
async function letIn(): Promise<Connection> {
  const connection = await hostile.dial({ address: address() });
  await eventually(() => expect(victim.libp2p.getConnections()).toHaveLength(1));
  return connection;
}

async function connected(): Promise<Socket> {
  const socket = connect(Number(address().split('/')[4]), '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

/** Random, and nothing that libp2p begins with. */
function garbage(): Buffer {
  return Buffer.from([0xff, ...Array.from({ length: OCTETS }, () => random.int(256))]);
}

function internals(connection: Connection) {
  return connection as unknown as {
    readonly maConn: MessageStream;
    readonly muxer: StreamMuxer & MessageStream;
  };
}
