import { setImmediate as turn } from 'node:timers/promises';
import '../../src/dht-space/promise-polyfill.js';
import { describe, expect, it } from 'vitest';
import type { InboxSink } from '../../src/dht-space/inbox.js';
import { Inbox } from '../../src/dht-space/inbox.js';
import { OUTBOX_LIMIT_BYTES, OUTBOX_RELIEF_BYTES, STALL_LIMIT_MS } from '../../src/dht-space/limits.js';
import type { LinkSession } from '../../src/dht-space/link-session.js';
import { OutgoingMessages } from '../../src/dht-space/outgoing-messages.js';
import type { Participant } from '../../src/dht-space/participant.js';
import { LogStub } from './log-stub.js';
import { MemoryStub } from './memory-stub.js';
import { contentOf } from './wire-records.js';

const KIB = 1024;

/** Sends to a peer that does only what a test says. */
class Sender {
  nowMs = 1_000_000;
  readonly memory = new MemoryStub();
  readonly log = new LogStub();
  readonly outgoing = new OutgoingMessages('peer', {
    logger: this.log,
    memory: this.memory,
    now: () => this.nowMs,
  });
  readonly to = { spaceId: '07'.repeat(32), name: 'bids', sentMessages: 0 } as Participant;
  /** What came through, as sequences, and names of points. */
  readonly arrived: (number | string)[] = [];
  /** Where each record of it ended. */
  readonly ends: number[] = [];
  #inbox: Inbox | undefined;
  /** Of the message that was published last. */
  sequence = 0;
  writable = true;

  /** A new session; the peer says how far it has come, and how much credit it gives. */
  begin(consumed: number, creditBytes: number): void {
    const offset = this.outgoing.resume(consumed, creditBytes);
    const arrived = (what: number | string): void => {
      this.arrived.push(what);
      this.ends.push(inbox.offset);
    };
    const sink: InboxSink = {
      point: (_, __, name) => arrived(name),
      message: (_, sequence) => arrived(sequence),
    };
    const inbox = new Inbox(sink, offset);
    this.#inbox = inbox;
    this.flush();
  }

  get consumed(): number {
    return this.#inbox?.offset ?? 0;
  }

  flush(): void {
    const inbox = this.#inbox;
    if (inbox === undefined) return;
    const session: Pick<LinkSession, 'writable' | 'send'> = {
      writable: this.writable,
      send: (records) => inbox.parse(records),
    };
    this.outgoing.flush(session as LinkSession);
  }

  publish(bodyBytes: number, point = 1): Promise<void> | undefined {
    this.sequence += 1;
    const content = contentOf('key', Buffer.alloc(14), Buffer.alloc(bodyBytes));
    return this.outgoing.send(point, this.to, this.sequence, content);
  }

  /** Publishes until a promise comes back. */
  fill(): Promise<void> {
    for (;;) {
      const pause = this.publish(512 * KIB);
      this.flush();
      if (pause !== undefined) return pause;
    }
  }

  tick(afterMs: number): void {
    this.nowMs += afterMs;
    this.outgoing.tick(this.nowMs);
  }
}

async function isResolved(promise: Promise<void>): Promise<boolean> {
  let resolved = false;
  void promise.then(() => {
    resolved = true;
  });
  await turn();
  return resolved;
}

describe('messages to a peer', () => {
  it('wait for a session, name their point once, and keep within the credit', () => {
    const sender = new Sender();
    for (let i = 0; i < 5; i += 1) sender.publish(100);
    expect(sender.arrived).toEqual([]);
    sender.begin(0, 1);
    expect(sender.arrived, 'one record may go past the limit').toEqual(['bids']);
    sender.outgoing.progress(sender.consumed, sender.consumed + 150);
    sender.flush();
    expect(sender.arrived).toEqual(['bids', 1, 2]);
    sender.outgoing.progress(sender.consumed, sender.consumed + 10_000);
    sender.flush();
    expect([sender.arrived, sender.to.sentMessages]).toEqual([['bids', 1, 2, 3, 4, 5], 5]);
    expect(() => sender.outgoing.progress(sender.consumed + 1, 0)).toThrow('was acknowledged and no record');
    sender.outgoing.progress(sender.consumed, 0);
    expect([sender.outgoing.heldBytes, sender.memory.bytes]).toEqual([0, 0]);
  });

  it('wait for a stream that takes no more at present', () => {
    const sender = new Sender();
    sender.begin(0, 10_000);
    sender.writable = false;
    sender.publish(100);
    sender.flush();
    expect(sender.arrived).toEqual([]);
    sender.writable = true;
    sender.flush();
    expect(sender.arrived).toEqual(['bids', 1]);
  });

  it('slow publishers down at the limit, all on one promise, until the outbox is down again', async () => {
    const sender = new Sender();
    sender.begin(0, 2 ** 40);
    const pause = sender.fill();
    expect(sender.outgoing.heldBytes).toBeGreaterThanOrEqual(OUTBOX_LIMIT_BYTES);
    expect(sender.memory.bytes).toBe(sender.outgoing.heldBytes);
    expect(sender.publish(1)).toBe(pause);
    for (const end of sender.ends) {
      if (sender.outgoing.heldBytes <= OUTBOX_RELIEF_BYTES) break;
      expect(await isResolved(pause)).toBe(false);
      sender.outgoing.progress(end, 0);
    }
    expect(await isResolved(pause)).toBe(true);
    expect(sender.publish(1)).toBeUndefined();
  });

  it('are dropped, counted and logged, when nothing leaves a full outbox for too long', async () => {
    const sender = new Sender();
    sender.begin(0, KIB);
    const pause = sender.fill();
    const sent = sender.arrived.length - 1;
    sender.tick(STALL_LIMIT_MS - 1);
    expect(await isResolved(pause)).toBe(false);
    sender.tick(1);
    expect(await isResolved(pause)).toBe(true);
    expect(sender.outgoing.droppedMessages).toBe(sender.to.sentMessages - sent);
    expect(sender.log.about('has stalled')[0]?.fields).toMatchObject({
      droppedMessages: sender.outgoing.droppedMessages,
    });
    // What follows is dropped too, and nobody waits.
    const { droppedMessages } = sender.outgoing;
    expect(sender.publish(100)).toBeUndefined();
    expect(sender.outgoing.droppedMessages).toBe(droppedMessages + 1);
    // It goes on: what was sent before arrives, and what comes from now on, under a name that it has heard.
    sender.arrived.length = 0;
    sender.outgoing.progress(sender.consumed, sender.consumed + 10_000);
    sender.publish(100);
    sender.flush();
    expect(sender.arrived).toEqual(['bids', sender.sequence]);
    expect(sender.log.about('takes messages again')).toHaveLength(1);
  });

  it('do not stall while the peer takes some, however slowly', async () => {
    const sender = new Sender();
    sender.begin(0, 1);
    const pause = sender.fill();
    for (let i = 0; i < 10; i += 1) {
      sender.tick(STALL_LIMIT_MS - 1);
      sender.outgoing.progress(sender.consumed, sender.consumed + 1);
      sender.flush();
    }
    expect([await isResolved(pause), sender.outgoing.droppedMessages]).toEqual([false, 0]);
  });

  it('stall at a peer that raises its credit and takes nothing', async () => {
    const sender = new Sender();
    sender.begin(0, 1);
    const pause = sender.fill();
    for (let i = 1; i <= STALL_LIMIT_MS / 1000; i += 1) {
      sender.tick(1000);
      sender.outgoing.progress(0, 1 + i);
    }
    expect(await isResolved(pause)).toBe(true);
    expect(sender.log.about('has stalled')).toHaveLength(1);
  });

  it('flow again in a new session, when nothing is left whose acknowledgement could tell', () => {
    const sender = new Sender();
    sender.begin(0, 0);
    void sender.fill();
    sender.tick(STALL_LIMIT_MS);
    expect(sender.outgoing.heldBytes).toBe(0);
    sender.publish(100);
    sender.begin(0, 10_000);
    sender.publish(100);
    sender.flush();
    expect(sender.arrived).toEqual(['bids', sender.sequence]);
  });

  it('stay stalled over sessions of a peer that takes nothing in any of them', () => {
    const sender = new Sender();
    sender.begin(0, KIB);
    void sender.fill();
    sender.tick(STALL_LIMIT_MS);
    const { droppedMessages } = sender.outgoing;
    sender.begin(0, KIB);
    sender.publish(100);
    expect(sender.outgoing.droppedMessages).toBe(droppedMessages + 1);
    sender.begin(sender.consumed, 10_000);
    sender.publish(100);
    expect(sender.outgoing.droppedMessages).toBe(droppedMessages + 1);
  });

  it('come again after a session broke, from where the peer says that it was', () => {
    const sender = new Sender();
    sender.begin(0, 10_000);
    for (let i = 0; i < 4; i += 1) sender.publish(100);
    sender.flush();
    const all = ['bids', 1, 2, 3, 4];
    expect(sender.arrived).toEqual(all);
    sender.outgoing.progress(41 + 4, 0);
    for (const [consumed, again] of [
      [0, all.slice(1)],
      [sender.consumed, []],
    ] as const) {
      sender.arrived.length = 0;
      sender.begin(consumed, 10_000);
      expect(sender.arrived).toEqual(again);
    }
    expect(() => sender.begin(sender.consumed + 1, 0)).toThrow('was acknowledged and no record');
  });

  it('are given up with the peer, and nobody waits any more', async () => {
    const sender = new Sender();
    sender.begin(0, KIB);
    const pause = sender.fill();
    const emptied = sender.outgoing.emptied();
    sender.outgoing.clear();
    expect([await isResolved(pause), await isResolved(emptied)]).toEqual([true, true]);
    expect([sender.outgoing.heldBytes, sender.memory.bytes]).toEqual([0, 0]);
    expect(sender.log.about('participant is gone')).toHaveLength(1);
    expect(sender.outgoing.droppedMessages).toBe(sender.to.sentMessages);
  });

  it('tell when all was taken in', async () => {
    const sender = new Sender();
    expect(await isResolved(sender.outgoing.emptied())).toBe(true);
    sender.begin(0, 10_000);
    sender.publish(100);
    const emptied = sender.outgoing.emptied();
    expect(sender.outgoing.emptied()).toBe(emptied);
    sender.flush();
    expect(await isResolved(emptied)).toBe(false);
    sender.outgoing.progress(sender.consumed, 0);
    expect(await isResolved(emptied)).toBe(true);
  });
});
