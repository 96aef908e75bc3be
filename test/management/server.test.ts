import { describe, expect, it, vi } from 'vitest';
import { MAX_REQUEST_BYTES } from '../../src/control/limits.js';
import { startManagement } from './management-fixture.js';

describe('a management listener', () => {
  it('carries out the commands of an administrator, and logs who changed what, without secrets', async () => {
    const { command, broker, spaces, log } = await startManagement();
    const done = await command({ command: 'vhost add', name: 'shop' });
    expect(done).toMatchObject({ status: 200, body: { result: [] } });
    expect(broker.virtualHostNames).toEqual(['/', 'shop']);
    const listed = await command(
      { command: 'user list' },
      { headers: { 'content-type': 'APPLICATION/JSON;v=1' } },
    );
    expect(listed.body).toEqual({ result: [{ name: 'guest', tags: ['administrator'] }] });
    await command({ command: 'user password', name: 'guest', password: 'hunter2' });
    const target = { space: 'market', point: 'bids' };
    expect((await command({ command: 'point delete', ...target }, { as: 'guest:hunter2' })).status).toBe(200);
    expect(spaces.deleted).toEqual([target]);
    expect(log.entries).toEqual([
      { level: 'info', text: 'vhost add', fields: { request: { name: 'shop' }, by: 'guest' } },
      { level: 'info', text: 'user password', fields: { request: { name: 'guest' }, by: 'guest' } },
      { level: 'info', text: 'point delete', fields: { request: target, by: 'guest' } },
    ]);
  });

  it('tells what the node tells about itself, by GET and as a command', async () => {
    const { call, command, spaces } = await startManagement();
    const { status, headers, body } = await call();
    expect({ status, body }).toEqual({ status: 200, body: spaces.status() });
    expect(headers).toMatchObject({
      server: 'xspace',
      'content-type': 'application/json',
      'cache-control': 'no-store',
      connection: 'close',
    });
    expect((await command({ command: 'status' })).body).toEqual({ result: spaces.status() });
  });

  it.each([
    ['that is no JSON', '{"password":"hunter2"', 400, 'request: expected a JSON object'],
    ['that is no command', '{"command":"reboot"}', 400, 'request: command: expected one of user add, '],
    [
      'without a field',
      '{"command":"point delete","space":"s"}',
      400,
      'point delete: point: expected a text',
    ],
    ['that the node refuses', '{"command":"user remove","name":"bob"}', 400, "user 'bob' does not exist"],
    ['that is too long', `"${'x'.repeat(MAX_REQUEST_BYTES)}"`, 413, `longer than ${MAX_REQUEST_BYTES} bytes`],
  ])('refuses a request %s, and says why', async (_, body, status, text) => {
    const { command } = await startManagement();
    const refused = await command(body);
    expect(refused).toMatchObject({ status, body: { error: expect.stringContaining(text) } });
    expect(JSON.stringify(refused.body)).not.toContain('hunter2');
  });

  it('takes a request that is as long as it may be', async () => {
    const { command } = await startManagement();
    const request = '{"command":"vhost list"}';
    expect((await command(request.padEnd(MAX_REQUEST_BYTES))).status).toBe(200);
  });

  it('tells which paths and methods there are', async () => {
    const { call } = await startManagement();
    expect(await call({ path: '/' })).toMatchObject({
      status: 404,
      body: { error: 'path: expected one of /api/commands, /api/status' },
    });
    expect(await call({ method: 'PUT' })).toMatchObject({ status: 405, headers: { allow: 'GET' } });
    expect(await call({ path: '/api/commands' })).toMatchObject({ status: 405, headers: { allow: 'POST' } });
    expect((await call({ path: '/api/status?from=here' })).status).toBe(200);
  });

  it.each(['text/plain', 'application/x-www-form-urlencoded', 'application/jsonp', ''])(
    'takes no command of the content type %j, which a page of another site could send',
    async (type) => {
      const { command, broker } = await startManagement();
      const { status } = await command(
        { command: 'vhost add', name: 'v' },
        { headers: { 'content-type': type } },
      );
      expect(status).toBe(415);
      expect(broker.virtualHostNames).toEqual(['/']);
    },
  );

  it('answers 500 when a command fails inside the node, and keeps the cause to its log', async () => {
    const { command, call, spaces, log } = await startManagement();
    vi.spyOn(spaces, 'deletePoint').mockRejectedValue(new TypeError('inner workings'));
    vi.spyOn(spaces, 'status').mockImplementation(() => {
      throw new TypeError('inner workings');
    });
    for (const { status, body } of [
      await command({ command: 'point delete', space: 's', point: 'p' }),
      await call(),
    ]) {
      expect(status).toBe(500);
      expect(JSON.stringify(body)).not.toContain('inner');
    }
    expect(log.entries.map(({ level, fields }) => [level, (fields.err as Error).message])).toEqual([
      ['error', 'inner workings'],
      ['error', 'inner workings'],
    ]);
  });
});
