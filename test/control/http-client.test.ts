import { once } from 'node:events';
import type { AddressInfo, Server, Socket } from 'node:net';
import { createServer } from 'node:net';
import { describe, expect, it, vi } from 'vitest';
import { askAt } from '../../src/control/index.js';
import { startManagement } from '../management/management-fixture.js';
import { teardown } from '../support/teardown.js';

/** The one of login is three seconds. */
vi.mock('../../src/amqp-gateway/limits.js', async (original) => ({
  ...(await original<typeof import('../../src/amqp-gateway/limits.js')>()),
  REFUSED_LOGIN_MS: 1,
}));

async function portOf(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  teardown(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** Something that answers whatever comes in so. */
function answering(answer: (socket: Socket) => void): Promise<number> {
  return portOf(
    createServer((socket) => {
      socket.on('error', () => {}).once('data', () => answer(socket));
    }),
  );
}

function at(port: number, credentials = 'admin:hunter2'): URL {
  return new URL(`http://${credentials}@127.0.0.1:${port}`);
}

describe('asking a node by its management listener', () => {
  it('has a command carried out, as guest where nobody is named', async () => {
    const { port, broker } = await startManagement();
    expect(
      await askAt(new URL(`http://localhost:${port}`), { command: 'vhost add', name: 'Bücher' }),
    ).toEqual([]);
    expect(await askAt(at(port, 'guest:guest'), { command: 'vhost list' })).toEqual([
      { name: '/' },
      { name: 'Bücher' },
    ]);
    await broker.users.add('jörg@shop', 'a/b:c%', ['administrator']);
    const credentials = `${encodeURIComponent('jörg@shop')}:${encodeURIComponent('a/b:c%')}`;
    expect(await askAt(at(port, credentials), { command: 'status' })).toMatchObject({ name: 'alice' });
  });

  it('gets an answer of any size that a node gives', async () => {
    const { port, spaces } = await startManagement();
    const large = { text: 'x'.repeat(1_000_000) };
    vi.spyOn(spaces, 'status').mockReturnValue(large as never);
    expect(await askAt(at(port, 'guest:guest'), { command: 'status' })).toEqual(large);
  });

  it('tells why the node refuses a command', async () => {
    const { port } = await startManagement();
    const refused = askAt(at(port, 'guest:guest'), { command: 'user remove', name: 'bob' });
    await expect(refused).rejects.toThrow(/^user 'bob' does not exist$/);
  });

  it('names the user whose login is refused, and no password', async () => {
    const { port } = await startManagement();
    await expect(askAt(at(port), { command: 'vhost list' })).rejects.toThrow(
      new RegExp(`^management: http://127.0.0.1:${port}: the login of user 'admin' was refused$`),
    );
  });

  it('says where nobody is reached', async () => {
    const server = createServer();
    const port = await portOf(server);
    await new Promise((resolve) => server.close(resolve));
    for (const host of ['127.0.0.1', 'localhost']) {
      await expect(
        askAt(new URL(`http://admin:hunter2@${host}:${port}`), { command: 'status' }),
      ).rejects.toThrow(new RegExp(`^management: http://${host}:${port}: cannot be reached: .*ECONNREFUSED`));
    }
  });

  it.each<[string, (socket: Socket) => void]>([
    ['another HTTP server', (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}')],
    ['one that speaks AMQP', (socket) => socket.end('AMQP\x00\x00\x09\x01')],
  ])('says that %s is no node', async (_, answer) => {
    const port = await answering(answer);
    await expect(askAt(at(port), { command: 'status' })).rejects.toThrow(
      new RegExp(`^management: http://127.0.0.1:${port}: who answers there is no xspace node$`),
    );
  });

  it.each<[string, (socket: Socket) => void]>([
    ['hangs up', (socket) => socket.destroy()],
    [
      'breaks off',
      (socket) => socket.end('HTTP/1.1 200 OK\r\nserver: xspace\r\ncontent-length: 9\r\n\r\n{"resu'),
    ],
    ['answers nonsense', (socket) => socket.end('HTTP/1.1 200 OK\r\nserver: xspace\r\n\r\nnonsense')],
  ])('does not guess what has become of a command where the node %s', async (_, answer) => {
    const port = await answering(answer);
    const lost = askAt(at(port), { command: 'vhost add', name: 'v' });
    await expect(lost).rejects.toThrow('whether the command was carried out is not known');
  });
});
