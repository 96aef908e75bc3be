import { describe, expect, it } from 'vitest';
import type { Account, Broker } from '../../src/broker/index.js';
import { createBroker, refusal } from './support.js';

const PASSWORD = 'a password that nobody guesses';
const ALL = { configure: '.*', write: '.*', read: '.*' };
const ELSEWHERE = { loopback: false };

/** A broker with a source of accounts that a test can change. */
function withSource(accounts: Record<string, Partial<Account>>) {
  const { broker } = createBroker();
  const asked: string[] = [];
  const end = broker.addLoginSource({
    account: (name) => {
      asked.push(name);
      const account = Object.hasOwn(accounts, name) ? accounts[name] : undefined;
      return account && { password: PASSWORD, virtualHost: '/', permissions: ALL, ...account };
    },
  });
  return { broker, accounts, asked, end };
}

function logIn({ users }: Broker, name: string, password = PASSWORD) {
  return users.authenticate(name, password, ELSEWHERE);
}

async function refusedLogin(login: Promise<unknown>): Promise<string> {
  return login.then(
    () => 'it was let in',
    ({ code, message }) => `${code}: ${message}`,
  );
}

describe('an account of a login source', () => {
  it('logs in from anywhere with its password, and is no user', async () => {
    const { broker } = withSource({ relay: {} });
    expect(await logIn(broker, 'relay')).toMatchObject({ name: 'relay', tags: [] });
    expect(broker.users.list().map(({ name }) => name)).toEqual(['guest']);
    expect(broker.permissions().map(({ user }) => user)).toEqual(['guest']);
    for (const change of [
      () => broker.removeUser('relay'),
      () => broker.setPermissions('relay', '/', ALL),
      () => broker.removePermissions('relay', '/'),
      () => broker.permissions('relay'),
    ]) {
      expect(refusal(change)).toBe("not-found: user 'relay' does not exist");
    }
  });

  it.each([
    ['with another password', 'relay', 'guessed'],
    ['with a beginning of its password', 'relay', PASSWORD.slice(0, -1)],
    ['without a password', 'relay', ''],
    ['that is not there', 'nobody', PASSWORD],
    ['with the name of a property of all objects', '__proto__', PASSWORD],
  ])('%s is refused as any other login', async (_, name, password) => {
    const { broker } = withSource({ relay: {} });
    const why = password === '' ? 'attempted to log in with a blank password' : '- invalid credentials';
    expect(await refusedLogin(logIn(broker, name, password))).toBe(`access-refused: user '${name}' ${why}`);
  });

  it('logs in with no certificate', () => {
    const { broker } = withSource({ relay: {} });
    expect(refusal(() => broker.users.admit('relay', ELSEWHERE))).toContain('invalid credentials');
  });

  it('does not stand in for a user of that name', async () => {
    const { broker, asked } = withSource({ alice: {} });
    await broker.users.add('alice', 'secret', []);
    expect(await refusedLogin(logIn(broker, 'alice'))).toContain('invalid credentials');
    expect((await logIn(broker, 'alice', 'secret')).source).toBeUndefined();
    expect(asked).toEqual([]);
  });

  it('enters its virtual host only, with its permissions', async () => {
    const { broker } = withSource({ relay: { permissions: { configure: '', write: '^w', read: '^r' } } });
    broker.addVirtualHost('other');
    const user = await logIn(broker, 'relay');
    expect(refusal(() => broker.enter(user, 'other'))).toBe(
      "not-allowed: access to vhost 'other' refused for user 'relay'",
    );
    expect(refusal(() => broker.enter(user, 'missing'))).toBe('not-allowed: vhost missing not found');
    const { authorization, virtualHost } = broker.enter(user, '/');
    expect(virtualHost).toBe(broker.virtualHost('/'));
    authorization.assert('write', 'queue', 'w');
    authorization.assertPublish('w');
    authorization.assert('read', 'exchange', 'r');
    expect(refusal(() => authorization.assertPublish('r'))).toContain("access to exchange 'r' in vhost '/'");
    expect(refusal(() => authorization.assert('configure', 'queue', 'w'))).toContain('refused');
  });

  it('may have other permissions for exchanges than for queues', async () => {
    const exchangePermissions = { configure: '', write: '', read: '^x' };
    const permissions = { configure: '^q', write: '^q', read: '^q' };
    const { broker } = withSource({ relay: { permissions, exchangePermissions } });
    const { authorization } = broker.enter(await logIn(broker, 'relay'), '/');
    authorization.assert('configure', 'queue', 'q');
    authorization.assert('read', 'exchange', 'x');
    expect(refusal(() => authorization.assert('configure', 'exchange', 'q'))).toContain("exchange 'q'");
    expect(refusal(() => authorization.assertPublish('q'))).toContain("exchange 'q'");
    expect(refusal(() => authorization.assertPublish(''))).toContain("exchange 'amq.default'");
    expect(refusal(() => authorization.assert('read', 'queue', 'x'))).toContain("queue 'x'");
  });

  it('that went between its login and its connection.open is not let in', async () => {
    const { broker, accounts, end } = withSource({ relay: {}, other: {} });
    const [relay, other] = [await logIn(broker, 'relay'), await logIn(broker, 'other')];
    delete accounts.relay;
    expect(refusal(() => broker.enter(relay, '/'))).toContain("access to vhost '/' refused");
    end();
    expect(refusal(() => broker.enter(other, '/'))).toContain("access to vhost '/' refused");
    expect(await refusedLogin(logIn(broker, 'other'))).toContain('invalid credentials');
  });
});

describe('what a broker permits', () => {
  it('follows the permissions as they are', async () => {
    const { broker } = createBroker();
    await broker.users.add('alice', 'secret', []);
    const none = { configure: false, write: false, read: false };
    expect(broker.permits('alice', '/', 'market')).toEqual(none);
    broker.setPermissions('alice', '/', { configure: '', write: '^market$', read: '^market$' });
    expect(broker.permits('alice', '/', 'market')).toEqual({ configure: false, write: true, read: true });
    expect(broker.permits('alice', '/', 'market2')).toEqual(none);
    expect(broker.permits('alice', 'other', 'market')).toEqual(none);
    expect(broker.permits('nobody', '/', 'market')).toEqual(none);
    broker.removeUser('alice');
    expect(broker.permits('alice', '/', 'market')).toEqual(none);
  });

  it("knows the default exchange as 'amq.default'", () => {
    const { broker } = createBroker();
    broker.setPermissions('guest', '/', { configure: '', write: '^amq\\.default$', read: '' });
    expect(broker.permits('guest', '/', '')).toEqual({ configure: false, write: true, read: false });
  });
});
