import { describe, expect, it } from 'vitest';
import {
  CREDIT_WINDOW_BYTES,
  MAX_CONTENT_BYTES,
  OUTBOX_LIMIT_BYTES,
  OUTBOX_RELIEF_BYTES,
  STALL_LIMIT_MS,
} from '../../src/dht-space/limits.js';
import { SpaceError } from '../../src/overlay/index.js';
import { outgoing } from '../overlay/messages.js';
import { eventually } from '../support/eventually.js';
import type { SpaceNode } from './space-node.js';
import { Clock, startMesh } from './space-node.js';

const KIB = 1024;
const MIB = 1024 * KIB;

/** A text of so many octets that begins with a number. */
function numbered(number: number, bytes: number): string {
  return `${number} `.padEnd(bytes, 'x');
}

function numbersOf(node: SpaceNode): number[] {
  return node.received.map((text) => Number.parseInt(text, 10));
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

async function isResolved(promise: Promise<void>): Promise<boolean> {
  return Promise.race([
    promise.then(() => true),
    new Promise<boolean>((resolve) => setImmediate(() => resolve(false))),
  ]);
}

describe('a node whose memory is high', () => {
  it('grants no more credit, so that its sender keeps the messages, and takes them all when memory is low', async () => {
    const [sender, receiver] = (await startMesh(2)) as [SpaceNode, SpaceNode];
    receiver.memory.high = true;
    const [count, size] = [400, 10_000];
    for (const number of range(0, count)) expect(sender.publish(numbered(number, size))).toBeUndefined();
    await eventually(() =>
      expect(receiver.received.length * size).toBeGreaterThan(CREDIT_WINDOW_BYTES - 2 * size),
    );
    // Nothing more comes: what is granted is used up, and all else waits.
    await eventually(() => {
      const { outboxBytes = 0 } = sender.statusOf(receiver) ?? {};
      expect(outboxBytes + receiver.received.length * size).toBeGreaterThan(count * size);
      expect(outboxBytes).toBeLessThan((count - receiver.received.length + 1) * (size + 100));
    });
    expect(receiver.received.length * size).toBeLessThan(CREDIT_WINDOW_BYTES + size);
    expect(sender.memory.bytes).toBe(sender.statusOf(receiver)?.outboxBytes);
    receiver.memory.high = false;
    await eventually(() => expect(receiver.received).toHaveLength(count));
    expect(numbersOf(receiver)).toEqual(range(0, count));
    await eventually(() =>
      expect([sender.statusOf(receiver)?.outboxBytes, sender.memory.bytes]).toEqual([0, 0]),
    );
  });

  it('gives a new link no credit at first, and some when memory is low', async () => {
    const [sender, receiver] = (await startMesh(2)) as [SpaceNode, SpaceNode];
    receiver.memory.high = true;
    await receiver.breakConnections();
    sender.publish('waits');
    await eventually(() => expect(sender.log.about('linked').length).toBeGreaterThan(1));
    await eventually(() => expect(sender.statusOf(receiver)?.linked).toBe(true));
    expect(receiver.received).toEqual([]);
    receiver.memory.high = false;
    await eventually(() => expect(receiver.received).toEqual(['waits']));
  });
});

describe('a publisher', () => {
  it('is asked to pause when an outbox is full, until that has come down', async () => {
    const [sender, receiver] = (await startMesh(2)) as [SpaceNode, SpaceNode];
    receiver.memory.high = true;
    let pause: Promise<void> | undefined;
    let count = 0;
    while (pause === undefined) pause = sender.publish(numbered(count++, 256 * KIB));
    const { outboxBytes = 0 } = sender.statusOf(receiver) ?? {};
    expect(outboxBytes).toBeGreaterThanOrEqual(OUTBOX_LIMIT_BYTES);
    expect(outboxBytes).toBeLessThan(OUTBOX_LIMIT_BYTES + MIB);
    expect(await isResolved(pause)).toBe(false);
    receiver.memory.high = false;
    await pause;
    expect(sender.statusOf(receiver)?.outboxBytes).toBeLessThanOrEqual(OUTBOX_RELIEF_BYTES);
    await eventually(() => expect(receiver.received).toHaveLength(count));
    expect(numbersOf(receiver)).toEqual(range(0, count));
  });

  it('sends messages that are larger than all credit there is', async () => {
    const [sender, receiver] = (await startMesh(2)) as [SpaceNode, SpaceNode];
    const texts = [numbered(0, 16 * MIB), numbered(1, 10), numbered(2, 5 * MIB)];
    for (const text of texts) sender.publish(text);
    await eventually(() =>
      expect(receiver.received.map(({ length }) => length)).toEqual(texts.map(({ length }) => length)),
    );
    expect(numbersOf(receiver)).toEqual([0, 1, 2]);
  });
});

describe('a participant that stalls', () => {
  it('loses its own messages, counted and logged, holds up nobody, and is back when it goes on', async () => {
    const clock = new Clock();
    const [sender, stalled, healthy] = (await startMesh(3, clock)) as [SpaceNode, SpaceNode, SpaceNode];
    stalled.memory.high = true;
    let count = 0;
    let pause: Promise<void> | undefined;
    while (pause === undefined) {
      pause = sender.publish(numbered(count++, 256 * KIB));
      // The healthy one keeps up.
      if (count % 16 === 0) await eventually(() => expect(healthy.received).toHaveLength(count));
    }
    clock.nowMs += STALL_LIMIT_MS - 1;
    expect(await isResolved(pause)).toBe(false);
    clock.nowMs += 1;
    await pause;
    const dropped = sender.statusOf(stalled)?.droppedMessages ?? 0;
    const taken = stalled.received.length;
    // What is on its way, or was sent in vain, is not lost: everything else is.
    expect(dropped).toBeGreaterThan(200);
    expect(taken + dropped).toBeLessThanOrEqual(count);
    expect(
      sender.log.about('has stalled').map(({ level, fields }) => [level, fields.droppedMessages]),
    ).toEqual([['warn', dropped]]);
    expect(sender.publish(numbered(count++, 10)), 'nobody waits for it now').toBeUndefined();
    expect(sender.statusOf(stalled)?.droppedMessages).toBe(dropped + 1);
    await eventually(() => expect(numbersOf(healthy)).toEqual(range(0, count)));
    expect(sender.statusOf(healthy)?.droppedMessages).toBe(0);

    stalled.memory.high = false;
    await eventually(() => expect(sender.log.about('takes messages again')).toHaveLength(1));
    for (const number of range(count, count + 100)) sender.publish(numbered(number, 10));
    await eventually(() => expect(numbersOf(stalled).slice(-100)).toEqual(range(count, count + 100)));
    const before = numbersOf(stalled).slice(0, -100);
    expect(before, 'once, in order, without a gap').toEqual(range(0, before.length));
    expect(before.length + dropped + 1).toBe(count);
  });
});

describe('a message', () => {
  it('that is as large as messages may be arrives, and a larger one is refused and breaks no link', async () => {
    const [sender, receiver] = (await startMesh(2)) as [SpaceNode, SpaceNode];
    const { headerEnd } = outgoing('key');
    // With the longest of routing keys, so that nothing else of a record can be larger.
    const sized = (bytes: number) => outgoing('k'.repeat(255), Buffer.alloc(bytes - headerEnd, 'x'));
    const refused = expect.objectContaining({ name: SpaceError.name, code: 'too-large' });
    expect(() => sender.session.publish(sized(MAX_CONTENT_BYTES + 1))).toThrow(refused);
    sender.session.publish(sized(MAX_CONTENT_BYTES));
    sender.publish('after it');
    await eventually(() => expect(receiver.received).toHaveLength(2));
    expect(receiver.received.map((text) => text.length)).toEqual([MAX_CONTENT_BYTES - headerEnd, 8]);
    expect(sender.session.status()).toMatchObject({ published: 2 });
    expect(sender.statusOf(receiver)).toMatchObject({ sentMessages: 2, droppedMessages: 0 });
  });
});
