import { expect } from 'vitest';
import type { OutgoingMessage } from '../../../src/overlay/index.js';
import { eventually } from '../../support/eventually.js';
import type { Rule } from '../contract.js';
import { outgoing, pattern } from '../messages.js';
import type { Participant } from './topology.js';
import { newPoint, PATIENCE_MS } from './topology.js';

const all = pattern('#');

/**
 * Has every participant publish a last message and waits until all others have it: what comes before it, has
 * come. After that, whatever is not there does not come any more: links keep the order of each origin.
 */
async function fence(participants: readonly Participant[], key = 'fence'): Promise<void> {
  for (const participant of participants) await participant.publish(outgoing(key, 'fence'));
  for (const { received } of participants) {
    const fences = participants.length - 1;
    await eventually(() => received.bodies.filter((body) => body === 'fence').length >= fences, PATIENCE_MS);
  }
}

function withoutFences({ received }: Participant): string[] {
  return received.bodies.filter((body) => body !== 'fence');
}

/** Messages reach whom they should, once, whole and in order. */
export function trafficRules(rule: Rule): void {
  rule('a publication reaches every other participant once, and not its publisher', async (world) => {
    const participants = await (await world.shared()).joinAll(newPoint());
    for (const { session } of participants) await session.addInterest(all);
    for (const [i, participant] of participants.entries())
      await participant.publish(outgoing('a.b', `from ${i}`));
    await fence(participants);
    expect(participants.map((participant) => withoutFences(participant).sort())).toEqual([
      ['from 1', 'from 2'],
      ['from 0', 'from 2'],
      ['from 0', 'from 1'],
    ]);
  });

  rule('a publication in mesh(5) reaches the four others once', async (world) => {
    const participants = await (await world.mesh(5)).joinAll(newPoint('fanout'));
    for (const { session } of participants) await session.addInterest(pattern(''));
    await participants[2]?.publish(outgoing('', 'once'));
    await fence(participants);
    expect(participants.map(withoutFences)).toEqual([['once'], ['once'], [], ['once'], ['once']]);
  });

  rule('publishing to a point with no other participant is harmless', async (world) => {
    const only = await (await world.shared()).join(0, newPoint());
    await only.session.addInterest(all);
    await only.publish(outgoing('a', 'to nobody'));
    expect(only.session.status()).toMatchObject({
      state: 'joined',
      participants: [],
      published: 1,
      received: 0,
    });
    expect(only.received.bodies).toEqual([]);
  });

  rule(
    'routing key, header and body arrive as published, whatever the buffer is used for afterwards',
    async (world) => {
      const [publisher, subscriber] = await (await world.shared()).joinPair(newPoint());
      await subscriber.session.addInterest(all);
      const routingKeys = ['', 'a', `${'é'.repeat(126)}.z`];
      const bodies = [Buffer.alloc(0), Buffer.from([0, 255, 206]), Buffer.alloc(1_048_576, 'x')];
      const expected = [];
      for (const routingKey of routingKeys) {
        for (const body of bodies) {
          const message = amidOtherBytes(outgoing(routingKey, body));
          const header = Buffer.from(message.bytes.subarray(message.headerStart, message.headerEnd));
          expected.push({ routingKey, header, body });
          const pause = publisher.session.publish(message);
          message.bytes.fill(0xee);
          await pause;
        }
      }
      await eventually(() => subscriber.received.contents.length === expected.length, PATIENCE_MS);
      for (const [i, { routingKey, header, body }] of subscriber.received.contents.entries()) {
        expect(routingKey).toBe(expected[i]?.routingKey);
        expect([
          header.equals(expected[i]?.header as Buffer),
          body.equals(expected[i]?.body as Buffer),
        ]).toEqual([true, true]);
      }
    },
  );

  rule('10,000 messages of each of two publishers arrive once and in the order of each', async (world) => {
    const [subscriber, ...publishers] = await (await world.shared()).joinAll(newPoint());
    if (subscriber === undefined) throw new Error('there are three');
    await subscriber.session.addInterest(all);
    const publishAll = async (participant: Participant, origin: number): Promise<void> => {
      for (let i = 0; i < 10_000; i++) await participant.publish(outgoing(`k.${i % 7}`, `${origin}:${i}`));
    };
    await Promise.all(publishers.map(publishAll));
    await eventually(() => subscriber.received.bodies.length >= 20_000, PATIENCE_MS);
    for (const origin of [0, 1]) {
      const own = subscriber.received.bodies.filter((body) => body.startsWith(`${origin}:`));
      expect(own).toEqual(Array.from({ length: 10_000 }, (_, i) => `${origin}:${i}`));
    }
    expect(subscriber.received.bodies).toHaveLength(20_000);
  });

  rule('two sessions on one node are two participants, and one to other nodes', async (world) => {
    const mesh = await world.shared();
    const point = newPoint();
    const [first, second, remote] = [
      await mesh.join(0, point),
      await mesh.join(0, point),
      await mesh.join(1, point),
    ];
    for (const { session } of [first, second, remote]) await session.addInterest(all);
    await first.publish(outgoing('a', 'from first'));
    await remote.publish(outgoing('a', 'from remote'));
    await fence([first, remote]);
    expect([first, second, remote].map((participant) => withoutFences(participant).sort())).toEqual([
      ['from remote'],
      ['from first', 'from remote'],
      ['from first'],
    ]);
    expect(remote.session.status().participants).toHaveLength(1);
    // 'from remote' and the fence, each once for both sessions.
    expect(remote.sent).toBe(2);
  });

  rule('status counts what was published, received, sent and is linked', async (world) => {
    const [publisher, subscriber] = await (await world.shared()).joinPair(newPoint());
    await subscriber.session.addInterest(all);
    await subscriber.session.addInterest(pattern('a.b'));
    for (let i = 0; i < 3; i++) await publisher.publish(outgoing('a.b', `${i}`));
    await eventually(() => subscriber.received.bodies.length === 3, PATIENCE_MS);
    await eventually(() => publisher.session.status().participants[0]?.outboxBytes === 0, PATIENCE_MS);
    expect(publisher.session.status()).toMatchObject({
      state: 'joined',
      published: 3,
      received: 0,
      participants: [{ linked: true, interest: 2, sentMessages: 3, receivedMessages: 0, droppedMessages: 0 }],
    });
    expect(subscriber.session.status()).toMatchObject({
      state: 'joined',
      published: 0,
      received: 3,
      participants: [{ linked: true, interest: 0, sentMessages: 0, receivedMessages: 3, droppedMessages: 0 }],
    });
  });
}

/** The same message in a buffer that holds other bytes around its parts. */
function amidOtherBytes(message: OutgoingMessage): OutgoingMessage {
  const other = Buffer.from('other bytes');
  const header = message.bytes.subarray(message.headerStart, message.headerEnd);
  const body = message.bytes.subarray(message.bodyStart, message.bodyEnd);
  const headerStart = other.length;
  const bodyStart = headerStart + header.length + other.length;
  return {
    ...message,
    bytes: Buffer.concat([other, header, other, body, other]),
    headerStart,
    headerEnd: headerStart + header.length,
    bodyStart,
    bodyEnd: bodyStart + body.length,
  };
}
