import { once } from 'node:events';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { Broker, MemoryAccount } from '../../src/broker/index.js';
import type { ControlRequest } from '../../src/control/index.js';
import { ask, ControlServer } from '../../src/control/index.js';
import { MAX_CONTROL_CONNECTIONS, MAX_REQUEST_BYTES } from '../../src/control/limits.js';
import { exchangeTypes } from '../../src/overlay/index.js';
import { teardown } from '../support/teardown.js';
import { FakeSpaces } from './fake-spaces.js';

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'xspace-control-'));
  teardown(() => rm(path, { recursive: true, force: true }));
  return path;
}

async function start(path?: string) {
  const socket = path ?? join(await folder(), 'control.sock');
  const memory = new MemoryAccount({ limitBytes: 2 ** 30, limitEntries: 1_000_000 });
  const broker = new Broker({ exchangeTypes, memory });
  const log: string[] = [];
  const add = (fields: object, message: string) => log.push(`${message} ${JSON.stringify(fields)}`);
  const spaces = new FakeSpaces();
  const control = await ControlServer.listen(
    socket,
    { broker, grants: {} as never, spaces },
    { info: add, error: add },
  );
  teardown(() => control.close());
  return { socket, broker, spaces, control, log, run: (request: ControlRequest) => ask(socket, request) };
}

/** Sends octets of one's own, and gives what comes back until the end. */
async function raw(path: string, octets: string): Promise<string> {
  const socket = createConnection(path);
  await once(socket, 'connect');
  socket.on('error', () => {});
  socket.write(octets);
  return text(socket);
}

describe('a control socket', () => {
  it('carries out every command', async () => {
    const { run, broker } = await start();
    expect(await run({ command: 'vhost add', name: 'v' })).toEqual([]);
    expect(await run({ command: 'vhost list' })).toEqual([{ name: '/' }, { name: 'v' }]);
    await run({ command: 'user add', name: 'alice', password: 'a', tags: ['monitoring'] });
    expect(await run({ command: 'user list' })).toEqual([
      { name: 'alice', tags: ['monitoring'] },
      { name: 'guest', tags: ['administrator'] },
    ]);
    await run({ command: 'user password', name: 'alice', password: 'b' });
    expect((await broker.users.authenticate('alice', 'b', { loopback: true })).name).toBe('alice');
    const patterns = { configure: '^c', write: '^w', read: '^r' };
    await run({ command: 'permission set', user: 'alice', virtualHost: 'v', ...patterns });
    expect(await run({ command: 'permission list', user: 'alice' })).toEqual([
      { user: 'alice', vhost: 'v', ...patterns },
    ]);
    expect(await run({ command: 'permission list' })).toHaveLength(2);
    await run({ command: 'permission remove', user: 'alice', virtualHost: 'v' });
    expect(broker.permissions('alice')).toEqual([]);
    await run({ command: 'user remove', name: 'alice' });
    await run({ command: 'vhost remove', name: 'v' });
    expect(broker.users.find('alice')).toBeUndefined();
    expect(broker.virtualHostNames).toEqual(['/']);
  });

  it('deletes a point, and tells what the node tells about itself', async () => {
    const { run, spaces, log } = await start();
    const target = { space: 'market', owner: '12D3Koo', point: 'bids' };
    expect(await run({ command: 'point delete', ...target })).toEqual([]);
    expect(await run({ command: 'point delete', space: 'market', point: 'asks' })).toEqual([]);
    expect(spaces.deleted).toEqual([target, { space: 'market', point: 'asks' }]);
    expect(await run({ command: 'status' })).toEqual(spaces.status());
    expect(log).toEqual([
      'point delete {"request":{"space":"market","owner":"12D3Koo","point":"bids"}}',
      'point delete {"request":{"space":"market","point":"asks"}}',
    ]);
  });

  it.each<[ControlRequest, string]>([
    [{ command: 'point delete', space: 'market', point: 'none' }, "no point 'none'"],
    [{ command: 'user remove', name: 'bob' }, "user 'bob' does not exist"],
    [{ command: 'user add', name: 'guest', password: 'p', tags: [] }, "user 'guest' already exists"],
    [{ command: 'vhost remove', name: 'v' }, "vhost 'v' does not exist"],
    [
      { command: 'permission set', user: 'guest', virtualHost: '/', configure: '(', write: '', read: '' },
      'regular expression',
    ],
  ])('tells why %j is refused', async (request, text) => {
    const { run } = await start();
    await expect(run(request)).rejects.toThrow(text);
  });

  it('logs who was changed, and never a password', async () => {
    const { run, log } = await start();
    await run({ command: 'user add', name: 'alice', password: 'hunter2', tags: [] });
    await run({ command: 'user password', name: 'alice', password: 'hunter3' });
    await run({ command: 'user list' });
    expect(log).toEqual([
      'user add {"request":{"name":"alice","tags":[]}}',
      'user password {"request":{"name":"alice"}}',
    ]);
  });

  it("is its owner's alone", async () => {
    const { socket } = await start();
    expect((await stat(socket)).mode & 0o777).toBe(0o600);
    expect(process.umask()).not.toBe(0o177);
  });

  it('takes the place of one that a process left when it was killed', async () => {
    const socket = join(await folder(), 'control.sock');
    await writeFile(socket, '');
    const { run } = await start(socket);
    expect(await run({ command: 'vhost list' })).toEqual([{ name: '/' }]);
  });

  it('is gone with its server', async () => {
    const { control, run, socket } = await start();
    const waiting = createConnection(socket);
    await once(waiting, 'connect');
    waiting.on('error', () => {});
    await control.close();
    expect(await run({ command: 'vhost list' })).toBeUndefined();
    await expect(stat(socket)).rejects.toThrow('ENOENT');
  });

  it.each([
    ['no JSON', '{"command":"user add","password":"hunter2"', 'request: expected a JSON object'],
    ['a text', '"user list"', 'request: expected a JSON object'],
    ['nothing', 'null', 'request: expected a JSON object'],
    ['another command', '{"command":"__proto__"}', 'request: command: expected one of user add, '],
    ['no command', '{}', 'request: command: expected one of'],
    ['a name that is no text', '{"command":"user remove","name":7}', 'user remove: name: expected a text'],
    ['no tags', '{"command":"user add","name":"a","password":"hunter2"}', 'tags: expected a list of texts'],
    ['no point', '{"command":"point delete","space":"s"}', 'point delete: point: expected a text'],
    [
      'an owner that is no text',
      '{"command":"point delete","space":"s","point":"p","owner":7}',
      'owner: expected a text',
    ],
    ['a user that is no text', '{"command":"permission list","user":7}', 'user: expected a text'],
  ])('refuses %s and goes on', async (_, line, expected) => {
    const { socket, run, log } = await start();
    const { error } = JSON.parse(await raw(socket, `${line}\n`));
    expect(error).toContain(expected);
    expect(error + log.join()).not.toContain('hunter2');
    expect(await run({ command: 'vhost list' })).toEqual([{ name: '/' }]);
  });

  it('refuses a request that is too long, with and without its end', async () => {
    const { socket } = await start();
    const long = 'x'.repeat(MAX_REQUEST_BYTES);
    for (const octets of [long, `${long}\n`]) {
      expect(JSON.parse(await raw(socket, octets)).error).toContain('longer than 65536 bytes');
    }
  });

  it('serves so many at a time, and says so to the others', async () => {
    const { socket, run } = await start();
    const idle = Array.from({ length: MAX_CONTROL_CONNECTIONS }, () => createConnection(socket));
    await Promise.all(idle.map((connection) => once(connection, 'connect')));
    await expect(run({ command: 'vhost list' })).rejects.toThrow('at a time: try again');
    for (const connection of idle) connection.destroy();
    await expect.poll(() => run({ command: 'vhost list' }).catch(() => undefined)).toEqual([{ name: '/' }]);
  });

  it('is free again for others when it has answered', async () => {
    const { run } = await start();
    for (let count = 0; count < 2 * MAX_CONTROL_CONNECTIONS; count++) await run({ command: 'vhost list' });
  });

  it('is not made where its path is too long', async () => {
    await expect(start(join(await folder(), 'x'.repeat(100)))).rejects.toThrow(
      /^data-dir: .* is longer than/,
    );
  });
});

describe('asking a node', () => {
  it('comes to nothing where none runs', async () => {
    expect(await ask(join(await folder(), 'control.sock'), { command: 'vhost list' })).toBeUndefined();
  });

  it('that ends without an answer says that the outcome is open', async () => {
    const path = join(await folder(), 'control.sock');
    const server = createServer((socket) => socket.once('data', () => socket.destroy())).listen(path);
    await once(server, 'listening');
    teardown(() => server.close());
    await expect(ask(path, { command: 'vhost remove', name: 'v' })).rejects.toThrow('is not known');
  });
});
