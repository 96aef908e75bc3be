import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { expect, it } from 'vitest';
import { gatheredWrites } from '../../src/dht-space/gathered-writes.js';
import { SEND_BUFFER_BYTES } from '../../src/dht-space/limits.js';
import { eventually } from '../support/eventually.js';
import { teardown } from '../support/teardown.js';

interface Sending {
  sendData(data: object): { readonly sentBytes: number; readonly canSendMore: boolean };
}

/** Pieces as libp2p hands them to a connection. */
function pieces(...sizes: readonly number[]) {
  const buffers = sizes.map((size, index) => Buffer.alloc(size, `${index}`));
  return Object.assign(buffers, { byteLength: sizes.reduce((sum, size) => sum + size, 0) });
}

/** A connection as libp2p's TCP makes them, and the other end of its socket. */
async function connection(of: object = {}) {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') return expect.fail('no port');
  const socket = connect(address.port, '127.0.0.1');
  const [other] = (await once(server, 'connection')) as [Socket];
  teardown(() => {
    for (const one of [socket, other]) one.destroy();
    server.close();
  });
  const upgrader = { upgradeInbound: async () => {}, upgradeOutbound: async () => {} };
  const sending = { socket, sendData: () => expect.fail('not gathered'), ...of };
  gatheredWrites()({ upgrader } as unknown as Parameters<ReturnType<typeof gatheredWrites>>[0]);
  await (upgrader.upgradeOutbound as (connection: object, options: object) => Promise<void>)(sending, {});
  return { socket, other, sending: sending as unknown as Sending };
}

it('sends what comes in one turn in one piece, in order', async () => {
  const { other, sending } = await connection();
  const arrived: Buffer[] = [];
  other.on('data', (data) => arrived.push(data));
  expect(sending.sendData(pieces(2, 12, 100, 16))).toEqual({ sentBytes: 130, canSendMore: true });
  sending.sendData(pieces(2, 30));
  await eventually(() => expect(Buffer.concat(arrived)).toHaveLength(162));
  expect(arrived).toEqual([Buffer.concat([...pieces(2, 12, 100, 16), ...pieces(2, 30)])]);
  sending.sendData(pieces(5));
  await eventually(() => expect(arrived).toHaveLength(2));
});

it('has streams wait when more than so much waits for the kernel, and go on when that is gone', async () => {
  const { socket, other, sending } = await connection();
  const before = () => socket.writableLength < SEND_BUFFER_BYTES;
  while (before()) expect(sending.sendData(pieces(65_536)).canSendMore).toBe(before());
  let isDrained = false;
  socket.once('drain', () => {
    isDrained = true;
  });
  other.resume();
  await eventually(() => expect(isDrained).toBe(true));
  expect(sending.sendData(pieces(1)).canSendMore).toBe(true);
});

it('leaves alone what is no TCP connection', async () => {
  const own = { sentBytes: 1, canSendMore: true };
  const { sending } = await connection({ socket: undefined, sendData: () => own });
  expect(sending.sendData(pieces(1))).toBe(own);
});
