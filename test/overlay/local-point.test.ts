import { describe, expect, it } from 'vitest';
import type {
  Content,
  OutgoingMessage,
  Outward,
  Pattern,
  PointReceiver,
  PointType,
} from '../../src/overlay/index.js';
import { LocalPoint, SpaceError } from '../../src/overlay/index.js';
import { bodyText, outgoing, pattern } from './messages.js';

/** Writes down what it is called with; interest settles when the test says so. */
class FakeOutward implements Outward {
  readonly calls: string[] = [];
  readonly settle: (() => void)[] = [];
  pause: Promise<void> | undefined;

  publish(message: OutgoingMessage): Promise<void> | undefined {
    this.calls.push(`publish ${bodyText(message)}`);
    return this.pause;
  }

  interestAdded({ routingKey }: Pattern): Promise<void> {
    this.calls.push(`added ${routingKey}`);
    return new Promise((resolve) => this.settle.push(resolve));
  }

  interestRemoved({ routingKey }: Pattern): void {
    this.calls.push(`removed ${routingKey}`);
  }

  async left(): Promise<void> {
    this.calls.push('left');
  }

  async delete(): Promise<void> {
    this.calls.push('delete');
  }

  status(): { participants: [] } {
    return { participants: [] };
  }
}

class FakeReceiver implements PointReceiver {
  readonly received: string[] = [];
  onReceive = (): void => {};

  receive(content: Content): void {
    this.received.push(bodyText(content));
    this.onReceive();
  }

  deleted(reason: string): void {
    this.received.push(`deleted: ${reason}`);
  }
}

function setUp(receivers: number, type: PointType = 'topic') {
  const outward = new FakeOutward();
  const point = new LocalPoint({ name: 'bids', type, arguments: {} }, outward);
  const joined = Array.from({ length: receivers }, () => {
    const receiver = new FakeReceiver();
    return { receiver, session: point.join(receiver) };
  });
  const [first, second] = joined;
  if (first === undefined) throw new Error('at least one receiver');
  return { outward, point, first, second: second ?? first };
}

/** Whether the promise is settled by now, after all that is ready to run has run. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol('pending');
  await new Promise(setImmediate);
  return (await Promise.race([promise, Promise.resolve(pending)])) !== pending;
}

describe('a local point', () => {
  it('hands a publication to the other sessions and outward, and never back', () => {
    const { outward, first, second } = setUp(2);
    first.session.publish(outgoing('a', 'one'));
    expect([first.receiver.received, second.receiver.received]).toEqual([[], ['one']]);
    expect(outward.calls).toEqual(['publish one']);
    expect([first.session.status(), second.session.status()]).toMatchObject([
      { state: 'joined', published: 1, received: 0 },
      { state: 'joined', published: 0, received: 1 },
    ]);
  });

  it('hands a message of another node to every session, and not outward', () => {
    const { outward, point, first, second } = setUp(2);
    point.receive(outgoing('a', 'one'));
    expect([first.receiver.received, second.receiver.received, outward.calls]).toEqual([
      ['one'],
      ['one'],
      [],
    ]);
  });

  it('passes on the wish to pause', () => {
    const { outward, first } = setUp(1);
    expect(first.session.publish(outgoing('a'))).toBeUndefined();
    outward.pause = Promise.resolve();
    expect(first.session.publish(outgoing('a'))).toBe(outward.pause);
  });

  it('tells outward of the first and the last session only that asks for a pattern', () => {
    const { outward, first, second } = setUp(2);
    for (const { session } of [first, first, second]) void session.addInterest(pattern('a'));
    expect(outward.calls).toEqual(['added a']);
    for (const { session } of [first, second, second, first]) session.removeInterest(pattern('a'));
    expect(outward.calls).toEqual(['added a', 'removed a']);
  });

  it.each<[PointType, Pattern, Pattern]>([
    ['topic', pattern('a', { x: 1 }), pattern('a', { x: 2 })],
    ['direct', pattern('a', { x: 1 }), pattern('a')],
    ['fanout', pattern('a'), pattern('b', { x: 1 })],
    ['headers', pattern('a', { x: 1 }), pattern('b', { x: 1 })],
  ])('counts patterns of a %s point as one that want the same', (type, one, other) => {
    const { outward, first } = setUp(1, type);
    for (const each of [one, other]) void first.session.addInterest(each);
    first.session.removeInterest(one);
    expect(outward.calls).toHaveLength(1);
    first.session.removeInterest(other);
    expect(outward.calls).toHaveLength(2);
  });

  it('has everybody who asks for a pattern while it settles wait for the same answer', async () => {
    const { outward, first, second } = setUp(2);
    const answers = [first, first, second].map(({ session }) => session.addInterest(pattern('a')));
    expect(await Promise.all(answers.map(isSettled))).toEqual([false, false, false]);
    outward.settle[0]?.();
    expect(await Promise.all(answers.map(isSettled))).toEqual([true, true, true]);
    expect(await isSettled(second.session.addInterest(pattern('a')))).toBe(true);
  });

  it('waits anew for a pattern that was removed and added while it settled', async () => {
    const { outward, first, second } = setUp(2);
    void first.session.addInterest(pattern('a'));
    first.session.removeInterest(pattern('a'));
    const again = first.session.addInterest(pattern('a'));
    outward.settle[0]?.();
    expect(await isSettled(again)).toBe(false);
    expect(await isSettled(second.session.addInterest(pattern('a')))).toBe(false);
    outward.settle[1]?.();
    expect(await isSettled(again)).toBe(true);
  });

  it('refuses a pattern that its type does not understand, and counts it not', async () => {
    const { outward, first } = setUp(1, 'headers');
    const refused = first.session.addInterest(pattern('', { 'x-match': 'some' }));
    await expect(refused).rejects.toThrow(SpaceError);
    await expect(refused).rejects.toMatchObject({ code: 'invalid-argument' });
    first.session.removeInterest(pattern('', { 'x-match': 'some' }));
    expect(outward.calls).toEqual([]);
  });

  it('removes the interest of a session that leaves, as far as no other one has it', async () => {
    const { outward, first, second } = setUp(2);
    for (const key of ['a', 'b', 'b']) void first.session.addInterest(pattern(key));
    void second.session.addInterest(pattern('a'));
    await first.session.leave();
    await first.session.leave();
    expect(outward.calls).toEqual(['added a', 'added b', 'removed b']);
  });

  it('says once that the last session has left, and nothing of its patterns', async () => {
    const { outward, point, first, second } = setUp(2);
    void second.session.addInterest(pattern('a'));
    await first.session.leave();
    expect([point.sessions, ...outward.calls]).toEqual([1, 'added a']);
    await second.session.leave();
    await second.session.leave();
    expect([point.sessions, ...outward.calls]).toEqual([0, 'added a', 'left']);
    expect(() => point.join(new FakeReceiver())).toThrow("exchange point 'bids' was left");
  });

  it('ends all sessions when the node leaves', async () => {
    const { outward, point, first, second } = setUp(2);
    await point.leave();
    expect(outward.calls).toEqual(['left']);
    expect([first, second].map(({ session }) => session.status().state)).toEqual(['left', 'left']);
  });

  it.each(['left', 'deleted'])('ignores every call on a session that is %s', async (how) => {
    const { outward, point, first, second } = setUp(2);
    first.session.publish(outgoing('a', 'before'));
    if (how === 'left') await first.session.leave();
    else point.deleted('gone');
    outward.calls.length = 0;
    first.receiver.received.length = 0;
    expect(first.session.publish(outgoing('a'))).toBeUndefined();
    await first.session.addInterest(pattern('a'));
    first.session.removeInterest(pattern('a'));
    await first.session.delete();
    await first.session.leave();
    point.receive(outgoing('a', 'late'));
    expect([...outward.calls, ...first.receiver.received]).toEqual([]);
    expect(first.session.status()).toEqual({ state: 'left', participants: [], published: 1, received: 0 });
    expect(second.receiver.received.includes('late')).toBe(how === 'left');
  });

  it('stops handing a message to a session that leaves while it is handed round', () => {
    const { point, first, second } = setUp(2);
    first.receiver.onReceive = () => void second.session.leave();
    point.receive(outgoing('a', 'one'));
    expect([first.receiver.received, second.receiver.received]).toEqual([['one'], []]);
  });

  it('tells every receiver once that the point was deleted, and nobody outward', () => {
    const { outward, point, first, second } = setUp(2);
    point.deleted('by Margaret');
    point.deleted('again');
    expect([first.receiver.received, second.receiver.received]).toEqual([
      ['deleted: by Margaret'],
      ['deleted: by Margaret'],
    ]);
    expect(outward.calls).toEqual([]);
    expect(() => point.join(new FakeReceiver())).toThrow(new SpaceError('not-found', 'by Margaret'));
  });

  it('deletes the point outward first, and then for its own sessions', async () => {
    const { outward, first, second } = setUp(2);
    await first.session.delete();
    expect(outward.calls).toEqual(['delete']);
    const told = "deleted: exchange point 'bids' was deleted";
    expect([first.receiver.received, second.receiver.received]).toEqual([[told], [told]]);
  });

  it('takes no part in traffic while it is conflicted, and says why', async () => {
    const { outward, point, first, second } = setUp(2);
    point.conflicted("point 'bids' is direct");
    const conflict = new SpaceError('conflict', "point 'bids' is direct");
    expect(() => first.session.publish(outgoing('a'))).toThrow(conflict);
    expect(() => point.join(new FakeReceiver())).toThrow(conflict);
    await expect(first.session.delete()).rejects.toThrow(conflict);
    point.receive(outgoing('a', 'one'));
    await first.session.addInterest(pattern('a'));
    first.session.removeInterest(pattern('a'));
    expect([...first.receiver.received, ...second.receiver.received, ...outward.calls]).toEqual([]);
    expect(first.session.status()).toMatchObject({ state: 'conflicted', published: 0 });
    await Promise.all([first.session.leave(), second.session.leave()]);
    expect(outward.calls).toEqual(['left']);
  });
});
