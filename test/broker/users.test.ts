import { describe, expect, it } from 'vitest';
import { StorageError } from '../../src/broker/storage-error.js';
import { DefinitionsOnly } from './definitions-only.js';
import { createBroker } from './support.js';

const HERE = { loopback: true };
const ELSEWHERE = { loopback: false };

async function refusalOf(attempt: Promise<unknown>): Promise<string> {
  return attempt.then(
    () => 'nothing was refused',
    (error) => `${error.code}: ${error.message}`,
  );
}

describe('the default user', () => {
  it('may log in from this machine only', async () => {
    const { users } = createBroker().broker;
    expect(await users.authenticate('guest', 'guest', HERE)).toEqual({
      name: 'guest',
      tags: ['administrator'],
    });
    const text = "access-refused: user 'guest' can only connect via localhost";
    expect(await refusalOf(users.authenticate('guest', 'guest', ELSEWHERE))).toBe(text);
    expect(() => users.admit('guest', ELSEWHERE)).toThrow('localhost');
  });

  it.each([
    ['guest', 'Guest'],
    ['admin', 'guest'],
    ['__proto__', 'guest'],
    ['', 'guest'],
    ['guest', 'g'.repeat(1_000_000)],
  ])('is the only one: %s may not log in with another name or password', async (name, password) => {
    const refusal = await refusalOf(createBroker().broker.users.authenticate(name, password, HERE));
    expect(refusal).toBe(`access-refused: user '${name}' - invalid credentials`);
  });

  it('is found again at the next start, with its password hashed anew for the first login', async () => {
    const storage = new DefinitionsOnly();
    createBroker(undefined, { storage });
    const { users } = createBroker(undefined, { storage: storage.restarted() }).broker;
    expect((await users.authenticate('guest', 'guest', HERE)).name).toBe('guest');
    expect(await refusalOf(users.authenticate('guest', 'Guest', HERE))).toContain('invalid credentials');
  });

  it('is not made again where there are other users', async () => {
    const storage = new DefinitionsOnly();
    const { broker } = createBroker(undefined, { storage });
    await broker.users.add('alice', 'secret', []);
    broker.removeUser('guest');
    const again = createBroker(undefined, { storage: storage.restarted() }).broker;
    expect(again.users.list().map(({ name }) => name)).toEqual(['alice']);
  });
});

describe('a user', () => {
  it('that was added may log in from anywhere, now and after a restart', async () => {
    const storage = new DefinitionsOnly();
    const { users } = createBroker(undefined, { storage }).broker;
    await users.add('alice', 'sécret', ['monitoring', 'impersonator']);
    const alice = { name: 'alice', tags: ['monitoring', 'impersonator'] };
    expect(await users.authenticate('alice', 'sécret', ELSEWHERE)).toEqual(alice);
    const restarted = createBroker(undefined, { storage: storage.restarted() }).broker.users;
    expect(restarted.list()).toContainEqual(alice);
    expect(await restarted.authenticate('alice', 'sécret', ELSEWHERE)).toEqual(alice);
    expect(await refusalOf(restarted.authenticate('alice', 'secret', ELSEWHERE))).toContain('invalid');
  });

  it('is stored without its password, and with another salt each time', async () => {
    const storage = new DefinitionsOnly();
    const { users } = createBroker(undefined, { storage }).broker;
    await users.add('alice', 'correct horse', []);
    await users.add('bob', 'correct horse', []);
    expect(storage.text()).not.toContain('horse');
    expect(new Set(storage.text().match(/"hash":"[^"]+"/g)).size).toBe(3);
    expect(new Set(storage.text().match(/"salt":"[^"]+"/g)).size).toBe(3);
  });

  it('with another password is not let in with the one before', async () => {
    const { users } = createBroker().broker;
    await users.add('alice', 'old', ['monitoring']);
    await users.setPassword('alice', 'new');
    expect(await refusalOf(users.authenticate('alice', 'old', HERE))).toContain('invalid credentials');
    expect((await users.authenticate('alice', 'new', HERE)).tags).toEqual(['monitoring']);
  });

  it('that was removed is not let in, not even while the password was being hashed', async () => {
    const storage = new DefinitionsOnly();
    await createBroker(undefined, { storage }).broker.users.add('alice', 'secret', []);
    const { broker } = createBroker(undefined, { storage: storage.restarted() });
    const login = refusalOf(broker.users.authenticate('alice', 'secret', HERE));
    broker.removeUser('alice');
    expect(await login).toContain('invalid credentials');
    expect(() => broker.users.admit('alice', HERE)).toThrow('invalid credentials');
  });

  it('with an empty password can come with a certificate only', async () => {
    const { users } = createBroker().broker;
    await users.add('alice', '', []);
    expect(await refusalOf(users.authenticate('alice', '', HERE))).toContain('blank password');
    expect(users.admit('alice', ELSEWHERE).name).toBe('alice');
  });

  it('can be added once, also when two ask for it at the same time', async () => {
    const { users } = createBroker().broker;
    const both = await Promise.allSettled([users.add('alice', 'a', []), users.add('alice', 'b', [])]);
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(await refusalOf(users.add('alice', 'c', []))).toBe(
      "precondition-failed: user 'alice' already exists",
    );
  });

  it.each([
    ['', 'p', [], 'user name'],
    ['a\tb', 'p', [], 'user name'],
    ['ü'.repeat(128), 'p', [], 'user name'],
    ['alice', 'p'.repeat(1_025), [], 'password: longer than 1024 bytes'],
    ['alice', 'p', [''], 'tag name'],
    ['alice', 'p', Array.from({ length: 33 }, (_, index) => `t${index}`), 'more than 32 tags'],
  ])('named %j with password %j and tags %j is refused', async (name, password, tags, text) => {
    const { users } = createBroker().broker;
    expect(await refusalOf(users.add(name, password, tags))).toContain(text);
    expect(users.list()).toHaveLength(1);
  });

  it('that is not there can be given no password and not be removed', async () => {
    const { broker } = createBroker();
    const text = "not-found: user 'bob' does not exist";
    expect(await refusalOf(broker.users.setPassword('bob', 'p'))).toBe(text);
    expect(() => broker.removeUser('bob')).toThrow("user 'bob' does not exist");
  });

  it('whose definition in the store is none keeps the broker from starting', () => {
    const damaged = [{ kind: 'user', key: ['alice'], value: { tags: [] } }] as const;
    expect(() => createBroker(undefined, { storage: new DefinitionsOnly(damaged) })).toThrow(StorageError);
  });
});
