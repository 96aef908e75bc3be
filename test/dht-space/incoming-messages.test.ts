import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { IncomingMessages } from '../../src/dht-space/incoming-messages.js';
import {
  CREDIT_WINDOW_BYTES,
  MAX_RECORD_BYTES,
  PROGRESS_DELAY_MS,
  PROGRESS_STEP_BYTES,
} from '../../src/dht-space/limits.js';
import type { Progress } from '../../src/dht-space/wire/control.js';
import { FakeStream } from './fake-stream.js';
import { messageRecord, preambleBytes, u64 } from './wire-records.js';

const SESSION = 0xfedcba98;
const START = 5000;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A message stream, and the session that owns it once its preamble has come. */
class Receiver {
  readonly stream = new FakeStream('inbound');
  readonly sequences: number[] = [];
  readonly reports: Progress[] = [];
  readonly ends: string[] = [];
  heard = 0;
  mayGrant = true;
  onMessage = (): void => {};
  readonly messages: IncomingMessages;

  constructor(creditBytes = CREDIT_WINDOW_BYTES) {
    this.messages = new IncomingMessages(this.stream, (session) => {
      if (session !== SESSION) return undefined;
      return {
        sink: {
          point: () => {},
          message: (_, sequence) => {
            this.sequences.push(sequence);
            this.onMessage();
          },
        },
        creditBytes,
        heard: () => {
          this.heard += 1;
        },
        mayGrant: () => this.mayGrant,
        report: (progress) => this.reports.push(progress),
        end: (cause) => this.ends.push(cause.message),
      };
    });
  }
}

const recordOf = (sequence: number, bodyBytes: number): Buffer =>
  messageRecord(1, sequence, { routingKey: 'k', header: Buffer.alloc(0), body: Buffer.alloc(bodyBytes) });
const ONE = recordOf(1, 0).length;

describe('a message stream from a peer', () => {
  it('finds its session by the preamble, whatever pieces that comes in', () => {
    const bytes = Buffer.concat([preambleBytes(SESSION, START), recordOf(1, 10), recordOf(2, 0)]);
    for (let cut = 1; cut < bytes.length; cut += 1) {
      const receiver = new Receiver();
      receiver.stream.arrive(bytes.subarray(0, cut));
      expect(receiver.messages.consumed).toBe(
        cut < 12 ? undefined : START + (cut < 12 + ONE + 10 ? 0 : ONE + 10),
      );
      receiver.stream.arrive(bytes.subarray(cut));
      expect([receiver.sequences, receiver.messages.consumed]).toEqual([[1, 2], START + bytes.length - 12]);
    }
  });

  it('takes the pieces of one event in their order', () => {
    const receiver = new Receiver();
    const bytes = Buffer.concat([preambleBytes(SESSION, 0), recordOf(1, 0), recordOf(2, 0)]);
    receiver.stream.arrive(...Array.from(bytes, (_, i) => bytes.subarray(i, i + 1)));
    expect([receiver.sequences, receiver.heard]).toEqual([[1, 2], 1]);
  });

  it('is reset when it belongs to no session', () => {
    const receiver = new Receiver();
    receiver.stream.arrive(preambleBytes(1, 0), recordOf(1, 0));
    expect([receiver.stream.status, receiver.sequences, receiver.ends]).toEqual(['aborted', [], []]);
  });

  it('ends its session with the first thing that is wrong, and takes nothing after that', () => {
    const broken: readonly [string, Buffer][] = [
      ['an empty record', Buffer.concat([preambleBytes(SESSION, 0), Buffer.alloc(4)])],
      ['cannot be', Buffer.concat([preambleBytes(SESSION, 0).subarray(0, 4), Buffer.alloc(8, 0xff)])],
      [
        'unknown kind of record: 9',
        Buffer.concat([preambleBytes(SESSION, 0), Buffer.from('0000000109', 'hex')]),
      ],
    ];
    for (const [text, bytes] of broken) {
      const receiver = new Receiver();
      receiver.stream.arrive(bytes, recordOf(1, 0));
      receiver.stream.arrive(recordOf(2, 0));
      expect(receiver.ends).toHaveLength(1);
      expect(receiver.ends[0]).toContain(text);
      expect(receiver.sequences).toEqual([]);
    }
  });

  it('stops in the middle of an event when the session ends in it', () => {
    const receiver = new Receiver();
    receiver.onMessage = () => receiver.messages.abort(new Error('enough'));
    receiver.stream.arrive(preambleBytes(SESSION, 0));
    receiver.stream.arrive(recordOf(1, 0), recordOf(2, 0));
    expect([receiver.sequences, receiver.ends, vi.getTimerCount()]).toEqual([[1], ['enough'], 0]);
  });

  it('reports a little after a little, at once after a lot, and nothing when there is nothing', () => {
    const receiver = new Receiver();
    receiver.stream.arrive(preambleBytes(SESSION, START));
    vi.advanceTimersByTime(10 * PROGRESS_DELAY_MS);
    expect(receiver.reports).toEqual([]);
    receiver.stream.arrive(recordOf(1, 0));
    vi.advanceTimersByTime(PROGRESS_DELAY_MS - 1);
    expect(receiver.reports).toEqual([]);
    vi.advanceTimersByTime(1);
    const first = START + ONE;
    expect(receiver.reports).toEqual([{ consumed: first, limit: first + CREDIT_WINDOW_BYTES }]);
    receiver.stream.arrive(recordOf(2, PROGRESS_STEP_BYTES));
    const second = first + ONE + PROGRESS_STEP_BYTES;
    expect(receiver.reports.slice(1)).toEqual([{ consumed: second, limit: second + CREDIT_WINDOW_BYTES }]);
    vi.advanceTimersByTime(10 * PROGRESS_DELAY_MS);
    expect(receiver.reports).toHaveLength(2);
  });

  it('reports no half record', () => {
    const receiver = new Receiver();
    receiver.stream.arrive(preambleBytes(SESSION, 0));
    receiver.stream.arrive(recordOf(1, PROGRESS_STEP_BYTES).subarray(0, -1));
    vi.advanceTimersByTime(PROGRESS_DELAY_MS);
    expect(receiver.reports).toEqual([]);
  });

  it('grants no more while memory is high, and again after that', () => {
    const receiver = new Receiver();
    receiver.stream.arrive(preambleBytes(SESSION, 0));
    receiver.mayGrant = false;
    receiver.stream.arrive(recordOf(1, PROGRESS_STEP_BYTES));
    const consumed = ONE + PROGRESS_STEP_BYTES;
    receiver.mayGrant = true;
    receiver.messages.report();
    expect(receiver.reports).toEqual([
      { consumed, limit: CREDIT_WINDOW_BYTES },
      { consumed, limit: consumed + CREDIT_WINDOW_BYTES },
    ]);
  });

  it('grants at once what the greeting could not, when memory has come down meanwhile', () => {
    const receiver = new Receiver(0);
    receiver.stream.arrive(preambleBytes(SESSION, START));
    expect(receiver.reports).toEqual([{ consumed: START, limit: START + CREDIT_WINDOW_BYTES }]);
    const high = new Receiver(0);
    high.mayGrant = false;
    high.stream.arrive(preambleBytes(SESSION, START));
    expect(high.reports).toEqual([]);
  });

  it('may go past its credit by one record, and no further', () => {
    const receiver = new Receiver();
    receiver.mayGrant = false;
    receiver.stream.arrive(preambleBytes(SESSION, 0));
    let sent = 0;
    const send = (bytes: Buffer): void => {
      sent += bytes.length;
      receiver.stream.arrive(bytes);
    };
    while (sent < CREDIT_WINDOW_BYTES + MAX_RECORD_BYTES - 1_000_000) send(recordOf(1, 900_000));
    send(recordOf(1, CREDIT_WINDOW_BYTES + MAX_RECORD_BYTES - sent - ONE));
    expect(receiver.ends).toEqual([]);
    send(recordOf(1, 0));
    expect(receiver.ends).toEqual(['more was sent than there was credit for']);
  });

  it('counts what is not a whole record yet towards the credit', () => {
    const receiver = new Receiver();
    receiver.mayGrant = false;
    receiver.stream.arrive(preambleBytes(SESSION, 0));
    for (let i = 0; i < 17; i += 1) receiver.stream.arrive(recordOf(i, 1_000_000));
    const last = recordOf(1, 10_000_000);
    for (let at = 0; at < last.length && receiver.ends.length === 0; at += 100_000) {
      receiver.stream.arrive(last.subarray(at, at + 100_000));
    }
    expect(receiver.ends).toEqual(['more was sent than there was credit for']);
  });

  it('ends with its stream, and leaves no timer behind', () => {
    const receiver = new Receiver();
    receiver.stream.arrive(preambleBytes(SESSION, 0), recordOf(1, 0));
    expect(vi.getTimerCount()).toBe(1);
    receiver.stream.reset();
    expect([receiver.ends.length, vi.getTimerCount(), receiver.messages.consumed]).toEqual([1, 0, ONE]);
    receiver.messages.report();
    expect(receiver.reports).toEqual([]);
  });

  it('knows no offset that is near what a number cannot hold', () => {
    const receiver = new Receiver();
    receiver.stream.arrive(preambleBytes(SESSION, 0).subarray(0, 4), u64(2 ** 52));
    expect([receiver.messages.consumed, receiver.ends]).toEqual([2 ** 52, []]);
    const beyond = new Receiver();
    beyond.stream.arrive(preambleBytes(SESSION, 0).subarray(0, 4), u64(2 ** 52 + 1));
    expect(beyond.ends).toEqual(['offset 4503599627370497 cannot be']);
  });
});
