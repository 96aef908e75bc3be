import { describe, expect, it } from 'vitest';
import type { Broker, Permission, PermissionPatterns } from '../../src/broker/index.js';
import { StorageError } from '../../src/broker/storage-error.js';
import { DefinitionsOnly } from './definitions-only.js';
import { createBroker, refusal } from './support.js';

const ALL: PermissionPatterns = { configure: '.*', write: '.*', read: '.*' };
const NONE: PermissionPatterns = { configure: '', write: '', read: '' };

async function withAlice(patterns?: PermissionPatterns, storage?: DefinitionsOnly): Promise<Broker> {
  const { broker } = createBroker(undefined, storage && { storage });
  await broker.users.add('alice', 'secret', []);
  if (patterns !== undefined) broker.setPermissions('alice', '/', patterns);
  return broker;
}

function enter(broker: Broker, virtualHost = '/') {
  return broker.enter(broker.users.get('alice'), virtualHost).authorization;
}

describe('a user without permissions in a virtual host', () => {
  it('is not let in, whether it exists or not', async () => {
    const broker = await withAlice();
    const refused = "not-allowed: access to vhost '/' refused for user 'alice'";
    expect(refusal(() => enter(broker))).toBe(refused);
    expect(refusal(() => enter(broker, 'other'))).toBe('not-allowed: vhost other not found');
  });

  it('is let in when there are any, also those that match nothing', async () => {
    const authorization = enter(await withAlice(NONE));
    for (const permission of ['configure', 'write', 'read'] as const) {
      expect(refusal(() => authorization.assert(permission, 'queue', 'q'))).toBe(
        "access-refused: access to queue 'q' in vhost '/' refused for user 'alice'",
      );
    }
  });
});

describe('a permission', () => {
  it('is one of three, each with its own names', async () => {
    const patterns = { configure: '^c', write: '^w', read: '^r' };
    const authorization = enter(await withAlice(patterns));
    for (const granted of ['configure', 'write', 'read'] as const) {
      for (const name of ['c', 'w', 'r']) {
        const assert = () => authorization.assert(granted, 'exchange', name);
        if (granted.startsWith(name)) expect(assert).not.toThrow();
        else expect(refusal(assert)).toContain(`access to exchange '${name}' in vhost '/' refused`);
      }
    }
  });

  it("calls the default exchange 'amq.default'", async () => {
    const authorization = enter(await withAlice({ ...NONE, write: '^amq\\.default$' }));
    authorization.assert('write', 'exchange', '');
    authorization.assertPublish('');
    expect(refusal(() => authorization.assert('read', 'exchange', ''))).toBe(
      "access-refused: access to exchange 'amq.default' in vhost '/' refused for user 'alice'",
    );
    // A queue without a name is none that could be meant.
    expect(refusal(() => authorization.assert('write', 'queue', ''))).toContain("queue ''");
  });

  it('is for the name as it is, line breaks included', async () => {
    const authorization = enter(await withAlice({ ...NONE, read: '^public$' }));
    authorization.assert('read', 'queue', 'public');
    expect(refusal(() => authorization.assert('read', 'queue', 'pub\nlic'))).toContain("queue 'pub\nlic'");
  });

  it('that is changed or removed counts at once for who is logged in', async () => {
    const broker = await withAlice(ALL);
    const authorization = enter(broker);
    authorization.assertPublish('x');
    authorization.assertPublish('x');
    broker.setPermissions('alice', '/', { ...ALL, write: '^y$' });
    expect(refusal(() => authorization.assertPublish('x'))).toContain("access to exchange 'x'");
    authorization.assertPublish('y');
    broker.removePermissions('alice', '/');
    for (const name of ['x', 'y']) {
      expect(refusal(() => authorization.assertPublish(name))).toContain(`access to exchange '${name}'`);
    }
  });

  it('is for one virtual host and one user', async () => {
    const broker = await withAlice(ALL);
    await broker.users.add('bob', 'secret', []);
    broker.addVirtualHost('other');
    broker.setPermissions('alice', 'other', NONE);
    const bob = broker.users.get('bob');
    enter(broker).assert('read', 'queue', 'q');
    expect(() => enter(broker, 'other').assert('read', 'queue', 'q')).toThrow("vhost 'other'");
    expect(() => broker.enter(bob, '/')).toThrow("refused for user 'bob'");
  });

  it('outlives a restart', async () => {
    const storage = new DefinitionsOnly();
    const broker = await withAlice({ configure: 'c', write: 'w', read: '' }, storage);
    broker.setPermissions('alice', '/', { configure: 'c2', write: 'w', read: '' });
    broker.removePermissions('guest', '/');
    const again = createBroker(undefined, { storage: storage.restarted() }).broker;
    expect(again.permissions()).toEqual([
      { user: 'alice', virtualHost: '/', configure: 'c2', write: 'w', read: '' },
    ]);
  });

  it.each<[Permission, string]>([
    ['configure', '('],
    ['write', '[a'],
    ['read', '*'],
    ['read', 'a'.repeat(5_000)],
    ['read', '(a{900}){900}'],
  ])('of %s with %j is refused, and nothing is changed', async (permission, pattern) => {
    const broker = await withAlice(ALL);
    const set = () => broker.setPermissions('alice', '/', { ...ALL, [permission]: pattern });
    expect(refusal(set)).toMatch(/^precondition-failed: .*regular expression/);
    expect(broker.permissions('alice')).toEqual([{ user: 'alice', virtualHost: '/', ...ALL }]);
  });

  it('of nobody, or in no virtual host, is refused', async () => {
    const broker = await withAlice();
    for (const change of ['setPermissions', 'removePermissions'] as const) {
      expect(refusal(() => broker[change]('bob', '/', ALL))).toBe("not-found: user 'bob' does not exist");
      expect(refusal(() => broker[change]('alice', 'x', ALL))).toBe("not-found: vhost 'x' does not exist");
    }
    expect(refusal(() => broker.permissions('bob'))).toContain("user 'bob' does not exist");
  });

  it('whose definition in the store is none keeps the broker from starting', () => {
    const damaged = [{ kind: 'permission', key: ['alice', '/'], value: { configure: '' } }] as const;
    expect(() => createBroker(undefined, { storage: new DefinitionsOnly(damaged) })).toThrow(StorageError);
  });
});

describe('removing', () => {
  it('a user takes the permissions along, so that a new one of that name has none', async () => {
    const broker = await withAlice(ALL);
    const removed: unknown[] = [];
    broker.onRemoved((removal) => removed.push(removal));
    broker.removeUser('alice');
    await broker.users.add('alice', 'other', []);
    expect(broker.permissions('alice')).toEqual([]);
    expect(removed).toEqual([{ type: 'user', name: 'alice' }]);
  });

  it('a virtual host takes its queues, its exchanges and the permissions along', async () => {
    const storage = new DefinitionsOnly();
    const { broker } = createBroker(undefined, { storage });
    broker.addVirtualHost('v');
    broker.setPermissions('guest', 'v', ALL);
    const { virtualHost } = broker.enter(broker.users.get('guest'), 'v');
    const spec = { durable: false, exclusive: false, autoDelete: false, arguments: {} };
    virtualHost.declareQueue('q', spec, {});
    virtualHost.bindQueue(
      { queue: 'q', exchange: 'amq.direct', pattern: { routingKey: 'k', arguments: {} } },
      {},
    );
    const removed: unknown[] = [];
    const stop = broker.onRemoved((removal) => removed.push(removal));
    broker.removeVirtualHost('v');
    stop();
    expect(removed).toEqual([{ type: 'virtual-host', name: 'v' }]);
    expect(virtualHost.findQueue('q')).toBeUndefined();
    expect(virtualHost.findExchange('amq.direct')).toBeUndefined();
    broker.addVirtualHost('v');
    expect(broker.permissions('guest').map(({ virtualHost: name }) => name)).toEqual(['/']);
    expect(broker.virtualHost('v')?.findQueue('q')).toBeUndefined();
    expect(storage.restarted().definitions.filter(({ kind }) => kind === 'queue')).toEqual([]);
  });
});

describe('a virtual host', () => {
  it('has the predeclared exchanges, and outlives a restart', () => {
    const storage = new DefinitionsOnly();
    const { broker } = createBroker(undefined, { storage });
    broker.addVirtualHost('v');
    broker.addVirtualHost('v');
    const again = createBroker(undefined, { storage: storage.restarted() }).broker;
    expect(again.virtualHostNames).toEqual(['/', 'v']);
    for (const name of ['', 'amq.direct', 'amq.fanout', 'amq.topic', 'amq.headers', 'amq.match']) {
      expect(again.virtualHost('v')?.findExchange(name)?.name).toBe(name);
    }
  });

  it.each(['', 'a\nb', 'ü'.repeat(128)])('is not named %j', (name) => {
    const { broker } = createBroker();
    expect(refusal(() => broker.addVirtualHost(name))).toContain('vhost name: expected');
    expect(refusal(() => broker.removeVirtualHost(name))).toContain('does not exist');
  });
});
