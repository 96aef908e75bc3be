import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { connect as connectTls } from 'node:tls';
import type { ChannelModel } from 'amqplib';
import { connect, credentials } from 'amqplib';
import { beforeAll, expect, it } from 'vitest';
import { PROTOCOL_HEADER } from '../../src/amqp-codec/index.js';
import type { Gateway, TlsMaterial } from '../../src/amqp-gateway/index.js';
import { createGateway } from '../../src/amqp-gateway/index.js';
import { Broker, MemoryAccount } from '../../src/broker/index.js';
import { exchangeTypes } from '../../src/overlay/index.js';
import { RawClient } from '../support/amqp-raw-client.js';
import type { Certificate } from '../support/certificates.js';
import { CertificateAuthority } from '../support/certificates.js';
import { eventually } from '../support/eventually.js';
import { teardown } from '../support/teardown.js';
import { requireTools } from '../support/tools.js';

requireTools('openssl')('a listener with TLS', () => {
  let authority: CertificateAuthority;
  let server: Certificate;
  let alice: Certificate;

  beforeAll(() => {
    authority = new CertificateAuthority();
    server = authority.issue('node');
    alice = authority.issue('alice');
  });

  interface TlsGateway {
    readonly gateway: Gateway;
    readonly broker: Broker;
    readonly memory: MemoryAccount;
    readonly port: number;
    readonly log: readonly string[];
    connect(certificate?: Certificate): Promise<ChannelModel>;
  }

  async function start(tls: TlsMaterial = material()): Promise<TlsGateway> {
    const memory = new MemoryAccount({ limitBytes: 2 ** 30, limitEntries: 10_000_000 });
    const broker = new Broker({ exchangeTypes, memory });
    const log: string[] = [];
    const add = (_: object, text: string) => log.push(text);
    const logger = { debug: add, info: add, warn: add, error: add };
    const gateway = createGateway({ broker, memory, logger, tls });
    const { port } = await gateway.listen({ host: '127.0.0.1', port: 0 }, 'tls');
    teardown(() => gateway.close());
    return {
      gateway,
      broker,
      memory,
      port,
      log,
      async connect(certificate) {
        const own = certificate && {
          cert: certificate.cert,
          key: certificate.key,
          credentials: credentials.external(),
        };
        const client = await connect(`amqps://localhost:${port}`, { ca: authority.cert, ...own });
        client.on('error', () => {});
        teardown(() => client.close().catch(() => {}));
        return client;
      },
    };
  }

  function material(
    certificate: Certificate = server,
    clientCa: Buffer | undefined = authority.cert,
  ): TlsMaterial {
    return { certificate: certificate.cert, key: certificate.key, clientCa };
  }

  /** The name in the certificate that the node shows. */
  async function shownBy(port: number): Promise<string> {
    const socket = connectTls({ port, host: '127.0.0.1', ca: authority.cert });
    await once(socket, 'secureConnect');
    const { CN } = socket.getPeerCertificate().subject;
    socket.destroy();
    return String(CN);
  }

  /** Waits for the server to end a connection, however it does. */
  async function ended(socket: TLSSocket): Promise<void> {
    socket.on('error', () => {}).resume();
    if (!socket.closed) await once(socket, 'close');
  }

  it.each([0, 1, 100, 65_536, 3_000_000])(
    'carries bodies of %i octets unchanged, both ways',
    async (bytes) => {
      const channel = await (await (await start()).connect()).createConfirmChannel();
      const { queue } = await channel.assertQueue('', { exclusive: true });
      const body = Buffer.from(Uint8Array.from({ length: bytes }, (_, index) => index * 31 + (index >>> 8)));
      channel.sendToQueue(queue, body);
      await channel.waitForConfirms();
      const message = await channel.get(queue, { noAck: true });
      if (message === false) throw new Error('no message');
      expect(message.content.equals(body)).toBe(true);
    },
  );

  it('holds back for a consumer that takes nothing, and goes on in order when it does', async () => {
    const { connect: connectClient, memory, port } = await start();
    const socket = connectTls({ port, host: '127.0.0.1', ca: authority.cert });
    await once(socket, 'secureConnect');
    const consumer = RawClient.on(socket);
    teardown(() => consumer.destroy());
    await consumer.open();
    await consumer.call('channel.open', {}, 'channel.open-ok');
    await consumer.call('queue.declare', { queue: 'q' }, 'queue.declare-ok');
    await consumer.call('basic.consume', { queue: 'q', consumerTag: 't', noAck: true }, 'basic.consume-ok');
    socket.pause();
    const publisher = await (await connectClient()).createConfirmChannel();
    const sent = Array.from({ length: 3_000 }, (_, index) => `${index} ${'x'.repeat(10_000)}`);
    for (const body of sent) publisher.sendToQueue('q', Buffer.from(body));
    await publisher.waitForConfirms();
    // What neither the kernel nor the output has taken is in the queue, and all of it is in the account.
    const { messageCount } = await publisher.checkQueue('q');
    expect(messageCount).toBeGreaterThan(500);
    expect(memory.bytes).toBeGreaterThan(5_000_000);
    socket.resume();
    for (const body of sent) {
      await consumer.expect('basic.deliver');
      expect((await consumer.expectContent()).body.toString() === body).toBe(true);
    }
    await eventually(() => expect(memory.bytes).toBe(0));
  });

  it('offers EXTERNAL to who shows a certificate, and lets the user of its common name in', async () => {
    const { broker, connect: connectClient } = await start();
    await broker.users.add('alice', '', []);
    broker.setPermissions('alice', '/', { configure: '^a$', write: '', read: '' });
    const client = await connectClient(alice);
    const channel = await client.createChannel();
    channel.on('error', () => {});
    await channel.assertQueue('a', { exclusive: true });
    await expect(channel.assertQueue('b')).rejects.toThrow("refused for user 'alice'");
  });

  it('refuses EXTERNAL to who shows a certificate of nobody', async () => {
    const { connect: connectClient } = await start();
    await expect(connectClient(authority.issue('bob'))).rejects.toThrow('mechanism EXTERNAL. For details');
  });

  it('joins several common names by commas', async () => {
    const { broker, connect: connectClient } = await start();
    await broker.users.add('a,b', '', []);
    broker.setPermissions('a,b', '/', { configure: '', write: '', read: '' });
    const both = authority.issue('a/b');
    await connectClient(both);
  });

  it('refuses a certificate that nobody it trusts has signed, and needs none', async () => {
    const stranger = new CertificateAuthority().issue('alice');
    const { connect: connectClient, gateway, log, port } = await start();
    const options = { port, host: '127.0.0.1', ca: authority.cert, cert: stranger.cert, key: stranger.key };
    const socket = connectTls(options);
    await ended(socket);
    await eventually(() => expect(log).toContain('client certificate refused'));
    expect(gateway.status().connections).toBe(0);
    await connectClient();
  });

  it.each([
    ['a client that shows a certificate', true, true, 'PLAIN AMQPLAIN EXTERNAL'],
    ['a client that shows none', false, true, 'PLAIN AMQPLAIN'],
    ['any client where it trusts nobody to sign certificates', true, false, 'PLAIN AMQPLAIN'],
  ])('offers to %s its mechanisms', async (_, shows, trusts, mechanisms) => {
    const { port } = await start(trusts ? material() : { ...material(), clientCa: undefined });
    const shown = shows ? { cert: alice.cert, key: alice.key } : {};
    const socket = connectTls({ port, host: '127.0.0.1', ca: authority.cert, ...shown });
    await once(socket, 'secureConnect');
    const client = RawClient.on(socket);
    teardown(() => client.destroy());
    client.expectFrames();
    client.send(PROTOCOL_HEADER);
    expect((await client.expect('connection.start')).mechanisms.toString()).toBe(mechanisms);
  });

  it('shows new certificates to new clients, and keeps the others', async () => {
    const { gateway, connect: connectClient, port } = await start();
    const before = await (await connectClient()).createChannel();
    expect(await shownBy(port)).toBe('node');
    gateway.replaceCertificates(material(authority.issue('renewed')));
    expect(await shownBy(port)).toBe('renewed');
    const wrongKey = { ...material(), key: alice.key };
    expect(() => gateway.replaceCertificates(wrongKey)).toThrow();
    expect(await shownBy(port)).toBe('renewed');
    await before.assertQueue('q', { exclusive: true });
  });

  it('ends with the gateway, whatever stage its clients are at', async () => {
    const { gateway, connect: connectClient, port } = await start();
    const silent = connectTcp(port, '127.0.0.1');
    await once(silent, 'connect');
    const secured = connectTls({ port, host: '127.0.0.1', ca: authority.cert });
    await once(secured, 'secureConnect');
    const client = await connectClient();
    const closed = once(client, 'close');
    await gateway.close();
    expect((await closed)[0]).toMatchObject({ code: 320 });
    await ended(secured);
    silent.resume();
    if (!silent.closed) await once(silent, 'close');
  });

  it('logs what is no TLS, and closes it', async () => {
    const { log, port } = await start();
    const socket = connectTcp(port, '127.0.0.1');
    socket.on('error', () => {}).resume();
    socket.write('AMQP\0\0\x09\x01');
    await once(socket, 'close');
    await eventually(() => expect(log).toContain('TLS handshake failed'));
  });

  it('is not there without certificates', async () => {
    const { broker, memory } = await start();
    const logger = { debug() {}, info() {}, warn() {}, error() {} };
    const gateway = createGateway({ broker, memory, logger });
    await expect(gateway.listen({ host: '127.0.0.1', port: 0 }, 'tls')).rejects.toThrow('no certificate');
  });
});
