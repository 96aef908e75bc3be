import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  CodecError,
  FRAME_BODY,
  FRAME_HEADER,
  FRAME_HEARTBEAT,
  FRAME_METHOD,
  FRAME_OVERHEAD_BYTES,
  FrameParser,
} from '../../src/amqp-codec/index.js';
import { Random, seed } from '../support/random.js';

const MAX_FRAME_BYTES = 4096;
/** As in RabbitMQ, frame-max may be all payload. */
const MAX_PAYLOAD_BYTES = MAX_FRAME_BYTES;

interface Frame {
  readonly type: number;
  readonly channel: number;
  readonly payload: Buffer;
}

function frameOf(type: number, channel: number, payload: Buffer | string): Frame {
  return { type, channel, payload: Buffer.from(payload) };
}

function encoded(frames: readonly Frame[]): Buffer {
  const parts = frames.flatMap(({ type, channel, payload }) => {
    const head = Buffer.alloc(7);
    head.writeUInt8(type, 0);
    head.writeUInt16BE(channel, 1);
    head.writeUInt32BE(payload.length, 3);
    return [head, payload, Buffer.of(0xce)];
  });
  return Buffer.concat(parts);
}

/** A parser, and the frames that it found, kept as copies. */
function parserWithFrames(maxFrameBytes = MAX_FRAME_BYTES) {
  const frames: Frame[] = [];
  const sink = {
    frame: (type: number, channel: number, bytes: Buffer, start: number, end: number) => {
      frames.push(frameOf(type, channel, bytes.subarray(start, end)));
    },
  };
  return { parser: new FrameParser(sink, maxFrameBytes), frames };
}

function parsed(chunks: readonly Buffer[], maxFrameBytes = MAX_FRAME_BYTES): Frame[] {
  const { parser, frames } = parserWithFrames(maxFrameBytes);
  for (const chunk of chunks) parser.parse(chunk);
  return frames;
}

const SEVERAL: readonly Frame[] = [
  frameOf(FRAME_METHOD, 1, 'publish'),
  frameOf(FRAME_HEADER, 1, 'header'),
  frameOf(FRAME_BODY, 1, ''),
  frameOf(FRAME_HEARTBEAT, 0, ''),
  frameOf(FRAME_BODY, 0xffff, Buffer.from([0xce, 0, 0xce, 1, 0, 1, 0, 0, 0, 0, 0xce])),
  frameOf(FRAME_METHOD, 2, 'a'),
];

const refused = (text: string) => expect.objectContaining({ code: 'frame-error', message: text });

afterEach(() => {
  vi.restoreAllMocks();
});

describe('FrameParser', () => {
  it('reads frames as the specification has them', () => {
    const channelCloseOk = Buffer.from('0100020000000400140029ce', 'hex');
    expect(parsed([channelCloseOk])).toEqual([frameOf(FRAME_METHOD, 2, Buffer.from('00140029', 'hex'))]);
    expect(parsed([Buffer.from('08000000000000ce', 'hex')])).toEqual([frameOf(FRAME_HEARTBEAT, 0, '')]);
  });

  it('hands out frames in place, without a copy, where they lie in one chunk', () => {
    const copy = vi.spyOn(Buffer.prototype, 'copy');
    const chunk = encoded(SEVERAL);
    const lent: Buffer[] = [];
    new FrameParser({ frame: (_type, _channel, bytes) => lent.push(bytes) }, MAX_FRAME_BYTES).parse(chunk);
    expect(lent).toHaveLength(SEVERAL.length);
    expect(lent.every((bytes) => bytes === chunk)).toBe(true);
    expect(copy).not.toHaveBeenCalled();
  });

  it('finds the same frames wherever the input is cut in three', () => {
    const bytes = encoded(SEVERAL);
    for (let first = 0; first <= bytes.length; first++) {
      for (let second = first; second <= bytes.length; second++) {
        const chunks = [bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second)];
        expect(parsed(chunks), `cut at ${first} and ${second}`).toEqual(SEVERAL);
      }
    }
  });

  it('finds the same frames when every octet comes alone', () => {
    const bytes = encoded(SEVERAL);
    expect(parsed(Array.from(bytes, (octet) => Buffer.of(octet)))).toEqual(SEVERAL);
  });

  it(`finds the same frames in pieces of any size (SEED=${seed})`, () => {
    const random = new Random(seed);
    const sent = Array.from({ length: 200 }, () => {
      const payload = Buffer.alloc(
        random.pick([0, 1, 100, random.int(MAX_PAYLOAD_BYTES), MAX_PAYLOAD_BYTES]),
      );
      return frameOf(FRAME_BODY, random.int(0x1_0000), payload.fill(random.int(256)));
    });
    const bytes = encoded(sent);
    for (let round = 0; round < 20; round++) {
      const chunks: Buffer[] = [];
      const most = random.pick([3, 50, 5000, 100_000]);
      for (let at = 0; at < bytes.length; ) {
        const end = at + 1 + random.int(most);
        chunks.push(bytes.subarray(at, end));
        at = end;
      }
      expect(encoded(parsed(chunks)).equals(bytes)).toBe(true);
    }
  });

  it('copies each octet of a frame that comes in small pieces a fixed number of times', () => {
    const maxFrameBytes = 4 * 2 ** 20;
    const bytes = encoded([frameOf(FRAME_BODY, 1, Buffer.alloc(maxFrameBytes - FRAME_OVERHEAD_BYTES, 7))]);
    const { parser, frames } = parserWithFrames(maxFrameBytes);
    const copy = vi.spyOn(Buffer.prototype, 'copy');
    for (let at = 0; at < bytes.length; at += 1000) parser.parse(bytes.subarray(at, at + 1000));
    const copiedBytes = copy.mock.results.reduce((sum, { value }) => sum + Number(value), 0);
    copy.mockRestore();
    expect(frames).toHaveLength(1);
    expect(copiedBytes).toBeLessThan(3 * bytes.length);
  });

  it('takes no more memory for a frame than twice of what has arrived, whatever its header announces', () => {
    const allocate = vi.spyOn(Buffer, 'allocUnsafe');
    const maxFrameBytes = 2 ** 30;
    const bytes = encoded([frameOf(FRAME_BODY, 1, Buffer.alloc(100_000))]);
    bytes.writeUInt32BE(maxFrameBytes - FRAME_OVERHEAD_BYTES, 3);
    const { parser } = parserWithFrames(maxFrameBytes);
    parser.parse(bytes.subarray(0, 10));
    expect(allocate.mock.lastCall?.[0]).toBeLessThanOrEqual(4096);
    parser.parse(bytes.subarray(10));
    expect(allocate.mock.lastCall?.[0]).toBeLessThanOrEqual(2 * bytes.length);
  });

  it('accepts a frame of exactly the largest size', () => {
    const largest = [frameOf(FRAME_BODY, 1, Buffer.alloc(MAX_PAYLOAD_BYTES))];
    expect(parsed([encoded(largest)])).toEqual(largest);
  });

  it('refuses a larger frame as soon as its header is there, before any of its payload', () => {
    const head = encoded([frameOf(FRAME_BODY, 1, Buffer.alloc(MAX_PAYLOAD_BYTES + 1))]).subarray(0, 7);
    const text = 'type 3, all octets = <<>>: {frame_too_large,4097,4088}';
    expect(() => parsed([head])).toThrow(refused(text));
    const { parser } = parserWithFrames();
    parser.parse(head.subarray(0, 6));
    expect(() => parser.parse(head.subarray(6))).toThrow(refused(text));
  });

  it('refuses a size that no 32-bit sum could hold', () => {
    expect(() => parsed([Buffer.from('010001ffffffff', 'hex')])).toThrow(CodecError);
  });

  it('applies a limit that was set after the tuning from the next frame on', () => {
    const bytes = encoded([frameOf(FRAME_BODY, 1, Buffer.alloc(100))]);
    const { parser, frames } = parserWithFrames(50);
    parser.maxFrameBytes = 100;
    parser.parse(bytes);
    expect(frames).toHaveLength(1);
    parser.maxFrameBytes = 99;
    expect(() => parser.parse(bytes)).toThrow(refused('type 3, all octets = <<>>: {frame_too_large,100,91}'));
  });

  it('leaves it to others what types there are', () => {
    const frames = [0, 4, 7, 9, 255].map((type) => frameOf(type, 1, 'abc'));
    expect(parsed([encoded(frames)])).toEqual(frames);
  });

  it('refuses a frame without its end octet, after it has handed out those before', () => {
    const bytes = encoded([frameOf(FRAME_BODY, 1, 'good'), frameOf(FRAME_BODY, 1, 'bad')]);
    bytes[bytes.length - 1] = 0xcd;
    for (const cut of [0, 15, bytes.length - 1]) {
      const { parser, frames } = parserWithFrames();
      const parse = () => {
        parser.parse(bytes.subarray(0, cut));
        parser.parse(bytes.subarray(cut));
      };
      expect(parse).toThrow(refused('type 3, all octets = <<"bad">>: {invalid_frame_end_marker,205}'));
      expect(frames).toEqual([frameOf(FRAME_BODY, 1, 'good')]);
    }
  });
});
