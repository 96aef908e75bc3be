import { describe, expect, it } from 'vitest';
import { NamePattern } from '../../src/broker/name-pattern.js';

describe('a pattern of names', () => {
  it.each<[string, string, boolean]>([
    ['.*', '', true],
    ['.*', 'anything at all', true],
    ['', '', true],
    ['', 'q', false],
    ['q', 'a queue', true],
    ['^q', 'a queue', false],
    ['^q$', 'q', true],
    ['^q$', 'qq', false],
    ['^(orders|bills)\\.', 'bills.paid', true],
    ['^(orders|bills)\\.', 'billsXpaid', false],
    ['^amq\\.gen-[\\w-]{22}$', 'amq.gen-699Rn6zMdkykUoDU0vwKzw', true],
    ['(?i)^Q$', 'q', true],
    ['^[[:alpha:]]+$', 'abc', true],
    ['^[[:alpha:]]+$', 'ab1', false],
    ['^\\d+$', '123', true],
    ['^grün$', 'grün', true],
    ['^gr.n$', 'grün', true],
    ['^$', 'q', false],
  ])('%j: %j matches: %s', (source, name, matches) => {
    expect(new NamePattern(source).matches(name)).toBe(matches);
  });

  it.each(['^(a+)+$', '^(a|a)*$', '(.*a){12}$', '^(([a-z])+.)+[A-Z]([a-z])+$'])(
    'that would stall a backtracking matcher, %j, takes no time',
    (source) => {
      const pattern = new NamePattern(source);
      const started = performance.now();
      expect(pattern.matches(`${'a'.repeat(254)}!`)).toBe(false);
      expect(performance.now() - started).toBeLessThan(1_000);
    },
  );

  it.each(['(', '[a', 'a**', '(?=a)', '(?!a)', '(?<=a)', '(a)\\1', '\\', 'a{2,1}'])(
    '%j is refused',
    (source) => {
      expect(() => new NamePattern(source)).toThrow(/^regular expression: /);
    },
  );
});
