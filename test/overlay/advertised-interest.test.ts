import { describe, expect, it } from 'vitest';
import type { Interest, InterestChange, Pattern, PointType } from '../../src/overlay/index.js';
import {
  AdvertisedInterest,
  EVERYTHING,
  exchangeType,
  InterestTable,
  interestKey,
  summarise,
} from '../../src/overlay/index.js';
import { Random, seed } from '../support/random.js';
import { pattern, routable } from './messages.js';

const topic = exchangeType('topic');
const keys = (interests: Iterable<Interest>): string[] =>
  [...interests].map((interest) => (interest === EVERYTHING ? interest : interest.routingKey)).sort();

function patterns(...routingKeys: string[]): Pattern[] {
  return routingKeys.map((key) => pattern(key));
}

describe('a summary of patterns', () => {
  it('is the patterns themselves while they are within the limit', () => {
    const few = patterns('a.#', 'a.b');
    expect(summarise(topic, few, 2)).toEqual(few);
  });

  it('leaves out topic patterns that another one covers', () => {
    const many = patterns('a.b', 'x.y', 'a.#', 'a.*', 'a.#', '#.#.y', '#.y');
    const summary = keys(summarise(topic, many, 3));
    expect(summary).toHaveLength(2);
    expect(summary[1]).toBe('a.#');
    expect(['#.y', '#.#.y']).toContain(summary[0]);
  });

  it.each<[PointType, Pattern[], number]>([
    ['fanout', patterns('a', 'b', 'c'), 1],
    ['direct', [pattern('a', { x: 1 }), pattern('a', { x: 2 }), pattern('b')], 2],
    ['headers', [pattern('a', { x: 1 }), pattern('b', { x: 1 }), pattern('c', { x: 2 })], 2],
  ])('has one of those %s patterns that want the same', (type, many, distinct) => {
    expect(summarise(exchangeType(type), many, distinct)).toHaveLength(distinct);
  });

  it.each<PointType>(['direct', 'topic', 'headers'])(
    'is everything when %s patterns are still too many',
    (type) => {
      const many = Array.from({ length: 5 }, (_, i) => pattern(`k${i}`, { i }));
      expect(summarise(exchangeType(type), many, 4)).toEqual([EVERYTHING]);
    },
  );

  it(`matches all that the topic patterns match (SEED=${seed})`, () => {
    const random = new Random(seed);
    const word = (words: readonly string[]) => (): string => random.pick(words);
    for (let round = 0; round < 500; round++) {
      const many = Array.from({ length: 12 }, () =>
        pattern(random.list(4, word(['a', 'b', '*', '#'])).join('.')),
      );
      const [exact, summary] = [many, summarise(topic, many, 11)].map((interests) => {
        const table = new InterestTable<object>(topic);
        for (const interest of interests) table.add(table, interest);
        return table;
      });
      for (let i = 0; i < 50; i++) {
        const message = routable(random.list(5, word(['a', 'b', 'c'])).join('.'));
        expect(summary?.match(message).length, message.routingKey).toBe(exact?.match(message).length);
      }
    }
  });
});

describe('advertised interest', () => {
  it('tells of the very patterns while they are within the limit', () => {
    const advertised = new AdvertisedInterest(topic, 4);
    expect(advertised.add(pattern('a'))).toEqual({ removed: [], added: [pattern('a')] });
    expect(advertised.add(pattern('#'))).toEqual({ removed: [], added: [pattern('#')] });
    expect(advertised.remove(pattern('a'))).toEqual({ removed: [pattern('a')], added: [] });
    expect(advertised.remove(pattern('b'))).toEqual({ removed: [], added: [] });
    expect(keys(advertised.told)).toEqual(['#']);
  });

  it('tells of everything instead of too many patterns, and of the patterns again when half are left', () => {
    const advertised = new AdvertisedInterest(exchangeType('direct'), 4);
    for (const each of patterns('a', 'b', 'c', 'd')) advertised.add(each);
    const widened = advertised.add(pattern('e'));
    expect([keys(widened.removed), keys(widened.added)]).toEqual([['a', 'b', 'c', 'd'], [EVERYTHING]]);
    for (const each of patterns('f', 'g')) expect(advertised.add(each)).toEqual({ removed: [], added: [] });
    for (const each of patterns('a', 'b', 'c', 'd')) {
      expect(advertised.remove(each)).toEqual({ removed: [], added: [] });
    }
    const narrowed = advertised.remove(pattern('e'));
    expect([keys(narrowed.removed), keys(narrowed.added)]).toEqual([[EVERYTHING], ['f', 'g']]);
    advertised.add(pattern('h'));
    expect(advertised.remove(pattern('f'))).toEqual({ removed: [pattern('f')], added: [] });
    expect(keys(advertised.told)).toEqual(['g', 'h']);
  });

  it('tells of the patterns that cover the others when those are few', () => {
    const advertised = new AdvertisedInterest(topic, 4);
    for (const each of patterns('a.#', 'a.b', 'a.c', 'x')) advertised.add(each);
    const summarised = advertised.add(pattern('a.d'));
    expect([keys(summarised.removed), keys(summarised.added)]).toEqual([['a.b', 'a.c'], []]);
    expect(advertised.add(pattern('y'))).toEqual({ removed: [], added: [pattern('y')] });
    expect(advertised.remove(pattern('a.#'))).toEqual({ removed: [], added: [] });
    expect(keys(advertised.told)).toEqual(['a.#', 'x', 'y']);
  });

  it(`is never narrower than what is wanted, nor above the limit, nor off its changes (SEED=${seed})`, () => {
    const random = new Random(seed);
    const limit = 8;
    const advertised = new AdvertisedInterest(topic, limit);
    const own = new Map<string, Pattern>();
    const heard = new Map<string, Interest>();
    const hear = ({ removed, added }: InterestChange): void => {
      for (const interest of removed) expect(heard.delete(interestKey(interest))).toBe(true);
      for (const interest of added) {
        expect(heard.has(interestKey(interest))).toBe(false);
        heard.set(interestKey(interest), interest);
      }
    };
    for (let round = 0; round < 4_000; round++) {
      // Grows and shrinks in turns, to pass the limit both ways.
      const grows = random.int(10) < (round % 200 < 100 ? 8 : 2);
      const each = pattern(random.list(3, () => random.pick(['a', 'b', 'c', 'd', '*', '#'])).join('.'));
      const victim = random.pick([each, ...own.values()]);
      if (grows && !own.has(interestKey(each))) {
        own.set(interestKey(each), each);
        hear(advertised.add(each));
      } else if (own.delete(interestKey(victim))) {
        hear(advertised.remove(victim));
      }
      expect(heard.size).toBeLessThanOrEqual(limit);
      expect(keys(heard.values())).toEqual(keys(advertised.told));
      const [wanted, told] = [own, heard].map((interests) => {
        const table = new InterestTable<object>(topic);
        for (const interest of interests.values()) table.add(table, interest);
        return table;
      });
      const message = routable(random.list(3, () => random.pick(['a', 'b', 'c', 'd'])).join('.'));
      if (wanted?.match(message).length === 1) expect(told?.match(message)).toHaveLength(1);
    }
  });
});
