import type { IncomingMessage } from 'node:http';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { REFUSED_LOGIN_MS } from '../../src/amqp-gateway/limits.js';
import { administratorOf } from '../../src/management/login.js';
import { startManagement } from './management-fixture.js';

afterEach(() => {
  vi.useRealTimers();
});

const CHALLENGE = 'Basic realm="xspace", charset="UTF-8"';

describe('a login to management', () => {
  it.each<[string, Record<string, string>]>([
    ['without a user', {}],
    ['of another scheme', { authorization: 'Bearer Z3Vlc3Q6Z3Vlc3Q=' }],
    ['that is no base64', { authorization: 'Basic guest:guest' }],
    ['without a password', { authorization: `Basic ${Buffer.from('guest').toString('base64')}` }],
  ])('%s is asked for one at once, whatever it wants', async (_, headers) => {
    const { call, command, broker } = await startManagement();
    for (const answer of [
      await call({ as: null, headers }),
      await call({ as: null, headers, path: '/nowhere' }),
      await command({ command: 'vhost add', name: 'v' }, { as: null, headers }),
    ]) {
      expect(answer).toMatchObject({ status: 401, headers: { 'www-authenticate': CHALLENGE } });
    }
    expect(broker.virtualHostNames).toEqual(['/']);
  });

  it.each(['guest:hunter2', 'guest:'])(
    `as %s is refused after ${REFUSED_LOGIN_MS} ms, and logged without its password`,
    async (as) => {
      const { call, log } = await startManagement();
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
      let answer: Awaited<ReturnType<typeof call>> | undefined;
      const answered = call({ as }).then((given) => {
        answer = given;
      });
      while (log.entries.length === 0) await new Promise(setImmediate);
      vi.advanceTimersByTime(REFUSED_LOGIN_MS - 1);
      for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
      expect(answer).toBeUndefined();
      vi.advanceTimersByTime(1);
      await answered;
      expect(answer).toMatchObject({ status: 401, headers: { 'www-authenticate': CHALLENGE } });
      const [{ level, fields } = {}] = log.entries;
      const [name] = as.split(':');
      expect({ level, fields }).toEqual({
        level: 'warn',
        fields: { client: '127.0.0.1', reason: expect.stringContaining(`user '${name}'`) },
      });
      expect(JSON.stringify(log.entries)).not.toContain('hunter2');
    },
  );

  it('that was refused is over when its client leaves', async () => {
    const { call, log, management } = await startManagement();
    const refused = expect(call({ as: 'guest:' })).rejects.toThrow('socket hang up');
    while (log.entries.length === 0) await new Promise(setImmediate);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    await management.close();
    await refused;
    expect(vi.getTimerCount()).toBe(0);
  });

  it('is for administrators only', async () => {
    const { call, command, broker } = await startManagement();
    await broker.users.add('alice', 'a:b', ['monitoring', 'administrators']);
    const expected = { status: 403, body: { error: "user 'alice' is not tagged 'administrator'" } };
    expect(await call({ as: 'alice:a:b' })).toMatchObject(expected);
    expect(await command({ command: 'user list' }, { as: 'alice:a:b' })).toMatchObject(expected);
  });

  it.each(['evil.example:15673', 'localhost.evil.example', '127.0.0.1.evil.example', '[evil]'])(
    'on this machine is refused at the host %j, which a web page could have lead here',
    async (host) => {
      const { call } = await startManagement();
      const refused = await call({ headers: { host } });
      expect(refused).toMatchObject({ status: 403, body: { error: expect.stringContaining(`'${host}'`) } });
    },
  );

  it.each(['localhost', 'LOCALHOST:1', '127.0.0.1:15673', '192.0.2.1', '[::1]:15673'])(
    'on this machine is taken at the host %s',
    async (host) => {
      const { call } = await startManagement();
      expect((await call({ headers: { host } })).status).toBe(200);
    },
  );

  it('from another machine is taken at any host, but not that of guest', async () => {
    const { broker } = await startManagement();
    await broker.users.add('root', 'r', ['administrator']);
    const from = (remoteAddress: string, as: string) => {
      const authorization = `Basic ${Buffer.from(as).toString('base64')}`;
      const headers = { host: 'node.example', authorization };
      return administratorOf({ headers, socket: { remoteAddress } } as IncomingMessage, broker);
    };
    expect(await from('192.0.2.7', 'root:r')).toMatchObject({ name: 'root' });
    await expect(from('192.0.2.7', 'guest:guest')).rejects.toMatchObject({
      status: 401,
      cause: expect.objectContaining({ message: expect.stringContaining('can only connect via localhost') }),
    });
    for (const loopback of ['127.0.0.1', '::1', '::ffff:127.0.0.2']) {
      await expect(from(loopback, 'root:r')).rejects.toMatchObject({ status: 403 });
    }
  });
});
