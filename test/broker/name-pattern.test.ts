import { describe, expect, it } from 'vitest';
import { NamePattern } from '../../src/broker/name-pattern/index.js';

const LONG = 'a'.repeat(255);

/** Source, what it matches, what it does not. */
type Row = readonly [source: string, matched: readonly string[], others: readonly string[]];

function behaves(topic: string, rows: readonly Row[]): void {
  describe(topic, () => {
    it.each(rows)('%j', (source, matched, others) => {
      const pattern = new NamePattern(source);
      const matches = [...matched, ...others].filter((name) => pattern.matches(name));
      expect(matches).toEqual(matched);
    });
  });
}

behaves('a pattern of names', [
  ['.*', ['', 'anything at all'], []],
  ['', [''], ['q']],
  ['q', ['a queue'], ['']],
  ['^q', ['queue'], ['a queue']],
  ['^q$', ['q', 'q\n'], ['qq', 'q\n\n']],
  ['^(orders|bills)\\.', ['bills.paid'], ['billsXpaid']],
  ['^amq\\.gen-[\\w-]{22}$', ['amq.gen-699Rn6zMdkykUoDU0vwKzw'], ['amq.gen-699Rn6']],
  ['a||b', [''], []],
]);

behaves('octets, not characters, match', [
  ['^grün$', ['grün'], []],
  ['^gr..n$', ['grün'], ['groen'.slice(0, 4)]],
  ['^gr.n$', [], ['grün']],
  ['^gr\\xc3\\xbcn$', ['grün'], []],
  ['^[ü]$', [], ['ü']],
  ['^\\w\\W$', ['ü'], []], // C3 is a letter of ISO 8859-1, BC is none
  ['(?i)^Ü$', [], ['ü']],
  ['(?i)^É$', [], ['é']],
  ['^\\C{2}$', ['ü'], []],
]);

behaves('classes', [
  ['^[[:alpha:]]+$', ['abc'], ['ab1']],
  ['^[[:^digit:][:upper:]]$', ['a', 'A'], ['1']],
  ['(?i)^[[:upper:]]$', ['a'], ['1']],
  ['^[^a-c\\d]$', ['d', '-'], ['b', '7', '\u00fc']],
  ['^[]a-]+$', [']a-'], ['[']],
  ['^[\\d-z]$', ['-', 'z', '5'], ['m']],
  ['^[\\x41-\\103\\Q]-\\E]$', ['B', ']', '-'], ['D']],
  ['^[\\b]$', ['\b'], ['b']],
  ['^[[:a]$', [':', '['], ['b']],
  ['^\\p{Lu}\\P{L}\\pN$', ['A-1'], ['a-1']],
  ['[[:<:]]cat[[:>:]]', ['a cat.'], ['cats', 'bobcat']],
]);

behaves('escapes', [
  ['^\\d\\D\\s\\S\\h\\H\\v\\V$', ['1a a\ta\nb'], ['11 a\ta\nb']],
  ['^\\R\\N$', ['\r\na', '\na'], ['\r\n']],
  ['^\\x61\\x{62}\\o{143}\\144\\0$', ['abcd\0'], []],
  ['^\\a\\e\\f\\n\\r\\t\\cA$', ['\x07\x1b\f\n\r\t\x01'], []],
  ['^\\Qa.*\\E+$', ['a.*', 'a.**'], ['abc']],
  ['^\\y\\_\\8$', ['y_8'], []],
  ['\\Ba\\b', ['ba'], ['a', 'ab']],
  ['\\Aa\\Z', ['a', 'a\n'], ['ba']],
  ['\\Ga\\z', ['a'], ['a\n', 'ba']],
  ['a\\Kb', ['ab'], ['b']],
]);

behaves('quantifiers', [
  ['^a{2,3}$', ['aa', 'aaa'], ['a', 'aaaa']],
  ['^a{,2}$', ['a{,2}'], ['a', 'aa']],
  ['^a{2}b{1,}c{0}$', ['aab', 'aabb'], ['aabc']],
  ['^(?:a|ab)(?:c|bcd)??$', ['a', 'abc', 'abcd', 'ab'], ['abd']],
  ['^a++a', [], ['aa']],
  ['^(?:a|ab)?+c', ['ac', 'c'], ['abc']],
  ['(?U)^<.+>$', ['<a>'], ['<>']],
  ['^(?:|a)+$', ['aa'], ['b']],
  ['^.{255}$', [LONG], ['a']],
  ['^.{256,65535}$', [], [LONG]],
  ['^(?:a?){300}$', [LONG], ['b']],
]);

behaves('options', [
  ['(?i)^q$', ['Q'], []],
  ['^(?i:a)b$', ['Ab'], ['AB']],
  ['^(a(?i)b|c)d$', ['aBd', 'Cd'], ['aBD']],
  ['(?m)^b$', ['a\nb', 'b\nc'], ['ab']],
  ['^.$', ['a'], ['\n']],
  ['(?s)^.$', ['\n'], []],
  ['(?x) ^ a + + b # the end\n $', ['aab'], ['a b']],
  ['^a(?#comment)*b$', ['aab'], []],
]);

behaves('look-around and atomic groups', [
  ['^(?!amq\\.)', ['mine'], ['amq.gen']],
  ['^(?=.*a)(?=.*b)', ['ba'], ['aa']],
  ['(?<=a|bc)d', ['ad', 'bcd'], ['cd']],
  ['(?<!ab)c$', ['c', 'bc'], ['abc']],
  ['^(?>a|ab)c$', ['ac'], ['abc']],
  ['^(?=(a+))\\1b$', ['aab'], ['b']],
  ['^(?(?=a)ab|cd)$', ['ab', 'cd'], ['ad']],
  ['^(?:(?!(a))\\1|a)$', ['a'], ['']],
]);

behaves('references', [
  ['^(a|b)\\1$', ['aa', 'bb'], ['ab']],
  ['^(.)(.)\\g{-1}\\g1$', ['abba'], ['abab']],
  ["^(?<n>.)(?'m'.)(?P<o>.)\\k<n>\\k'm'(?P=o)$", ['abcabc'], ['abccba']],
  ['^(?i)(a)\\1$', ['aA'], ['ab']],
  ['^(a)?\\1b$', ['aab'], ['b', 'ab']],
  ['^(a)?(?(1)b|c)$', ['ab', 'c'], ['b', 'ac']],
  ['^(?<n>a)?(?(<n>)b)$', ['ab', ''], ['a']],
  ['^(?|(a)|(b))\\1$', ['aa', 'bb'], ['ab']],
  ['(?J)^(?:(?<n>a)|(?<n>b))\\k<n>$', ['bb'], ['ba']],
  ['^(a|\\1b)+$', ['aa'], ['aab']], // one that refers to itself is atomic
  ['^(?:(a)x|a)(?:\\1|b)$', ['ab', 'axa'], ['aa']],
]);

describe('a pattern', () => {
  it.each([
    ['(', 'missing ) at offset 1'],
    ['a)', 'unmatched parentheses at offset 1'],
    ['[a', 'missing terminating ] for character class at offset 2'],
    ['a**', 'nothing to repeat at offset 2'],
    ['^*', 'nothing to repeat at offset 1'],
    ['a{2,1}', 'numbers out of order in {} quantifier at offset 6'],
    ['a{65536}', 'number too big in {} quantifier: more than 65535 at offset 8'],
    ['\\', '\\ at end of pattern at offset 1'],
    ['(a)\\2', 'reference to non-existent subpattern at offset 5'],
    ['\\k<n>', 'reference to non-existent subpattern at offset 5'],
    ['(?<n>a)(?<n>b)', 'two named subpatterns have the same name at offset 12'],
    ['[z-a]', 'range out of order in character class at offset 2'],
    ['[[:nope:]]', 'unknown POSIX class name at offset 9'],
    ['[:alpha:]', 'POSIX classes are supported only within a class at offset 0'],
    ['x(?<=a+)', 'lookbehind assertion is not fixed length at offset 1'],
    ['(a)(?(1)a|b|c)', 'conditional group contains more than two branches at offset 3'],
    ['ü(?z)', 'unrecognized character after (? at offset 4'],
    ['\\x{100}', 'character value is greater than 255 at offset 7'],
    ['a\0', 'a NUL, which ends it for PCRE at offset 1'],
    ['a(?R)', 'recursion and subroutine calls are not supported at offset 1'],
    ['(a)(?1)', 'recursion and subroutine calls are not supported at offset 3'],
    ['(a)\\g<1>', 'recursion and subroutine calls are not supported at offset 3'],
    ['(?(DEFINE)a)', 'conditions for recursion are not supported at offset 0'],
    ['(?C1)', 'callouts are not supported at offset 0'],
    ['(*UTF8)ü', 'verbs, (*...), are not supported at offset 0'],
    ['\\X', '\\X is not supported at offset 0'],
  ])('%j is refused: %s', (source, problem) => {
    expect(() => new NamePattern(source)).toThrow(
      expect.objectContaining({ code: 'precondition-failed', message: `regular expression: ${problem}` }),
    );
  });

  it('of 4096 octets is taken, and one more is not', () => {
    expect(new NamePattern('a'.repeat(4_096)).matches(LONG)).toBe(false);
    expect(() => new NamePattern('ü'.repeat(2_049))).toThrow('regular expression: more than 4096 octets');
  });

  it('nested 250 deep is taken, and one level more is not', () => {
    const nested = (levels: number) => '('.repeat(levels) + ')*'.repeat(levels);
    expect(new NamePattern(nested(250)).matches(LONG)).toBe(true);
    expect(() => new NamePattern(nested(251))).toThrow('parentheses are too deeply nested');
  });

  it.each(['((a{1,200}b){1,200}c){1,200}', `${'('.repeat(200)}${'){65535}'.repeat(200)}`])(
    'whose repeats multiply, %j, is refused at once',
    (source) => {
      expect(() => new NamePattern(source)).toThrow('regular expression: more than 16384 steps');
    },
  );
});

describe('a name of 255 octets', () => {
  const name = `${'a'.repeat(254)}!`;

  it.each([
    '^(a+)+$',
    '^(a|a)*$',
    '(.*a){12}$',
    '^(([a-z])+.)+[A-Z]([a-z])+$',
    '((((.*)*)*)*)*b',
    '(?:a?){255}a{255}',
    '(?:(?!.*b)a)*c',
    `${'(?:'.repeat(50)}a*${')*'.repeat(50)}b`,
    '^(.*)(.*)(.*)(.*)\\1\\2\\3\\4x$',
    '(a*)*\\1b',
    `${'(.*)(?:\\1|'.repeat(20)}x${')'.repeat(20)}y`,
    '(?>a*?)*?(?:(?>a+?)+)+b',
    `(?:${'a?'.repeat(2_000)})*b`,
  ])('does not match %s, and that takes no time', (source) => {
    const pattern = new NamePattern(source);
    const started = performance.now();
    expect(pattern.matches(name)).toBe(false);
    expect(performance.now() - started).toBeLessThan(250); // some 10 ms, and a processor that others use, too
  });

  it('is searched to the end where what fails can be remembered', () => {
    const pattern = new NamePattern('^(?:a+)+(?:a|a)*(?:a*)*!$');
    expect(pattern.matches(name)).toBe(true);
  });
});

it('a name longer than any does not match', () => {
  expect(new NamePattern('a').matches(`${LONG}a`)).toBe(false);
});
