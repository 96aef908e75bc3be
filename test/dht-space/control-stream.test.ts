import { describe, expect, it } from 'vitest';
import { ControlStream } from '../../src/dht-space/control-stream.js';
import { CONTROL_BACKLOG_BYTES, MAX_CONTROL_BYTES } from '../../src/dht-space/limits.js';
import { Control } from '../../src/dht-space/wire/control.js';
import { eventually } from '../support/eventually.js';
import { Random, seed } from '../support/random.js';
import { FakeStream } from './fake-stream.js';

/** A control stream and what it said, started on a stream without a network. */
function open(): { stream: FakeStream; control: ControlStream; messages: Control[]; ends: string[] } {
  const stream = new FakeStream();
  const control = new ControlStream(stream);
  const messages: Control[] = [];
  const ends: string[] = [];
  control.onMessage = (message) => messages.push(message);
  control.onEnd = (cause) => ends.push(cause.message);
  control.start();
  return { stream, control, messages, ends };
}

const ping = (nonce: number): Control => ({ ping: { nonce } });

/** As the .proto file says, without the product: a varint, then the protobuf. */
function framed(body: Uint8Array): Buffer {
  const prefix: number[] = [];
  let rest = body.length;
  for (; rest > 0x7f; rest >>>= 7) prefix.push((rest & 0x7f) | 0x80);
  return Buffer.concat([Buffer.from([...prefix, rest]), body]);
}

describe('a control stream', () => {
  it('sends what is sent in one turn as one write, each message behind its length', async () => {
    const { stream, control } = open();
    control.send(ping(5));
    control.send({ goodbye: { reason: 'x'.repeat(200) } });
    await eventually(() => stream.sent.length > 0);
    // Field 10 with 2 octets: field 1 is 5. Field 12 with 203 octets: field 1 has 200.
    const expected = Buffer.concat([
      Buffer.from('045202', 'hex'),
      Buffer.from('0805', 'hex'),
      Buffer.from('ce0162cb010ac801', 'hex'),
      Buffer.alloc(200, 'x'),
    ]);
    expect(stream.sent.map((bytes) => bytes.toString('hex'))).toEqual([expected.toString('hex')]);
  });

  it('reads the same messages whatever two or three pieces they come in', () => {
    const wanted = [ping(1), { goodbye: { reason: 'é'.repeat(70) } }, {}, ping(0), ping(2 ** 32 - 1)];
    const bytes = Buffer.concat(wanted.map((message) => framed(Control.encode(message))));
    for (let first = 0; first <= bytes.length; first += 1) {
      for (let second = first; second <= bytes.length; second += 7) {
        const { stream, messages, ends } = open();
        stream.arrive(bytes.subarray(0, first));
        stream.arrive(bytes.subarray(first, second), bytes.subarray(second));
        if (messages.length !== wanted.length || ends.length > 0)
          expect.fail(`cut at ${first} and ${second}`);
        expect(messages).toEqual(wanted);
      }
    }
  });

  it('skips fields that it does not know, in every wire type', () => {
    const { stream, messages, ends } = open();
    const unknown = Buffer.from('f80105' + 'fa0103616263' + 'fd0101020304' + 'f9010102030405060708', 'hex');
    const known = Control.encode(ping(7));
    stream.arrive(framed(Buffer.concat([unknown, known, unknown])), framed(unknown));
    expect([messages, ends]).toEqual([[ping(7), {}], []]);
  });

  it.each([
    [
      'a length above the limit',
      framed(Buffer.alloc(MAX_CONTROL_BYTES + 1)).subarray(0, 10),
      /1048577 bytes/,
    ],
    ['a length that never ends', Buffer.alloc(5, 0xff), /not a varint/],
    ['a body that is no protobuf', framed(Buffer.from('ffffffffff', 'hex')), /./],
    ['a field longer than the message', framed(Buffer.from('520a08', 'hex')), /./],
    ['a group that never ends', framed(Buffer.from('fb01', 'hex')), /./],
    ['groups nested a million deep', framed(Buffer.alloc(1_000_000, 'fb01', 'hex')), /./],
    [
      'more versions than anybody speaks',
      framed(Buffer.concat([Buffer.from('0a22', 'hex'), Buffer.alloc(34, '0801', 'hex')])),
      /too many/,
    ],
  ])('ends with %s', (_, bytes, text) => {
    const { stream, messages, ends } = open();
    stream.arrive(bytes);
    stream.arrive(framed(Control.encode(ping(1))));
    expect(messages).toEqual([]);
    expect(ends).toHaveLength(1);
    expect(ends[0]).toMatch(text);
    expect(stream.status).toBe('aborted');
  });

  it('ends with what the handler throws, and hands over nothing after that', () => {
    const { stream, control, messages, ends } = open();
    control.onMessage = (message) => {
      messages.push(message);
      throw new Error('no such thing');
    };
    stream.arrive(framed(Control.encode(ping(1))), framed(Control.encode(ping(2))));
    expect([messages, ends]).toEqual([[ping(1)], ['no such thing']]);
  });

  it('ends once, whatever comes first and after', () => {
    const causes: readonly [string, (stream: FakeStream, control: ControlStream) => void][] = [
      ['The stream has been reset', (stream) => stream.reset()],
      ['closed by the other side', (stream) => stream.half()],
      ['why not', (_, control) => control.abort(new Error('why not'))],
    ];
    for (const [text, cause] of causes) {
      const { stream, control, ends } = open();
      cause(stream, control);
      control.abort(new Error('again'));
      stream.reset();
      expect(ends).toEqual([text]);
    }
  });

  it('ends at once on a stream that is closed already', () => {
    const stream = new FakeStream();
    stream.reset();
    const ends: string[] = [];
    const control = new ControlStream(stream);
    control.onEnd = (cause) => ends.push(cause.message);
    control.start();
    control.send(ping(1));
    expect(ends).toEqual(['closed']);
  });

  it('ends when the connection breaks under a write, instead of throwing at whoever happens to send', async () => {
    const { stream, control, ends } = open();
    stream.broken = new Error('EPIPE');
    control.send(ping(1));
    await eventually(() => expect(ends).toEqual(['EPIPE']));
    control.send(ping(2));
  });

  it('ends when a number cannot be written, instead of throwing at whoever happens to send', () => {
    const { control, ends } = open();
    control.send({ progress: { consumed: 2 ** 60, limit: 0 } });
    control.send(ping(1));
    expect(ends).toEqual(['Could not encode varint']);
  });

  it('ends when the other side reads nothing for too many messages', async () => {
    const { stream, control, ends } = open();
    stream.windowBytes = 1000;
    const message = { goodbye: { reason: 'x'.repeat(MAX_CONTROL_BYTES - 100) } };
    for (let sent = 0; sent <= CONTROL_BACKLOG_BYTES && ends.length === 0; sent += MAX_CONTROL_BYTES) {
      control.send(message);
      await Promise.resolve();
    }
    control.send(message);
    await eventually(() => expect(ends).toHaveLength(1));
    expect(ends[0]).toContain('were not read');
  });

  it(`takes mutated messages or ends, and never throws (SEED=${seed})`, () => {
    const random = new Random(seed);
    const valid = [
      {
        hello: {
          versions: [1],
          capabilities: ['a'],
          epoch: 1n,
          name: 'n',
          link: 2n,
          knownLink: 3n,
          consumed: 4,
          credit: 5,
          session: 6,
        },
      },
      {
        members: {
          spaceId: Buffer.alloc(32),
          records: [Buffer.alloc(50)],
          digest: [{ peer: 'p', epoch: 1n, sequence: 2 }],
          wanted: ['w'],
        },
      },
      {
        interest: {
          number: 1,
          id: 2,
          snapshot: true,
          added: [{ routingKey: 'a.#', arguments: '{}', token: Buffer.alloc(32), everything: true }],
          removed: [],
          digest: 1n,
        },
      },
      { progress: { consumed: 1, limit: 2 ** 40 } },
    ].map((message) => framed(Control.encode(message)));
    let ended = 0;
    for (let round = 0; round < 5000; round += 1) {
      const bytes = Buffer.concat([random.pick(valid), random.pick(valid)]);
      for (let i = 0; i <= random.int(4); i += 1) bytes[random.int(bytes.length)] = random.int(256);
      const { stream, ends } = open();
      stream.arrive(bytes.subarray(0, random.int(bytes.length)));
      stream.arrive(bytes);
      ended += ends.length;
    }
    expect(ended).toBeGreaterThan(500);
    expect(ended).toBeLessThan(5000);
  });
});
