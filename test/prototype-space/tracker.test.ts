import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { contentFormat } from '../../src/amqp-gateway/index.js';
import { LEASE_MS, REQUEST_BURST } from '../../src/prototype-space/limits.js';
import { encodeMessage } from '../../src/prototype-space/parse-messages.js';
import { relayPassword } from '../../src/prototype-space/relay-password.js';
import { parseSnapshot } from '../../src/prototype-space/tracker-snapshot.js';
import { stateQueue } from '../../src/prototype-space/tracker-store.js';
import { openStore, temporaryFolder } from '../broker/store/support.js';
import { heldMemory } from '../dht-space/collect-garbage.js';
import { startGateway } from '../support/amqp-gateway.js';
import { publication } from '../support/amqp-raw-client.js';
import { eventually } from '../support/eventually.js';
import { Random, seed } from '../support/random.js';
import { Home, SPACE } from './tracker-fixture.js';
import { hex, offer, registration } from './tracker-messages.js';

const CONFIGURE = { configure: true, write: true, read: true };
const STATE = stateQueue(SPACE);
const FIELD_TYPE_INT64 = 'l'.charCodeAt(0);
const FIELD_TYPE_OTHER_INT64 = 'L'.charCodeAt(0);

async function start(options: { durable?: boolean } = {}) {
  const node = await startGateway();
  const home = new Home(node);
  const admin = await (await node.connect()).createConfirmChannel();
  await admin.assertExchange(SPACE, 'direct', { durable: options.durable ?? false });
  const tracker = await home.tracker(options);
  return { node, home, admin, tracker };
}

async function twoMembers(options: { durable?: boolean } = {}) {
  const setup = await start(options);
  const a = await setup.home.member('a', 'guest');
  const b = await setup.home.member('b', 'guest');
  expect(await a.ask(registration('a', [offer('bids')]))).toMatchObject({ reply: 'ok' });
  expect(await b.ask(registration('b', [offer('bids')]))).toMatchObject({ reply: 'ok' });
  expect(await a.told()).toMatchObject({ event: 'joined', participant: { member: b.id } });
  return { ...setup, a, b };
}

describe('a tracker', () => {
  it('answers a user who may write to and read from the exchange, and nothing else', async () => {
    const { home } = await start();
    await home.user('alice');
    const alice = await home.member('a', 'alice');
    expect(await alice.ask(registration('a', [offer('bids')]))).toEqual({
      reply: 'ok',
      points: [{ point: 'bids', participants: [] }],
    });
    const bob = await home.member('b', 'guest');
    const participant = { member: alice.id, password: relayPassword(hex('a', 64), bob.id) };
    expect(await bob.ask(registration('b', [offer('bids')]))).toMatchObject({
      points: [{ point: 'bids', participants: [participant] }],
    });
    expect(await alice.told()).toMatchObject({ event: 'joined', point: 'bids' });
  });

  it('tells conflicts, refusals and what it does not understand', async () => {
    const { home, b } = await twoMembers();
    const conflict = { reply: 'error', code: 'conflict', point: 'bids' };
    const direct = offer('bids', { type: 'direct' });
    const c = await home.member('c', 'guest');
    expect(await c.ask(registration('c', [direct]))).toMatchObject(conflict);
    expect(await b.ask({ request: 'delete-point', point: 'bids' })).toMatchObject({ code: 'refused' });
    expect(await b.send(Buffer.from('{"version":7}'))).toEqual({
      reply: 'error',
      code: 'invalid',
      text: "field 'version': expected an integer from 1 to 1, found 7",
    });
  });

  it('tells events, in order', async () => {
    const { home, a, b } = await twoMembers();
    home.permits.set('guest', CONFIGURE);
    await b.ask({ request: 'renew', relayKey: hex('7', 64) });
    await b.ask({ request: 'leave', point: 'bids' });
    await b.ask({ request: 'join', point: offer('bids') });
    await b.ask({ request: 'delete-point', point: 'bids' });
    await eventually(() => expect(a.events.length).toBe(4));
    expect(a.events).toMatchObject([
      { event: 'password', member: b.id, password: relayPassword(hex('7', 64), a.id) },
      { event: 'left', point: 'bids', member: b.id },
      { event: 'joined', point: 'bids' },
      { event: 'point-deleted', reason: expect.stringContaining("user 'guest'") },
    ]);
    expect(b.events).toEqual([]);
  });

  it('drops who does not renew its lease', async () => {
    const { home, a, b } = await twoMembers();
    home.nowMs += LEASE_MS - 1;
    await a.ask({ request: 'renew' });
    home.nowMs += 1;
    expect(await a.told()).toEqual({ event: 'gone', member: b.id, reason: 'its lease has run out' });
    expect(await b.told()).toEqual({ event: 'dropped', reason: 'its lease has run out' });
    expect(await b.ask({ request: 'renew' })).toMatchObject({ code: 'unknown-member' });
  });

  it('drops whose user loses permission, within a sweep', async () => {
    const { home, a } = await twoMembers();
    await home.user('carol');
    const carol = await home.member('c', 'carol');
    await carol.ask(registration('c', [offer('bids')]));
    await a.told();
    home.permits.set('carol', { configure: false, write: true, read: false });
    const reason = "user 'carol' has no read permission for exchange 'market' in vhost '/'";
    expect(await carol.told()).toEqual({ event: 'dropped', reason });
    expect(await a.told()).toEqual({ event: 'gone', member: carol.id, reason });
    expect(await carol.ask(registration('c'))).toMatchObject({ code: 'refused', text: reason });
  });

  it('answers to direct replies only: it may write to queues that members may not', async () => {
    const { home, admin, a } = await twoMembers();
    await admin.assertQueue('victim');
    const body = encodeMessage({ request: 'renew', member: a.id, sequence: 1_000 });
    admin.publish(SPACE, 'tracker', body, { userId: 'guest', replyTo: 'victim', correlationId: '1' });
    await admin.waitForConfirms();
    await a.ask({ request: 'renew' });
    expect(await admin.checkQueue('victim')).toMatchObject({ messageCount: 0 });
    expect(home.log.join('\n')).toContain('"cause":"no direct reply-to"');
  });

  it('cannot be opened where there is no such exchange, and can when it is there', async () => {
    const home = new Home(await startGateway());
    const tracker = home.create();
    await expect(tracker.open()).rejects.toMatchObject({ code: 404 });
    const admin = await (await home.node.connect()).createChannel();
    await admin.assertExchange(SPACE, 'direct');
    await Promise.all([tracker.open(), tracker.open()]);
    const a = await home.member('a', 'guest');
    expect(await a.ask(registration('a'))).toMatchObject({ reply: 'ok' });
    await tracker.close();
    expect(await a.ask({ request: 'renew' })).toMatchObject({ text: 'returned' });
  });

  it('that is closed leaves nothing behind: requests come back', async () => {
    const { tracker, a } = await twoMembers();
    await tracker.close();
    expect(await a.ask({ request: 'renew' })).toMatchObject({ text: 'returned' });
    expect(a.events).toEqual([]);
  });

  it('that is deleted says so to all members', async () => {
    const { tracker, a, b } = await twoMembers({ durable: true });
    await tracker.delete();
    const deleted = { event: 'space-deleted', reason: "exchange space 'market' has been deleted" };
    expect([await a.told(), await b.told()]).toEqual([deleted, deleted]);
    expect(await a.ask({ request: 'renew' })).toMatchObject({ text: 'returned' });
    await expect(a.channel.checkQueue(STATE)).rejects.toThrow(/no queue|NOT_FOUND/);
  });
});

/** A message that the broker takes, and on which the tracker's library gives its connection up: it knows no type L. */
function indigestible(): Buffer {
  const headers = { n: 2n ** 40n };
  const octets = publication(1, { exchange: SPACE, routingKey: 'tracker' }, [], { headers });
  const type = octets.indexOf('\u0001nl') + 2;
  expect(octets[type]).toBe(FIELD_TYPE_INT64);
  octets[type] = FIELD_TYPE_OTHER_INT64;
  return octets;
}

describe('a tracker whose connection breaks', () => {
  it('is back, and has members register again, of which others hear nothing', async () => {
    const { home, node, a, b } = await twoMembers();
    const client = await node.rawChannel();
    client.send(indigestible());
    await eventually(() => expect(home.log.join('\n')).toContain('has lost the connection to its own node'));
    await eventually(async () => {
      expect(await a.ask({ request: 'renew' })).toMatchObject({ code: 'unknown-member' });
    });
    expect(await a.ask(registration('a', [offer('bids')]))).toMatchObject({
      points: [{ participants: [{ member: b.id }] }],
    });
    expect(await a.ask({ request: 'renew' })).toEqual({ reply: 'ok' });
    expect([a.events, b.events]).toEqual([[], []]);
  });

  it('ends where the exchange is gone meanwhile', async () => {
    const { home, node } = await twoMembers();
    const client = await node.rawChannel();
    client.send(indigestible());
    await client.call('exchange.delete', { exchange: SPACE }, 'exchange.delete-ok');
    await eventually(() => expect(home.log.join('\n')).toContain('is gone, and its tracker ends'));
  });
});

describe('a tracker of a durable space', () => {
  it('knows its members again when its node was restarted', async () => {
    const dataDir = temporaryFolder();
    const first = await openStore(dataDir, { format: contentFormat });
    const before = await startGateway({ store: first.store });
    const home = new Home(before);
    await (await (await before.connect()).createChannel()).assertExchange(SPACE, 'direct');
    const tracker = await home.tracker({ durable: true });
    const a = await home.member('a', 'guest');
    await a.ask(registration('a', [offer('bids')]));
    await a.ask({ request: 'renew', relayKey: hex('7', 64) });
    await tracker.close();
    await before.gateway.close();
    before.broker.stop();
    await first.store.close();

    const { store } = await openStore(dataDir, { format: contentFormat });
    const later = new Home(await startGateway({ store }));
    await later.tracker({ durable: true });
    const b = await later.member('b', 'guest');
    expect(await b.ask(registration('b', [offer('bids')]))).toMatchObject({
      points: [{ participants: [{ member: a.id, password: relayPassword(hex('7', 64), b.id) }] }],
    });
    expect(await b.ask({ request: 'join', point: offer('bids', { type: 'direct' }) })).toMatchObject({
      code: 'conflict',
    });
    const back = await later.member('a', 'guest');
    back.sequence = a.sequence;
    expect(await back.ask({ request: 'renew' })).toMatchObject({ code: 'unknown-member' });
    expect(await back.ask(registration('a', [offer('bids')]))).toMatchObject({ reply: 'ok' });
    // The relay key is another one again.
    expect(await b.told()).toMatchObject({ event: 'joined', participant: { member: a.id } });
    expect(b.events).toEqual([]);
  });

  it('knows nobody where its state is gone, or the space is not durable, and learns one by one', async () => {
    for (const durable of [true, false]) {
      const { home, tracker, admin, a } = await twoMembers({ durable });
      await tracker.close();
      if (durable) await admin.deleteQueue(STATE);
      await home.tracker({ durable });
      expect(await a.ask({ request: 'renew' })).toMatchObject({ code: 'unknown-member' });
      const answer = await a.ask(registration('a', [offer('bids')]));
      expect(answer).toEqual({ reply: 'ok', points: [{ point: 'bids', participants: [] }] });
    }
  });

  it('keeps one state, the newest, written once for many changes', async () => {
    const { admin, tracker, a } = await twoMembers({ durable: true });
    const names = Array.from({ length: 200 }, (_, i) => `p${i}`);
    await Promise.all(names.map((name) => a.ask({ request: 'join', point: offer(name) })));
    await tracker.close();
    expect(await admin.checkQueue(STATE)).toMatchObject({ messageCount: 1 });
    const message = await admin.get(STATE);
    if (message === false) throw new Error('nothing is stored');
    expect(message.properties.deliveryMode).toBe(2);
    const members = parseSnapshot(message.content);
    expect(members.map(({ user, points }) => [user, points.length])).toEqual([
      ['guest', 201],
      ['guest', 1],
    ]);
  });

  it('begins without the state that it does not understand, says so, and puts its own in place of it', async () => {
    const { home, admin, tracker, a } = await twoMembers({ durable: true });
    await tracker.close();
    admin.sendToQueue(STATE, Buffer.from('{"version":9}'));
    await admin.waitForConfirms();
    const next = await home.tracker({ durable: true });
    const log = home.log.join('\n');
    expect(log).toContain('error the stored state of the exchange space is not understood');
    expect(log).toContain(
      `"queue":"${STATE}","cause":"field 'version': expected an integer from 1 to 1, found 9"`,
    );
    expect((await admin.get(STATE, { noAck: true })) || undefined).toBeDefined();
    await a.ask(registration('a', [offer('bids')]));
    await next.close();
    const message = await admin.get(STATE, { noAck: true });
    expect(parseSnapshot((message || expect.fail()).content)).toMatchObject([{ member: a.id }]);
  });

  it('has a queue with a name of at most 255 octets, whatever the name of the space', () => {
    expect(stateQueue('market')).toBe('xspace.tracker.market');
    const long = stateQueue('ä'.repeat(127));
    expect(long).toMatch(/^xspace\.tracker\.[0-9a-f]{64}$/);
    expect(stateQueue('ä'.repeat(126))).not.toBe(long);
  });
});

describe('100,000 bad requests', () => {
  const BAD = 100_000;
  const forged = encodeMessage({ request: 'unregister', member: hex('a'), sequence: 1_000_000 });
  const garbage = (random: Random) => Buffer.from(random.list(60, () => random.int(256)));
  const kinds: [string, (random: Random) => [Buffer, object?]][] = [
    ['garbage', (random) => [garbage(random)]],
    ['forged', () => [forged]],
    ['replayed', () => [encodeMessage(registration('c', [offer('bids')], { sequence: 1 }))]],
    ['of another version', () => [Buffer.from('{"version":2,"request":"renew"}')]],
    ['without user-id', () => [forged, { userId: undefined }]],
    ['without reply-to', () => [forged, { replyTo: undefined }]],
    ['of no member', (random) => [encodeMessage({ ...renewal, member: hex(String(random.int(1e9))) })]],
  ];
  const renewal = { request: 'renew', sequence: 1 } as const;

  it(`change nothing for members, and leave no memory behind (SEED=${seed})`, async () => {
    const random = new Random(seed);
    const { home, node, a, b } = await twoMembers();
    await home.user('mallory');
    const mallory = await home.member('c', 'mallory');
    await mallory.ask(registration('c'));
    const flood = async (count: number) => {
      for (let i = 0; i < count; i += 1) {
        const [body, options] = random.pick(kinds)[1](random);
        const correlationId = String(i);
        if (mallory.publish(body, { correlationId, mandatory: false, ...options })) continue;
        await once(mallory.channel, 'drain');
      }
    };
    await flood(BAD / 10);
    const before = await heldMemory();
    await flood(BAD);
    // Behind all that came before it.
    expect(await a.ask({ request: 'renew' })).toEqual({ reply: 'ok' });
    expect(await b.ask({ request: 'join', point: offer('asks') })).toMatchObject({ reply: 'ok' });
    expect([a.events, b.events]).toEqual([[], []]);
    await eventually(() => expect(node.memory.entries).toBe(0));
    const after = await heldMemory();
    expect(after.heapBytes + after.bufferBytes - before.heapBytes - before.bufferBytes).toBeLessThan(16e6);
    const log = home.log.filter((line) => line.includes('does not obey a request'));
    for (const cause of ['too many requests', 'no user-id', 'no direct reply-to', 'not understood']) {
      expect(log.filter((line) => line.includes(cause)).length).toBeGreaterThan(0);
    }
    expect(log.length).toBeLessThan(100);
  });

  it('of one user: what is above its allowance is not answered until some time has passed', async () => {
    const { home } = await start();
    await home.user('mallory');
    const mallory = await home.member('c', 'mallory');
    await mallory.ask(registration('c'));
    const body = encodeMessage(registration('c'));
    for (let i = 0; i < REQUEST_BURST - 1; i += 1) mallory.publish(body, { correlationId: `${i}` });
    const ignored = mallory.ask({ request: 'renew' });
    await eventually(() =>
      expect(home.log.join('\n')).toContain('"cause":"too many requests","user":"mallory"'),
    );
    expect(await Promise.race([ignored, 'nothing'])).toBe('nothing');
    home.nowMs += 1_000;
    expect(await mallory.ask({ request: 'renew' })).toEqual({ reply: 'ok' });
  });
});
