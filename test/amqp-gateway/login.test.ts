import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { connect } from 'amqplib';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { encodeTable, PROTOCOL_HEADER } from '../../src/amqp-codec/index.js';
import { MAX_REFUSED_CLIENTS, REFUSED_LOGIN_MS } from '../../src/amqp-gateway/limits.js';
import { RefusedClients } from '../../src/amqp-gateway/refused-clients.js';
import type { TestGateway } from '../support/amqp-gateway.js';
import { startGateway } from '../support/amqp-gateway.js';
import type { RawClient } from '../support/amqp-raw-client.js';
import { frame, stuck } from '../support/amqp-raw-client.js';
import { eventually } from '../support/eventually.js';

const REFUSED = 'Login was refused using authentication mechanism';

async function greeted({ raw }: TestGateway): Promise<RawClient> {
  const client = await raw();
  client.expectFrames();
  client.send(PROTOCOL_HEADER);
  await client.expect('connection.start');
  return client;
}

afterEach(() => {
  vi.useRealTimers();
});

describe('a login', () => {
  it.each<[string, Buffer]>([
    ['PLAIN', Buffer.from('\0guest\0guest')],
    ['AMQPLAIN', encodeTable({ LOGIN: 'guest', PASSWORD: 'guest' })],
  ])('by %s leads to tuning', async (mechanism, response) => {
    const client = await greeted(await startGateway());
    client.startOk([], response, mechanism);
    await client.expect('connection.tune');
  });

  it.each<[string, Buffer]>([
    ['PLAIN', Buffer.from('\0guest\0wrong')],
    ['PLAIN', Buffer.from('\0guest\0')],
    ['PLAIN', Buffer.from('\0nobody\0guest')],
    ['AMQPLAIN', encodeTable({ LOGIN: 'guest', PASSWORD: 'wrong' })],
    ['AMQPLAIN', encodeTable({ LOGIN: 'guest', PASSWORD: 7 })],
  ])(
    'by %s that is refused is answered at once where the client can take that',
    async (mechanism, response) => {
      const client = await greeted(await startGateway());
      client.startOk(['authentication_failure_close'], response, mechanism);
      expect(await client.expect('connection.close')).toMatchObject({
        replyCode: 403,
        replyText: `ACCESS_REFUSED - ${REFUSED} ${mechanism}. For details see the broker logfile.`,
        classId: 0,
        methodId: 0,
      });
    },
  );

  it('that is refused is an error that names the cause in amqplib', async () => {
    const { port } = await startGateway();
    await expect(connect(`amqp://guest:wrong@127.0.0.1:${port}`)).rejects.toThrow(
      `ACCESS_REFUSED - ${REFUSED} PLAIN`,
    );
  });

  it.each<[string, string, Buffer, readonly string[]]>([
    ['that is refused where the client takes no answer', 'PLAIN', Buffer.from('\0nobody\0wrong'), []],
    ['with no response of PLAIN', 'PLAIN', Buffer.from('guest'), ['authentication_failure_close']],
    ['with too much of it', 'PLAIN', Buffer.from('\0guest\0guest\0x'), ['authentication_failure_close']],
    ['for somebody else', 'PLAIN', Buffer.from('root\0guest\0guest'), ['authentication_failure_close']],
    ['with no response of AMQPLAIN', 'AMQPLAIN', Buffer.from('junk'), ['authentication_failure_close']],
    ['without a password', 'AMQPLAIN', encodeTable({ LOGIN: 'guest' }), ['authentication_failure_close']],
    ['by another mechanism', 'SCRAM-SHA-256', Buffer.from('n,,n=g'), ['authentication_failure_close']],
    ['by a certificate that was not shown', 'EXTERNAL', Buffer.alloc(0), ['authentication_failure_close']],
  ])(
    `%s gets no answer, and its socket is closed after ${REFUSED_LOGIN_MS} ms`,
    async (...[, mechanism, response, capabilities]) => {
      const gateway = await startGateway();
      const client = await greeted(gateway);
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
      client.startOk(capabilities, response, mechanism);
      while (!gateway.log.join().includes(REFUSED)) await new Promise(setImmediate);
      vi.advanceTimersByTime(REFUSED_LOGIN_MS - 1);
      for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
      expect(client.pending()).toEqual([]);
      vi.advanceTimersByTime(1);
      vi.useRealTimers();
      expect(await client.next()).toEqual({ type: 'end' });
    },
  );

  it('that was refused does not keep a client that leaves', async () => {
    const gateway = await startGateway();
    const client = await greeted(gateway);
    client.startOk([], Buffer.from('\0guest\0wrong'));
    await eventually(() => expect(gateway.log.join()).toContain(REFUSED));
    const started = performance.now();
    client.destroy();
    await gateway.gateway.close();
    expect(performance.now() - started).toBeLessThan(REFUSED_LOGIN_MS);
  });

  it('has nothing more read from the client while its password is being hashed', async () => {
    const gateway = await startGateway();
    vi.spyOn(gateway.broker.users, 'authenticate').mockReturnValue(new Promise(() => {}));
    const client = await greeted(gateway);
    client.startOk([]);
    await stuck(client.flood(frame(8, 0, Buffer.alloc(0)), 10_000_000));
  });

  it('never shows a password in the log', async () => {
    const gateway = await startGateway();
    const client = await greeted(gateway);
    client.startOk([], Buffer.from('\0guest\0hunter2'));
    await eventually(() => expect(gateway.log.join()).toContain(REFUSED));
    expect(gateway.log.join()).not.toContain('hunter2');
  });
});

describe('refused clients', () => {
  /** As much of a socket as is needed. */
  function fakeSocket() {
    const socket = Object.assign(new EventEmitter(), { destroyed: false, ended: false });
    const end = () => {
      socket.ended = true;
    };
    return Object.assign(socket, { end, destroy: () => socket.emit('close') });
  }

  it('are ended at once when too many wait, and wait again when there is room', () => {
    vi.useFakeTimers();
    const refused = new RefusedClients();
    const add = () => {
      const socket = fakeSocket();
      refused.add(socket as unknown as Socket);
      return socket;
    };
    const waiting = Array.from({ length: MAX_REFUSED_CLIENTS }, add);
    expect(waiting.some(({ ended }) => ended)).toBe(false);
    expect(add().ended).toBe(true);
    waiting[0]?.destroy();
    expect(add().ended).toBe(false);
    expect(add().ended).toBe(true);
    vi.advanceTimersByTime(REFUSED_LOGIN_MS);
    expect(add().ended).toBe(false);
  });
});

describe('connection.open', () => {
  it.each([
    ['that is not there', 'elsewhere', 'vhost elsewhere not found'],
    ['without a permission in it', 'closed', "access to vhost 'closed' refused for user 'guest'"],
  ])('of a virtual host %s is refused with NOT_ALLOWED', async (_, virtualHost, text) => {
    const gateway = await startGateway();
    gateway.broker.addVirtualHost('closed');
    const client = await greeted(gateway);
    client.startOk([]);
    await client.expect('connection.tune');
    client.tuneOk();
    client.sendMethod(0, 'connection.open', { virtualHost });
    expect(await client.expect('connection.close')).toMatchObject({
      replyCode: 530,
      replyText: `NOT_ALLOWED - ${text}`,
      classId: 10,
      methodId: 40,
    });
    expect(await client.next()).toEqual({ type: 'end' });
  });

  it('leads into the virtual host it names, which is another world', async () => {
    const gateway = await startGateway();
    gateway.broker.addVirtualHost('other');
    gateway.broker.setPermissions('guest', 'other', { configure: '.*', write: '.*', read: '.*' });
    const here = await gateway.connect();
    await (await here.createChannel()).assertQueue('q');
    const there = await connect(`${gateway.url}/other`);
    const channel = await there.createChannel();
    channel.on('error', () => {});
    await expect(channel.checkQueue('q')).rejects.toThrow("NOT_FOUND - no queue 'q' in vhost 'other'");
    await there.close();
  });
});
