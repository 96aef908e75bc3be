import { afterEach, describe, expect, it, vi } from 'vitest';
import { PROTOCOL_HEADER } from '../../src/amqp-codec/index.js';
import { HANDSHAKE_TIMEOUT_MS } from '../../src/amqp-gateway/limits.js';
import { startGateway } from '../support/amqp-gateway.js';
import { frame, GUEST, methodFrame } from '../support/amqp-raw-client.js';
import { eventually } from '../support/eventually.js';

describe('the handshake', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it('tells in connection.start who serves, where its overlay listens, and what it can do', async () => {
    const { connect: connectClient } = await startGateway();
    const { connection } = await connectClient();
    expect(connection.serverProperties).toMatchObject({
      product: 'RabbitMQ',
      version: '3.10.8',
      xspace_version: '1.2.3',
      overlay_addresses: ['/ip4/127.0.0.1/tcp/4672'],
      capabilities: {
        publisher_confirms: true,
        exchange_exchange_bindings: true,
        'basic.nack': true,
        consumer_cancel_notify: true,
        'connection.blocked': true,
        consumer_priorities: true,
        authentication_failure_close: true,
        per_consumer_qos: true,
        direct_reply_to: true,
      },
    });
  });

  it.each([
    ['AMQP 0-9-1', PROTOCOL_HEADER],
    ['AMQP 0-9', Buffer.from('AMQP\x01\x01\x00\x09', 'latin1')],
  ])('serves a client that opens with %s', async (_, header) => {
    const client = await (await startGateway()).raw();
    client.expectFrames();
    client.send(header);
    const start = await client.expect('connection.start');
    expect(start).toMatchObject({
      versionMajor: 0,
      versionMinor: 9,
      mechanisms: 'PLAIN AMQPLAIN',
      locales: 'en_US',
    });
  });

  it.each([
    'AMQP\x00\x01\x00\x00',
    'AMQP\x01\x01\x08\x00',
    'GET / HTTP/1.1\r\n\r\n',
    '\x16\x03\x01\x00\xff\x01\x00\x00',
  ])('answers %j with the header of AMQP 0-9-1 and closes', async (header) => {
    const client = await (await startGateway()).raw();
    client.send(Buffer.from(header, 'latin1'));
    expect(await client.next()).toEqual({ type: 'octets', payload: PROTOCOL_HEADER });
    expect(await client.next()).toEqual({ type: 'end' });
  });

  it('takes the protocol header and frames octet by octet', async () => {
    const client = await (await startGateway()).raw();
    client.expectFrames();
    const startOk = { clientProperties: {}, mechanism: 'PLAIN', response: GUEST };
    for (const octet of PROTOCOL_HEADER) client.socket.write(Buffer.from([octet]));
    await client.expect('connection.start');
    for (const octet of methodFrame(0, 'connection.start-ok', startOk))
      client.socket.write(Buffer.from([octet]));
    await client.expect('connection.tune');
  });

  it('takes everything that a client sends ahead in one piece, and goes on with it', async () => {
    const client = await (await startGateway()).raw();
    client.expectFrames();
    client.send(
      PROTOCOL_HEADER,
      methodFrame(0, 'connection.start-ok', {
        clientProperties: {},
        mechanism: 'PLAIN',
        response: GUEST,
      }),
      methodFrame(0, 'connection.tune-ok', { channelMax: 0, frameMax: 0, heartbeat: 0 }),
      methodFrame(0, 'connection.open'),
      methodFrame(7, 'channel.open'),
      methodFrame(7, 'queue.declare', { exclusive: true }),
    );
    await client.expect('connection.start');
    await client.expect('connection.tune');
    await client.expect('connection.open-ok');
    expect(await client.expect('channel.open-ok')).toMatchObject({ channel: 7 });
    expect(await client.expect('queue.declare-ok')).toMatchObject({ channel: 7 });
  });

  describe('tuning', () => {
    async function tuned(tuning: { frameMax?: number; channelMax?: number; heartbeat?: number }) {
      const client = await (await startGateway()).raw();
      client.expectFrames();
      client.send(PROTOCOL_HEADER);
      await client.expect('connection.start');
      client.startOk([]);
      expect(await client.expect('connection.tune')).toMatchObject({
        channelMax: 2047,
        frameMax: 131_072,
        heartbeat: 60,
      });
      client.tuneOk(tuning);
      client.sendMethod(0, 'connection.open');
      return client;
    }

    it.each([
      { frameMax: 0, channelMax: 0, heartbeat: 0 },
      { frameMax: 4096, channelMax: 1, heartbeat: 1 },
      { frameMax: 131_072, channelMax: 2047, heartbeat: 65_535 },
    ])('agrees to $frameMax, $channelMax and $heartbeat', async (tuning) => {
      const client = await tuned(tuning);
      await client.expect('connection.open-ok');
    });

    it.each([
      [{ frameMax: 4095 }, 'negotiated frame_max = 4095 is lower than the minimum allowed value (4096)'],
      [
        { frameMax: 131_073 },
        'negotiated frame_max = 131073 is higher than the maximum allowed value (131072)',
      ],
      [{ channelMax: 2048 }, 'negotiated channel_max = 2048 is higher than the maximum allowed value (2047)'],
    ])('refuses %j', async (tuning, text) => {
      const client = await tuned(tuning);
      const close = await client.expect('connection.close');
      expect(close).toMatchObject({ replyCode: 530, replyText: `NOT_ALLOWED - ${text}` });
      expect(await client.next()).toEqual({ type: 'end' });
    });
  });

  it('refuses a virtual host that is not there with NOT_ALLOWED', async () => {
    const client = await (await startGateway()).raw();
    client.expectFrames();
    client.send(PROTOCOL_HEADER);
    await client.expect('connection.start');
    client.startOk([]);
    await client.expect('connection.tune');
    client.tuneOk();
    client.sendMethod(0, 'connection.open', { virtualHost: 'elsewhere' });
    const close = await client.expect('connection.close');
    expect(close).toMatchObject({ replyCode: 530, replyText: 'NOT_ALLOWED - vhost elsewhere not found' });
    expect(await client.next()).toEqual({ type: 'end' });
  });

  it.each([
    [
      'another method',
      methodFrame(0, 'connection.open'),
      {
        replyCode: 504,
        replyText: 'CHANNEL_ERROR - unexpected method in connection state starting',
        methodId: 40,
      },
    ],
    [
      'a method on another channel',
      methodFrame(1, 'channel.open'),
      { replyCode: 505, replyText: 'UNEXPECTED_FRAME - type 1, all octets = <<0,20,0,10,0>>', methodId: 0 },
    ],
    ['a content header', frame(2, 0, Buffer.alloc(14)), { replyCode: 505, methodId: 0 }],
    ['a method that is none', frame(1, 0, Buffer.from([0, 10, 0, 99])), { replyCode: 503 }],
    [
      'arguments that are none',
      frame(1, 0, Buffer.from([0, 10, 0, 11, 0, 0, 0, 9])),
      { replyCode: 501, replyText: 'FRAME_ERROR - cannot decode <<0,0,0,9>>', classId: 10, methodId: 11 },
    ],
    [
      'an unknown frame type',
      frame(9, 0, Buffer.alloc(0)),
      { replyCode: 501, replyText: 'FRAME_ERROR - type 9, all octets = <<>>: unknown_frame' },
    ],
    ['a heartbeat with a payload', frame(8, 0, Buffer.from('x')), { replyCode: 501 }],
    ['a frame that is too large', Buffer.from([1, 0, 0, 0x7f, 0, 0, 0]), { replyCode: 501 }],
  ])('ends with the code of RabbitMQ where %s comes instead of start-ok', async (_, octets, expected) => {
    const { raw, connect: connectClient } = await startGateway();
    const client = await raw();
    client.expectFrames();
    client.send(PROTOCOL_HEADER);
    await client.expect('connection.start');
    client.send(octets);
    expect(await client.expect('connection.close')).toMatchObject({ ...expected, channel: 0 });
    expect(await client.next()).toEqual({ type: 'end' });
    await connectClient();
  });

  it('passes over heartbeats', async () => {
    const client = await (await startGateway()).raw();
    client.expectFrames();
    client.send(PROTOCOL_HEADER, frame(8, 0, Buffer.alloc(0)));
    await client.expect('connection.start');
    client.startOk([]);
    await client.expect('connection.tune');
  });

  it('is over without harm when the client leaves, politely or not, at any step', async () => {
    const { raw, gateway, log } = await startGateway();
    const steps = [
      PROTOCOL_HEADER.subarray(0, 5),
      PROTOCOL_HEADER,
      Buffer.concat([PROTOCOL_HEADER, Buffer.from([1, 0])]),
    ];
    for (const octets of steps) {
      const client = await raw();
      client.send(octets);
      client.socket.end();
      await client.ended();
    }
    const polite = await raw();
    polite.expectFrames();
    polite.send(PROTOCOL_HEADER);
    await polite.expect('connection.start');
    polite.sendMethod(0, 'connection.close');
    await polite.expect('connection.close-ok');
    await polite.ended();
    expect(gateway.status().connections).toBe(0);
    expect(log).toEqual([]);
  });

  it.each([
    ['says nothing', Buffer.alloc(0)],
    ['stops in its protocol header', PROTOCOL_HEADER.subarray(0, 7)],
    ['stops after its protocol header', PROTOCOL_HEADER],
  ])(`ends after ${HANDSHAKE_TIMEOUT_MS} ms where the client %s`, async (_, octets) => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { raw } = await startGateway();
    const client = await raw();
    client.send(octets);
    await vi.waitFor(() => expect(vi.getTimerCount()).toBeGreaterThan(0));
    vi.advanceTimersByTime(HANDSHAKE_TIMEOUT_MS - 1);
    expect(client.pending().some(({ type }) => type === 'end')).toBe(false);
    vi.advanceTimersByTime(1);
    vi.useRealTimers();
    await client.ended();
  });

  it('leaves nothing running for a client that has been served', async () => {
    const { connect: connectClient, gateway } = await startGateway();
    const client = await connectClient();
    expect(gateway.status()).toMatchObject({ connections: 1, channels: 0 });
    await client.createChannel();
    expect(gateway.status()).toMatchObject({ connections: 1, channels: 1 });
    await client.close();
    await eventually(() => expect(gateway.status()).toMatchObject({ connections: 0, channels: 0 }));
  });
});
