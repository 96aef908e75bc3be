import { connect } from 'amqplib';
import { expect, it } from 'vitest';
import { PROTOCOL_HEADER } from '../../../src/amqp-codec/index.js';
import type { RawClient } from '../../support/amqp-raw-client.js';
import { GUEST } from '../../support/amqp-raw-client.js';
import { impersonator, stranger } from './accounts.js';
import { rawConnection } from './app.js';
import type { Server } from './server.js';
import { onEachServer } from './server.js';

const AMQP_0_9 = Buffer.from('AMQP\x01\x01\x00\x09', 'latin1');

onEachServer('the greeting', (server) => {
  it.each([
    ['AMQP 0-9-1', PROTOCOL_HEADER],
    ['AMQP 0-9', AMQP_0_9],
  ])('for the protocol header of %s is connection.start of version 0-9', async (_, header) => {
    const client = await greet(server, header);
    const start = await client.expect('connection.start');
    expect(start).toMatchObject({ channel: 0, versionMajor: 0, versionMinor: 9 });
    expect(start.locales.toString().split(' ')).toEqual(['en_US']);
    expect(start.mechanisms.toString().split(' ')).toEqual(expect.arrayContaining(['PLAIN', 'AMQPLAIN']));
  });

  it('names product and version as texts, and the capabilities that clients look for', async () => {
    const client = await greet(server);
    const { serverProperties } = await client.expect('connection.start');
    for (const name of ['product', 'version', 'platform', 'copyright', 'information', 'cluster_name']) {
      expect(serverProperties[name], name).toEqual(expect.any(String));
    }
    expect(serverProperties.capabilities).toEqual({
      publisher_confirms: true,
      exchange_exchange_bindings: true,
      'basic.nack': true,
      consumer_cancel_notify: true,
      'connection.blocked': true,
      consumer_priorities: true,
      authentication_failure_close: true,
      per_consumer_qos: true,
      direct_reply_to: true,
    });
  });

  it.each([
    ['AMQP 0-10', 'AMQP\x01\x01\x00\x0a'],
    ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01'],
    ['HTTP', 'GET / HTTP/1.1\r\n\r\n'],
  ])('for %s is the header of AMQP 0-9-1, and then nothing', async (_, header) => {
    const client = await rawConnection(server);
    client.send(Buffer.from(header, 'latin1'));
    expect(await client.next()).toEqual({ type: 'octets', payload: PROTOCOL_HEADER });
    await client.ended();
  });
});

onEachServer('a client of AMQP 0-8', (server) => {
  it('is as welcome as the server says', async () => {
    const client = await rawConnection(server);
    client.send(Buffer.from('AMQP\x01\x01\x08\x00', 'latin1'));
    const answer = (await client.next()) as { readonly payload: Buffer };
    const start = Buffer.from([1, 0, 0]); // a method frame on channel 0
    const answers = { RabbitMQ: start, 'the node': PROTOCOL_HEADER.subarray(0, 3) };
    expect(answer.payload.subarray(0, 3)).toEqual(server.expected('AMQP 0-8', answers));
  });
});

onEachServer('a login', (server) => {
  it('with PLAIN is followed by connection.tune, then open-ok', async () => {
    const client = await greeted(server);
    client.startOk([]);
    expect(await client.expect('connection.tune')).toMatchObject({
      channelMax: 2047,
      frameMax: 131_072,
      heartbeat: 60,
    });
    client.tuneOk();
    client.sendMethod(0, 'connection.open');
    await client.expect('connection.open-ok');
  });

  it('with AMQPLAIN is taken: a field table without its length', async () => {
    const client = await greeted(server);
    client.startOk([], amqplain('guest', 'guest'), 'AMQPLAIN');
    await client.expect('connection.tune');
  });

  it('with a wrong password is refused with 403 where the client knows the capability', async () => {
    const client = await greeted(server);
    client.startOk(['authentication_failure_close'], Buffer.from('\0guest\0wrong'));
    expect(await client.expect('connection.close')).toMatchObject({
      replyCode: 403,
      replyText:
        'ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the broker logfile.',
      classId: 0,
      methodId: 0,
    });
    client.sendMethod(0, 'connection.close-ok');
    await client.ended();
  });

  it('with a wrong password ends the connection of a client without the capability', async () => {
    const client = await greeted(server);
    client.startOk([], Buffer.from('\0guest\0wrong'));
    expect((await client.next()).type).toBe('end');
  });

  it('of an unknown user is refused as one with a wrong password', async () => {
    const client = await greeted(server);
    client.startOk(['authentication_failure_close'], amqplain('no such user', 'guest'), 'AMQPLAIN');
    expect(await client.expect('connection.close')).toMatchObject({
      replyCode: 403,
      replyText:
        'ACCESS_REFUSED - Login was refused using authentication mechanism AMQPLAIN. For details see the broker logfile.',
    });
  });

  it('that cannot be understood is refused', async () => {
    const refusals = await Promise.all([
      refusalBefore(server, (client) => client.startOk([], GUEST, 'KERBEROS_V4')),
      refusalBefore(server, (client) => client.startOk([], Buffer.from('guest'))),
      refusalBefore(server, (client) => client.startOk([], Buffer.from('guest'), 'AMQPLAIN')),
    ]);
    expect(refusals).toEqual(['silence', 'silence', 'silence']);
  });

  it('of a second user works at the same time', async () => {
    const connection = await connect(server.url(impersonator));
    await connection.close();
  });
});

onEachServer('tuning', (server) => {
  it('refuses values that were not offered', async () => {
    const values = [{ frameMax: 4095 }, { frameMax: 131_073 }, { channelMax: 2048 }];
    const refusals = await Promise.all(
      values.map((value) =>
        refusalBefore(server, async (client) => {
          client.startOk([]);
          await client.expect('connection.tune');
          client.tuneOk(value);
          client.sendMethod(0, 'connection.open');
        }),
      ),
    );
    const silence = ['silence', 'silence', 'silence'];
    const codes = { RabbitMQ: silence, 'the node': ['530', '530', '530'] };
    expect(refusals).toEqual(server.expected('reasons before connection.open', codes));
  });

  it('with a frame-max or channel-max of 0 sets no limit of the client', async () => {
    const answers = [{ frameMax: 0 }, { channelMax: 0 }].map(async (value) => {
      const client = await authenticated(server);
      client.tuneOk(value);
      client.sendMethod(0, 'connection.open');
      return client.next();
    });
    const expected = {
      RabbitMQ: { type: 'end' },
      'the node': { type: 'method', name: 'connection.open-ok' },
    };
    for (const answer of await Promise.all(answers)) {
      expect(answer).toMatchObject(server.expected('no limit of the client', expected));
    }
  });

  it.each([
    ['the smallest frames', { frameMax: 4096 }],
    ['a single channel', { channelMax: 1 }],
    ['no heartbeats', { heartbeat: 0 }],
    ['a longer heartbeat than offered', { heartbeat: 600 }],
  ])('takes %s', async (_, values) => {
    const client = await authenticated(server);
    client.tuneOk(values);
    client.sendMethod(0, 'connection.open');
    await client.expect('connection.open-ok');
  });

  it('with a heartbeat of a second brings one, on channel 0', async () => {
    const client = await authenticated(server);
    client.tuneOk({ heartbeat: 1 });
    client.sendMethod(0, 'connection.open');
    await client.expect('connection.open-ok');
    expect(await client.next()).toMatchObject({ type: 'heartbeat', channel: 0 });
  });
});

onEachServer('connection.open', (server) => {
  it('of a virtual host that is not there is refused with 530', async () => {
    const client = await tuned(server);
    client.sendMethod(0, 'connection.open', { virtualHost: 'no such host' });
    expect(await client.expect('connection.close')).toMatchObject({
      replyCode: 530,
      replyText: 'NOT_ALLOWED - vhost no such host not found',
      classId: 10,
      methodId: 40,
    });
  });

  it('of a virtual host without any permission is refused with 530', async () => {
    const client = await greeted(server);
    client.startOk([], Buffer.from(`\0${stranger.name}\0${stranger.password}`));
    await client.expect('connection.tune');
    client.tuneOk();
    client.sendMethod(0, 'connection.open');
    expect(await client.expect('connection.close')).toMatchObject({
      replyCode: 530,
      replyText: "NOT_ALLOWED - access to vhost '/' refused for user 'stranger'",
    });
  });
});

onEachServer('a connection', (server) => {
  it('takes a new secret', async () => {
    const client = await opened(server);
    client.sendMethod(0, 'connection.update-secret', { newSecret: Buffer.from('guest'), reason: 'expired' });
    await client.expect('connection.update-secret-ok');
  });

  it('is closed by the client after what was asked for before', async () => {
    const client = await opened(server);
    client.sendMethod(1, 'channel.open');
    client.sendMethod(0, 'connection.close');
    await client.expect('channel.open-ok');
    await client.expect('connection.close-ok');
  });

  it('that is being closed by the server takes no notice of anything but close', async () => {
    const client = await opened(server);
    client.sendMethod(1, 'basic.qos');
    expect(await client.expect('connection.close')).toMatchObject({ replyCode: 504 });
    client.sendMethod(2, 'channel.open');
    client.sendMethod(0, 'connection.close');
    await client.expect('connection.close-ok');
  });
});

/** What a refusal before connection.open says: a reply code, or nothing, which some keep up for seconds. */
async function refusalBefore(server: Server, attempt: (client: RawClient) => unknown): Promise<string> {
  const client = await greeted(server);
  await attempt(client);
  const next = await client.next();
  if (next.type === 'end') return 'silence';
  if (next.type === 'method' && next.name === 'connection.close') return String(next.arguments.replyCode);
  throw new Error(`neither refused nor closed: ${next.type}`);
}

async function greet(server: Server, header: Buffer = PROTOCOL_HEADER): Promise<RawClient> {
  const client = await rawConnection(server);
  client.expectFrames();
  client.send(header);
  return client;
}

async function greeted(server: Server): Promise<RawClient> {
  const client = await greet(server);
  await client.expect('connection.start');
  return client;
}

async function authenticated(server: Server): Promise<RawClient> {
  const client = await greeted(server);
  client.startOk([]);
  await client.expect('connection.tune');
  return client;
}

async function tuned(server: Server): Promise<RawClient> {
  const client = await authenticated(server);
  client.tuneOk();
  return client;
}

async function opened(server: Server): Promise<RawClient> {
  const client = await tuned(server);
  client.sendMethod(0, 'connection.open');
  await client.expect('connection.open-ok');
  return client;
}

function amqplain(login: string, password: string): Buffer {
  const entry = (name: string, value: string) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(Buffer.byteLength(value));
    return [Buffer.from([name.length]), Buffer.from(`${name}S`), length, Buffer.from(value)];
  };
  return Buffer.concat([...entry('LOGIN', login), ...entry('PASSWORD', password)]);
}
