import { once } from 'node:events';
import { createConnection } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { eventually } from '../support/eventually.js';
import { teardown } from '../support/teardown.js';
import { startManagement } from './management-fixture.js';

/** The same limits, small enough to be reached. */
vi.mock('../../src/management/limits.js', async (original) => ({
  ...(await original<typeof import('../../src/management/limits.js')>()),
  MAX_MANAGEMENT_CONNECTIONS: 3,
  MAX_REFUSED_LOGINS: 2,
  MAX_HEADER_BYTES: 1_000,
  REQUEST_TIMEOUT_MS: 100,
  REQUEST_CHECK_INTERVAL_MS: 20,
}));

vi.mock('../../src/control/limits.js', async (original) => ({
  ...(await original<typeof import('../../src/control/limits.js')>()),
  CONTROL_TIMEOUT_MS: 200,
}));

const AUTHORIZATION = `authorization: Basic ${Buffer.from('guest:guest').toString('base64')}\r\n`;

/** A connection that sends these octets, and all that comes back until its end. */
async function raw(port: number, octets: string) {
  const socket = createConnection(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.on('error', () => {});
  teardown(() => socket.destroy());
  let octetsBack = '';
  socket.on('data', (chunk) => {
    octetsBack += chunk;
  });
  const received = once(socket, 'close').then(() => octetsBack);
  socket.write(octets);
  return { socket, received };
}

afterEach(() => {
  vi.useRealTimers();
});

describe('at its limit', () => {
  it('of connections, management closes further ones, and serves again when one is free', async () => {
    const { port, log, call } = await startManagement();
    const idle = [await raw(port, ''), await raw(port, ''), await raw(port, '')];
    const refused = await raw(port, 'GET /api/status HTTP/1.1\r\n');
    expect(await refused.received).toBe('');
    expect(log.about('more than 3 management connections')).toMatchObject([{ level: 'warn' }]);
    for (const { socket } of idle) socket.destroy();
    await eventually(async () => expect((await call()).status).toBe(200));
  });

  it.each([
    ['says nothing', ''],
    ['does not finish its headers', 'POST /api/commands HTTP/1.1\r\nhost: localhost\r\n'],
    [
      'does not finish its body',
      `POST /api/commands HTTP/1.1\r\nhost: localhost\r\n${AUTHORIZATION}content-length: 9\r\n\r\n{`,
    ],
  ])('of time, a connection that %s is answered and closed', async (_, octets) => {
    const { port, log } = await startManagement();
    const { received } = await raw(port, octets);
    expect(await received).toMatch(/^HTTP\/1\.1 408 /);
    expect(log.entries).toEqual([]);
  });

  it('of time, a connection whose command does not end is closed without an answer', async () => {
    const { command, spaces } = await startManagement();
    vi.spyOn(spaces, 'deletePoint').mockReturnValue(new Promise(() => {}));
    const hangs = command({ command: 'point delete', space: 'market', point: 'bids' });
    await expect(hangs).rejects.toThrow('socket hang up');
  });

  it('of headers, a request is answered and its connection closed', async () => {
    const { port } = await startManagement();
    const { received } = await raw(port, `GET /api/status HTTP/1.1\r\nx: ${'x'.repeat(1_000)}\r\n\r\n`);
    expect(await received).toMatch(/^HTTP\/1\.1 431 /);
  });

  it('of refused logins that wait, further ones are answered at once, until there is room', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { call, port } = await startManagement();
    const login = `GET /api/status HTTP/1.1\r\nhost: localhost\r\nauthorization: Basic ${btoa('guest:')}\r\n\r\n`;
    const waiting = async (count: number) => {
      while (vi.getTimerCount() !== count) await new Promise(setImmediate);
    };
    const { socket } = await raw(port, login);
    await raw(port, login);
    await waiting(2);
    expect((await call({ as: 'guest:' })).status).toBe(401);
    socket.destroy();
    await waiting(1);
    await raw(port, login);
    await waiting(2);
  });

  it('of one request per connection, further ones that were sent along are not carried out', async () => {
    const { port, broker } = await startManagement();
    const request = (name: string) => {
      const body = JSON.stringify({ command: 'vhost add', name });
      return `POST /api/commands HTTP/1.1\r\nhost: localhost\r\n${AUTHORIZATION}content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
    };
    const { received } = await raw(port, request('one') + request('two'));
    expect((await received).match(/HTTP\/1\.1 \d+/g)?.[0]).toBe('HTTP/1.1 200');
    expect(broker.virtualHostNames).toEqual(['/', 'one']);
  });
});
