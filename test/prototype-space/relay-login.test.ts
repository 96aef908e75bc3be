import { afterEach, describe, expect, it, vi } from 'vitest';
import { FRAME_BODY } from '../../src/amqp-codec/index.js';
import { MAX_FRAME_BYTES, RELAY_LOGIN_TIMEOUT_MS } from '../../src/prototype-space/limits.js';
import { connectRelay } from '../../src/prototype-space/relay-connection.js';
import { MemoryStub } from '../dht-space/memory-stub.js';
import { frame, methodFrame } from '../support/amqp-raw-client.js';
import { CertificateAuthority } from '../support/certificates.js';
import { teardown } from '../support/teardown.js';
import { requireTools } from '../support/tools.js';
import { credential, dial, REPLY } from './relay-dialling.js';
import { FakeBroker, greet } from './relay-fake-broker.js';

afterEach(() => {
  vi.useRealTimers();
});

describe('a login', () => {
  it('names user and password, agrees to what the broker offers, and opens the virtual host', async () => {
    const broker = await FakeBroker.start();
    const { connected } = dial(broker);
    const client = await broker.accept();
    await greet(client);
    const { mechanism, response, clientProperties } = await client.expect('connection.start-ok');
    expect([mechanism, response.toString()]).toEqual(['PLAIN', '\0peer.self\0secret']);
    expect(clientProperties).toMatchObject({
      product: 'xspace',
      capabilities: { consumer_cancel_notify: true, publisher_confirms: false },
    });
    client.sendMethod(0, 'connection.tune', { channelMax: 12, frameMax: 8192, heartbeat: 60 });
    expect(await client.expect('connection.tune-ok')).toMatchObject({
      channelMax: 12,
      frameMax: 8192,
      heartbeat: 5,
    });
    expect(await client.expect('connection.open')).toMatchObject({ virtualHost: '/relays' });
    client.sendMethod(0, 'connection.open-ok');
    const connection = await connected;
    teardown(() => connection.abort());
    expect(connection.maxFrameBytes).toBe(8192);
  });

  it('takes no larger frames than it can bear, and sets limits where the broker has none', async () => {
    const broker = await FakeBroker.start();
    dial(broker);
    const client = await broker.accept();
    await greet(client);
    await client.expect('connection.start-ok');
    client.sendMethod(0, 'connection.tune', { channelMax: 0, frameMax: 0, heartbeat: 0 });
    const agreed = { channelMax: 65_535, frameMax: MAX_FRAME_BYTES, heartbeat: 5 };
    expect(await client.expect('connection.tune-ok')).toMatchObject(agreed);
  });

  it('that is refused says where, and the broker’s code and text', async () => {
    const broker = await FakeBroker.start();
    const { failure } = dial(broker);
    const client = await broker.accept();
    await greet(client);
    await client.expect('connection.start-ok');
    const replyText = 'ACCESS_REFUSED - Login was refused';
    client.sendMethod(0, 'connection.close', { replyCode: 403, replyText, ...REPLY });
    await client.expect('connection.close-ok');
    expect(await failure).toBe(`${broker.where}: login refused: 403 ${replyText}`);
    await client.ended();
  });

  it.each<[string, Buffer, RegExp]>([
    ['speaks HTTP', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), /: not AMQP 0-9-1: type 72/],
    ['wants another protocol', Buffer.from('AMQP\x00\x01\x00\x00', 'latin1'), /: not AMQP 0-9-1: type 65/],
    [
      'sends no method',
      frame(FRAME_BODY, 0, Buffer.from('x')),
      /type 3 on channel 0 where connection.start was/,
    ],
    [
      'sends a method of a channel',
      methodFrame(1, 'channel.open-ok'),
      /type 1 on channel 1 where connection.start/,
    ],
    [
      'sends the wrong method',
      methodFrame(0, 'connection.open-ok'),
      /open-ok where connection.start was expected/,
    ],
    ['sends no method that there is', frame(1, 0, Buffer.from([0, 99, 0, 99])), /no method 99.99/],
    ['sends a method that is cut off', frame(1, 0, Buffer.from([0, 10, 0, 10, 0])), /connection.start/],
  ])('at something that %s fails', async (_, octets, text) => {
    const broker = await FakeBroker.start();
    const { failure } = dial(broker);
    const client = await broker.accept();
    client.send(octets);
    expect(await failure).toMatch(text);
    expect(await failure).toContain(broker.where);
    await client.ended();
  });

  it('fails where it cannot be by PLAIN, or in another version', async () => {
    const broker = await FakeBroker.start();
    const one = dial(broker);
    await greet(await broker.accept(), 'EXTERNAL');
    expect(await one.failure).toBe(`${broker.where}: it logs in by EXTERNAL and not by PLAIN`);
    const other = dial(broker);
    await greet(await broker.accept(), 'PLAIN', 10);
    expect(await other.failure).toBe(`${broker.where}: it speaks AMQP 0-10 instead of 0-9`);
  });

  it('fails when the broker closes the socket without a word', async () => {
    const broker = await FakeBroker.start();
    const { failure } = dial(broker);
    (await broker.accept()).socket.end();
    expect(await failure).toBe(`${broker.where}: the connection was closed`);
  });

  it('fails where nobody listens', async () => {
    const ended = () => {};
    const endpoint = { host: '127.0.0.1', port: 1, tls: false, virtualHost: '/' };
    const connected = connectRelay({ endpoint, credential, memory: new MemoryStub(), ended });
    await expect(connected).rejects.toThrow(/^127\.0\.0\.1:1: .*ECONNREFUSED/);
    const nowhere = { ...endpoint, port: 70_000 };
    const options = { endpoint: nowhere, credential, memory: new MemoryStub(), ended };
    await expect(connectRelay(options)).rejects.toThrow(/70000/);
  });

  it('fails when the broker is silent for too long', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const broker = await FakeBroker.start();
    const { failure } = dial(broker);
    await broker.accept();
    vi.advanceTimersByTime(RELAY_LOGIN_TIMEOUT_MS);
    expect(await failure).toBe(`${broker.where}: no login within 10 s`);
  });

  it('can be given up, before and while it is tried', async () => {
    const broker = await FakeBroker.start();
    expect(await dial(broker, { signal: AbortSignal.abort() }).failure).toContain('given up');
    const cancel = new AbortController();
    const { failure } = dial(broker, { signal: cancel.signal });
    const client = await broker.accept();
    cancel.abort();
    expect(await failure).toContain('given up');
    await client.ended();
  });
});

requireTools('openssl')('a login over TLS', () => {
  it('trusts the authorities that are given, and no others', async () => {
    const authority = new CertificateAuthority();
    const broker = await FakeBroker.start(authority.issue('node'));
    const { connected } = dial(broker, { tlsCa: authority.cert });
    await broker.admit();
    (await connected).abort();
    expect(await dial(broker).failure).toMatch(/^127\.0\.0\.1:\d+: .*certificate/);
    const plain = await FakeBroker.start();
    const endpoint = { ...plain.endpoint, tls: true };
    const refused = connectRelay({ endpoint, credential, memory: new MemoryStub(), ended: () => {} });
    (await plain.accept()).send(Buffer.from('no hello of TLS'));
    await expect(refused).rejects.toThrow(plain.where);
  });
});
