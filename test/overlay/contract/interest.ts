import { expect } from 'vitest';
import type { OutgoingMessage, Pattern, PointType } from '../../../src/overlay/index.js';
import { MAX_PATTERNS_PER_PARTICIPANT, SpaceError } from '../../../src/overlay/index.js';
import { eventually } from '../../support/eventually.js';
import type { Rule } from '../contract.js';
import { outgoing, pattern } from '../messages.js';
import { newPoint, PATIENCE_MS } from './topology.js';

/** For each type: a pattern, messages that match it and messages that do not. */
const examples: Record<
  PointType,
  { wanted: Pattern; matching: OutgoingMessage[]; others: OutgoingMessage[] }
> = {
  direct: {
    wanted: pattern('a'),
    matching: [outgoing('a', 'yes')],
    others: [outgoing('b', 'no'), outgoing('', 'no')],
  },
  fanout: { wanted: pattern('a'), matching: [outgoing('a', 'yes'), outgoing('b', 'yes')], others: [] },
  topic: {
    wanted: pattern('*.eur.#'),
    matching: [outgoing('bid.eur', 'yes'), outgoing('ask.eur.100.x', 'yes')],
    others: [outgoing('eur', 'no'), outgoing('bid.usd', 'no'), outgoing('', 'no')],
  },
  headers: {
    wanted: pattern('', { 'x-match': 'any', price: 5n, note: null, raw: Buffer.from('r') }),
    matching: [
      outgoing('a', 'yes', { price: 5 }),
      outgoing('', 'yes', { note: 'x' }),
      outgoing('', 'yes', { raw: new Uint8Array([114]) }),
    ],
    others: [outgoing('a', 'no', { price: 6 }), outgoing('a', 'no')],
  },
};

/** Nobody is sent what nobody there asked for, and who asks for something gets it from then on. */
export function interestRules(rule: Rule): void {
  for (const type of ['direct', 'fanout', 'topic', 'headers'] as const) {
    rule(
      `a participant of a ${type} point is sent what its pattern matches, and nothing else`,
      async (world) => {
        const { wanted, matching, others } = examples[type];
        const [publisher, subscriber] = await (await world.shared()).joinPair(newPoint(type));
        await subscriber.session.addInterest(wanted);
        for (const message of [...others, ...matching]) await publisher.publish(message);
        expect(publisher.sent).toBe(matching.length);
        await eventually(
          () => expect(subscriber.received.bodies).toEqual(matching.map(() => 'yes')),
          PATIENCE_MS,
        );
      },
    );
  }

  rule('a message with further routing keys is sent once to who wants any of them', async (world) => {
    const [publisher, subscriber] = await (await world.shared()).joinPair(newPoint('direct'));
    for (const key of ['copy', 'other copy']) await subscriber.session.addInterest(pattern(key));
    const copied = (text: string, CC: string[]) => ({ ...outgoing('original', text, { CC }), alsoTo: CC });
    await publisher.publish(copied('wanted', ['copy', 'other copy']));
    await publisher.publish(copied('unwanted', ['nobody']));
    await publisher.publish(outgoing('copy', 'end'));
    await eventually(() => expect(subscriber.received.bodies).toEqual(['wanted', 'end']), PATIENCE_MS);
    expect(publisher.sent).toBe(2);
  });

  rule('a participant without interest is sent nothing', async (world) => {
    const [publisher, subscriber] = await (await world.shared()).joinPair(newPoint('fanout'));
    for (let i = 0; i < 100; i++) await publisher.publish(outgoing('a', 'unwanted'));
    expect([publisher.toldOf, publisher.sent]).toEqual([0, 0]);
    await subscriber.session.addInterest(pattern(''));
    await publisher.publish(outgoing('a', 'wanted'));
    await eventually(() => expect(subscriber.received.bodies).toEqual(['wanted']), PATIENCE_MS);
    expect(subscriber.session.status().received).toBe(1);
  });

  rule('what is published at once after interest was added elsewhere arrives, 200 times', async (world) => {
    const [one, other] = await (await world.shared()).joinPair(newPoint('direct'));
    for (let i = 0; i < 200; i++) {
      const [publisher, subscriber] = i % 2 === 0 ? [one, other] : [other, one];
      await subscriber.session.addInterest(pattern(`k${i}`));
      await publisher.publish(outgoing(`k${i}`, `${i}`));
    }
    const numbers = Array.from({ length: 200 }, (_, i) => `${i}`);
    await eventually(() => {
      expect(other.received.bodies).toEqual(numbers.filter((_, i) => i % 2 === 0));
      expect(one.received.bodies).toEqual(numbers.filter((_, i) => i % 2 === 1));
    }, PATIENCE_MS);
  });

  rule('interest from before a participant joined is known to it when it has joined', async (world) => {
    const mesh = await world.shared();
    for (let round = 0; round < 5; round++) {
      const point = newPoint();
      const early = await mesh.join(0, point);
      await early.session.addInterest(pattern('a.*'));
      const late = await mesh.join(1, point);
      await late.publish(outgoing('a.b', 'at once'));
      await eventually(() => expect(early.received.bodies).toEqual(['at once']), PATIENCE_MS);
    }
  });

  rule('removed interest stops the traffic at the publisher', async (world) => {
    const [publisher, subscriber] = await (await world.shared()).joinPair(newPoint('direct'));
    for (const key of ['a', 'b']) await subscriber.session.addInterest(pattern(key));
    await publisher.publish(outgoing('a', 'first'));
    subscriber.session.removeInterest(pattern('a'));
    await eventually(() => publisher.toldOf === 1, PATIENCE_MS);
    for (let i = 0; i < 10; i++) await publisher.publish(outgoing('a', 'unwanted'));
    await publisher.publish(outgoing('b', 'last'));
    await eventually(() => expect(subscriber.received.bodies).toEqual(['first', 'last']), PATIENCE_MS);
    expect(publisher.sent).toBe(2);
  });

  rule('interest that was added twice stays until it was removed twice', async (world) => {
    const mesh = await world.shared();
    const point = newPoint();
    const publisher = await mesh.join(0, point);
    const [one, other] = [await mesh.join(1, point), await mesh.join(1, point)];
    for (const { session } of [one, one, other]) await session.addInterest(pattern('a.#'));
    for (const [i, { session }] of [one, other].entries()) {
      session.removeInterest(pattern('a.#'));
      // Its acknowledgement says that the removal before it has arrived, if one was sent.
      await session.addInterest(pattern(`b.${i}`));
      await publisher.publish(outgoing('a.b', `${i}`));
    }
    await eventually(() => expect(one.received.bodies).toEqual(['0', '1']), PATIENCE_MS);
    one.session.removeInterest(pattern('a.#'));
    await eventually(() => publisher.toldOf === 2, PATIENCE_MS);
  });

  rule(
    'more patterns than a participant tells of lose no message, and few again are told exactly',
    async (world) => {
      const [publisher, subscriber] = await (await world.shared()).joinPair(newPoint('topic'));
      const patterns = Array.from({ length: MAX_PATTERNS_PER_PARTICIPANT + 200 }, (_, i) => pattern(`k${i}`));
      await Promise.all(patterns.map((each) => subscriber.session.addInterest(each)));
      expect(publisher.toldOf).toBeLessThanOrEqual(MAX_PATTERNS_PER_PARTICIPANT);
      for (const { routingKey } of patterns) await publisher.publish(outgoing(routingKey, routingKey));
      await eventually(() => subscriber.received.bodies.length >= patterns.length, PATIENCE_MS);
      expect(subscriber.received.bodies).toEqual(patterns.map(({ routingKey }) => routingKey));
      for (const each of patterns.slice(1)) subscriber.session.removeInterest(each);
      // A summary may be one item too: what counts is what is sent.
      await eventually(async () => {
        const before = publisher.sent;
        for (const key of ['k1', 'other', 'k0']) await publisher.publish(outgoing(key, 'at last'));
        expect(publisher.sent).toBe(before + 1);
      }, PATIENCE_MS);
    },
  );

  rule('a pattern that is not well formed is refused with its problem', async (world) => {
    const participant = await (await world.shared()).join(0, newPoint('headers'));
    const add = participant.session.addInterest(pattern('', { 'x-match': 'most' }));
    await expect(add).rejects.toBeInstanceOf(SpaceError);
    await expect(add).rejects.toMatchObject({
      code: 'invalid-argument',
      message: expect.stringContaining('most'),
    });
  });
}
