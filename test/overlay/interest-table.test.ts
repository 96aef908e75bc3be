import { describe, expect, it } from 'vitest';
import type { Interest, PointType } from '../../src/overlay/index.js';
import {
  EVERYTHING,
  exchangeType,
  InterestTable,
  MAX_PATTERNS_PER_PARTICIPANT,
} from '../../src/overlay/index.js';
import { MAX_CACHED_ROUTING_KEYS } from '../../src/overlay/limits.js';
import { Random, seed } from '../support/random.js';
import { pattern, routable } from './messages.js';

interface Participant {
  readonly name: string;
}

const [alice, bob, carol] = ['alice', 'bob', 'carol'].map((name) => ({ name })) as [
  Participant,
  Participant,
  Participant,
];

function tableOf(type: PointType): InterestTable<Participant> {
  return new InterestTable<Participant>(exchangeType(type));
}

function names(participants: readonly Participant[]): string[] {
  return participants.map(({ name }) => name).sort();
}

describe('an interest table', () => {
  it('finds each participant that wants a message once', () => {
    const table = tableOf('topic');
    for (const key of ['a.*', '#', 'a.b']) table.add(alice, pattern(key));
    table.add(bob, pattern('b.*'));
    expect(names(table.match(routable('a.b')))).toEqual(['alice']);
    expect(names(table.match(routable('b.b')))).toEqual(['alice', 'bob']);
  });

  it('answers a routing key that it has seen with the very same list, until interest changes', () => {
    const table = tableOf('topic');
    table.add(alice, pattern('a.*'));
    const first = table.match(routable('a.b'));
    expect(table.match(routable('a.b'))).toBe(first);
    table.add(bob, pattern('#'));
    expect(names(table.match(routable('a.b')))).toEqual(['alice', 'bob']);
    table.remove(bob, pattern('#'));
    expect(names(table.match(routable('a.b')))).toEqual(['alice']);
    table.clear(alice);
    expect(table.match(routable('a.b'))).toEqual([]);
  });

  it('looks at the headers of every message of a headers point', () => {
    const table = tableOf('headers');
    table.add(alice, pattern('', { x: 1 }));
    expect(names(table.match(routable('a', { x: 1 })))).toEqual(['alice']);
    expect(names(table.match(routable('a', { x: 2 })))).toEqual([]);
  });

  it('does not decode headers when nobody wants anything', () => {
    const message = {
      routingKey: 'a',
      headers: () => {
        throw new Error('decoded');
      },
    };
    expect(tableOf('headers').match(message)).toEqual([]);
  });

  it.each<PointType>(['direct', 'fanout', 'topic', 'headers'])(
    'gives all of a %s point to who wants everything',
    (type) => {
      const table = tableOf(type);
      expect(table.add(alice, EVERYTHING)).toBe(true);
      expect(table.add(alice, EVERYTHING)).toBe(false);
      expect(names(table.match(routable('any', { any: 1 })))).toEqual(['alice']);
      expect(table.count(alice)).toBe(1);
      expect(table.remove(alice, EVERYTHING)).toBe(true);
      expect(table.match(routable('any', { any: 1 }))).toEqual([]);
    },
  );

  it('says whether a change was one, and counts what each participant told of', () => {
    const table = tableOf('direct');
    expect([
      table.add(alice, pattern('a')),
      table.add(alice, pattern('a')),
      table.add(alice, pattern('b')),
    ]).toEqual([true, false, true]);
    expect([table.count(alice), table.count(bob)]).toEqual([2, 0]);
    expect([table.remove(bob, pattern('a')), table.remove(alice, pattern('c'))]).toEqual([false, false]);
    expect(table.remove(alice, pattern('a'))).toBe(true);
    expect(table.count(alice)).toBe(1);
    table.clear(alice);
    table.clear(bob);
    expect(table.count(alice)).toBe(0);
  });

  it('takes a participant that tells of too many patterns to want everything, until it is cleared', () => {
    const table = tableOf('direct');
    table.add(bob, pattern('k1'));
    for (let i = 0; i < MAX_PATTERNS_PER_PARTICIPANT; i++) table.add(alice, pattern(`k${i}`));
    expect([table.count(alice), ...table.match(routable('other'))]).toEqual([MAX_PATTERNS_PER_PARTICIPANT]);
    expect(table.add(alice, pattern('one more'))).toBe(true);
    expect(table.add(alice, pattern('and more'))).toBe(false);
    expect(table.remove(alice, pattern('k1'))).toBe(false);
    expect([table.count(alice), ...names(table.match(routable('other')))]).toEqual([1, 'alice']);
    expect(names(table.match(routable('k1')))).toEqual(['alice', 'bob']);
    table.clear(alice);
    expect(names(table.match(routable('k1')))).toEqual(['bob']);
    expect(table.add(alice, pattern('k2'))).toBe(true);
    expect([...table.match(routable('other')), ...names(table.match(routable('k2')))]).toEqual(['alice']);
  });

  it('keeps answering right when more routing keys come than it remembers, and forgets the old ones', () => {
    const table = tableOf('topic');
    table.add(alice, pattern('#.7'));
    const first = table.match(routable('k.7'));
    for (let i = 0; i < 2.5 * MAX_CACHED_ROUTING_KEYS; i++) {
      expect(names(table.match(routable(`k.${i}`)))).toEqual(i === 7 ? ['alice'] : []);
    }
    expect(table.match(routable('k.7'))).toEqual(first);
    expect(table.match(routable('k.7'))).not.toBe(first);
  });

  it(`finds what each participant's own interest matches, after any changes (SEED=${seed})`, () => {
    const random = new Random(seed);
    const keys = ['a', 'b', 'a.b', 'b.a', 'a.b.c'];
    const interests: Interest[] = [EVERYTHING, ...['a', '*', '#.b', 'a.#', '*.*'].map((key) => pattern(key))];
    const everyone = [alice, bob, carol];
    const shared = tableOf('topic');
    const own = new Map(everyone.map((participant) => [participant, tableOf('topic')]));
    for (let round = 0; round < 5_000; round++) {
      const participant = random.pick(everyone);
      const interest = random.pick(interests);
      for (const table of [shared, own.get(participant)]) {
        if (round % 3 === 0) table?.remove(participant, interest);
        else if (round % 50 === 1) table?.clear(participant);
        else table?.add(participant, interest);
      }
      const message = routable(random.pick(keys));
      const expected = everyone.filter((each) => own.get(each)?.match(message).length === 1);
      expect(names(shared.match(message))).toEqual(names(expected));
    }
  });
});
