import { takeEscapedClass, takeEscapedOctet } from './escapes.js';
import { GroupTable } from './group-table.js';
import { MAX_COUNT, MAX_NESTING } from './limits.js';
import { POSIX_ITEM, takeClass } from './octet-class.js';
import { anyOctet, caseless, newlineOctets, notNewline, only, wordOctets } from './octet-set.js';
import { Scanner } from './scanner.js';
import type { Groups, Look, Place, Syntax } from './syntax.js';
import { fixedLength } from './syntax.js';

export interface Parsed {
  readonly syntax: Syntax;
  /** Groups whose captures decide something. */
  readonly referenced: ReadonlySet<number>;
}

/** Of an expression of octets, one character each. @throws BrokerError */
export function parse(source: string): Parsed {
  return new Parser(source).parse();
}

/** The letters of (?imsxUJX) that are set. */
type Options = ReadonlySet<string>;

const ESCAPED_PLACES: Readonly<Record<string, Place>> = {
  A: 'start',
  G: 'start', // where the search begins, which is always the start of the name
  z: 'end',
  Z: 'last-line-end',
  b: 'word-edge',
  B: 'no-word-edge',
};

const NOT_SUPPORTED: readonly (readonly [RegExp, string])[] = [
  [/\(\?(?:R|[+-]?\d|&|P>)|\\g[<']/y, 'recursion and subroutine calls are not supported'],
  [/\(\?\((?:R(?:\d+|&\w+)?|DEFINE)\)/y, 'conditions for recursion are not supported'],
  [/\(\?C/y, 'callouts are not supported'],
  [/\(\*[A-Za-z:]/y, 'verbs, (*...), are not supported'],
  [/\\X/y, '\\X is not supported'],
];

/** By recursive descent, one level of calls for one of parentheses. The syntax is PCRE 8's, without its Unicode mode. */
class Parser {
  readonly #scanner: Scanner;
  readonly #groups: GroupTable;
  #options: Options = new Set();
  #nesting = 0;
  /** Capturing groups around this place, and those of them that refer to themselves. */
  readonly #open = new Set<number>();
  readonly #recursive = new Set<number>();
  /** After \Q, until \E. */
  #quoted = false;

  constructor(source: string) {
    this.#scanner = new Scanner(source);
    this.#groups = new GroupTable(this.#scanner);
  }

  parse(): Parsed {
    const syntax = choiceOf(this.#takeBranches());
    if (!this.#scanner.atEnd) this.#scanner.refuse('unmatched parentheses');
    return { syntax, referenced: this.#groups.resolve() };
  }

  /** Up to what closes the group. Of (?|...), each branch has the same numbers. */
  #takeBranches(sharesNumbers = false): Syntax[] {
    const branches = [];
    const { count } = this.#groups;
    let most = count;
    do {
      if (sharesNumbers) this.#groups.count = count;
      branches.push(this.#takeBranch());
      most = Math.max(most, this.#groups.count);
    } while (this.#scanner.take(/\|/y));
    this.#groups.count = most;
    return branches;
  }

  #takeBranch(): Syntax {
    const items: Syntax[] = [];
    for (;;) {
      this.#takeIgnored();
      if (this.#scanner.atEnd || (!this.#quoted && this.#scanner.sees(/[|)]/y))) return sequenceOf(items);
      items.push(this.#takeItem());
    }
  }

  /** What stands for nothing, and marks of quotation. */
  #takeIgnored(): void {
    const scanner = this.#scanner;
    for (;;) {
      if (scanner.take(/\\E/y)) this.#quoted = false;
      else if (this.#quoted) return;
      else if (scanner.take(/\\Q/y)) this.#quoted = true;
      else if (!this.#takeComment()) return;
    }
  }

  #takeComment(): boolean {
    const scanner = this.#scanner;
    if (scanner.take(/\(\?#/y)) {
      if (!scanner.take(/[^)]*\)/y)) scanner.refuse('missing ) after comment');
      return true;
    }
    return this.#options.has('x') && scanner.take(/[\t-\r ]+|#[^\n]*\n?/y) !== undefined;
  }

  #takeItem(): Syntax {
    const scanner = this.#scanner;
    if (this.#quoted) return this.#quantified(this.#literal(scanner.next()));
    for (const [construct, problem] of NOT_SUPPORTED) if (scanner.sees(construct)) scanner.refuse(problem);
    if (scanner.sees(/\(?[*+?]|\{\d+(?:,\d*)?\}/y) && !scanner.sees(/\(\?/y)) {
      scanner.refuse('nothing to repeat');
    }
    return this.#takeUnrepeatable() ?? this.#quantified(this.#takeAtom());
  }

  #takeUnrepeatable(): Syntax | undefined {
    const scanner = this.#scanner;
    const options = scanner.take(/\(\?([imsxUJX-]*)\)/y);
    if (options !== undefined) this.#options = this.#changedBy(options[1] ?? ''); // up to the end of the group
    if (options !== undefined || scanner.take(/\\K/y)) return sequenceOf([]);
    const isMultiline = this.#options.has('m');
    if (scanner.take(/\^/y)) return placeOf(isMultiline ? 'line-start' : 'start');
    if (scanner.take(/\$/y)) return placeOf(isMultiline ? 'line-end' : 'last-line-end');
    const place = ESCAPED_PLACES[scanner.take(/\\([AGzZbB])/y)?.[1] ?? ''];
    if (place !== undefined) return placeOf(place);
    const word = scanner.take(/\[\[:([<>]):\]\]/y); // where a word begins or ends: classes by their looks only
    if (word === undefined) return undefined;
    return sequenceOf([placeOf('word-edge'), this.#quantified(wordLook(word[1] === '>'))]);
  }

  #takeAtom(): Syntax {
    const scanner = this.#scanner;
    if (scanner.sees(/\(/y)) return this.#takeGroup();
    if (scanner.take(/\./y)) return { kind: 'octet', set: this.#options.has('s') ? anyOctet : notNewline };
    if (scanner.sees(POSIX_ITEM)) scanner.refuse('POSIX classes are supported only within a class');
    if (scanner.take(/\[/y)) {
      const options = { caseless: this.#options.has('i'), strict: this.#options.has('X') };
      return { kind: 'octet', set: takeClass(scanner, options) };
    }
    return scanner.take(/\\/y) ? this.#takeEscape() : this.#literal(scanner.next());
  }

  #literal(octet: string): Syntax {
    return this.#octet(octet.charCodeAt(0));
  }

  #octet(octet: number): Syntax {
    return { kind: 'octet', set: this.#options.has('i') ? caseless(only(octet)) : only(octet) };
  }

  #takeEscape(): Syntax {
    const scanner = this.#scanner;
    if (scanner.atEnd) scanner.refuse('\\ at end of pattern');
    const set = takeEscapedClass(scanner);
    if (set !== undefined) return { kind: 'octet', set };
    const groups = this.#takeReference();
    if (groups !== undefined) return this.#reference(groups);
    const octet = takeEscapedOctet(scanner);
    if (octet !== undefined) return this.#octet(octet);
    if (scanner.take(/N/y)) return { kind: 'octet', set: notNewline };
    if (scanner.take(/C/y)) return { kind: 'octet', set: anyOctet };
    if (scanner.take(/R/y)) return newlineSequence;
    if (this.#options.has('X') && scanner.sees(/[A-Za-z]/y))
      scanner.refuse('unrecognized character follows \\');
    return this.#literal(scanner.next());
  }

  /** After a backslash. */
  #takeReference(): Groups | undefined {
    const scanner = this.#scanner;
    const digits = scanner.take(/[1-9]\d*/y)?.[0];
    if (digits !== undefined) {
      if (Number(digits) > 0x7fff_ffff) scanner.refuse('number is too big');
      if (Number(digits) < 8 || Number(digits) <= this.#groups.count) {
        return this.#groups.referToNumber('', digits);
      }
      scanner.offset -= digits.length; // an octal number, or a digit that stands for itself
      return undefined;
    }
    const numbered = scanner.take(/g(-?)(\d+)/y) ?? scanner.take(/g\{(-?)(\d+)\}/y);
    if (numbered !== undefined) return this.#groups.referToNumber(numbered[1] ?? '', numbered[2] ?? '');
    if (scanner.take(/[gk]\{/y)) return this.#groups.referToName(this.#groups.takeName(/\}/y));
    if (scanner.take(/k</y)) return this.#groups.referToName(this.#groups.takeName(/>/y));
    if (scanner.take(/k'/y)) return this.#groups.referToName(this.#groups.takeName(/'/y));
    const letter = scanner.take(/[gk]/y);
    return letter && scanner.refuse(`\\${letter[0]} is not followed by a name in braces, brackets or quotes`);
  }

  #reference(groups: Groups): Syntax {
    for (const group of groups) if (this.#open.has(group)) this.#recursive.add(group);
    return { kind: 'reference', groups, caseless: this.#options.has('i') };
  }

  #takeGroup(): Syntax {
    const scanner = this.#scanner;
    const groups = this.#groups;
    if (scanner.take(/\((?!\?)/y)) return this.#takeCapture();
    if (scanner.take(/\(\?\|/y)) return choiceOf(this.#takeBody('', true));
    if (scanner.take(/\(\?>/y)) return { kind: 'atomic', item: choiceOf(this.#takeBody()) };
    if (scanner.sees(/\(\?\(/y)) return this.#takeCondition();
    if (scanner.take(/\(\?P=/y)) return this.#reference(groups.referToName(groups.takeName(/\)/y)));
    const look = this.#takeLook();
    if (look !== undefined) return look;
    if (scanner.take(/\(\?P?</y)) return this.#takeCapture(groups.takeName(/>/y));
    if (scanner.take(/\(\?'/y)) return this.#takeCapture(groups.takeName(/'/y));
    const options = scanner.take(/\(\?([imsxUJX-]*):/y);
    if (options !== undefined) return choiceOf(this.#takeBody(options[1]));
    return scanner.refuse('unrecognized character after (?', scanner.offset + '(?'.length);
  }

  #takeCapture(name?: string): Syntax {
    const group = this.#groups.open();
    if (name !== undefined) this.#groups.name(name, this.#options.has('J'));
    this.#open.add(group);
    const capture: Syntax = { kind: 'capture', group, item: choiceOf(this.#takeBody()) };
    this.#open.delete(group);
    // As PCRE does: a group that refers to what it captured in an earlier round is atomic.
    return this.#recursive.delete(group) ? { kind: 'atomic', item: capture } : capture;
  }

  /** The rest of a group, after what says which kind it is. */
  #takeBody(options = '', sharesNumbers = false): Syntax[] {
    const outer = this.#options;
    this.#options = this.#changedBy(options);
    if (++this.#nesting > MAX_NESTING) this.#scanner.refuse('parentheses are too deeply nested');
    const branches = this.#takeBranches(sharesNumbers);
    if (!this.#scanner.take(/\)/y)) this.#scanner.refuse('missing )');
    this.#nesting--;
    this.#options = outer;
    return branches;
  }

  #changedBy(letters: string): Options {
    const [on = '', ...off] = letters.split('-');
    return new Set([...this.#options, ...on].filter((letter) => !off.join('').includes(letter)));
  }

  #takeLook(): Look | undefined {
    const { offset } = this.#scanner;
    const found = this.#scanner.take(/\(\?(<?)([=!])/y);
    if (found === undefined) return undefined;
    const isBehind = found[1] === '<';
    const branches = this.#takeBody().map((branch) => {
      if (!isBehind) return branch;
      const octets = fixedLength(branch);
      if (octets === undefined)
        return this.#scanner.refuse('lookbehind assertion is not fixed length', offset);
      return sequenceOf([{ kind: 'back', octets }, branch]);
    });
    return { kind: 'look', negative: found[2] === '!', body: choiceOf(branches) };
  }

  #takeCondition(): Syntax {
    const { offset } = this.#scanner;
    const test = this.#takeTest();
    const [yes = sequenceOf([]), no, ...more] = this.#takeBody();
    if (more.length > 0) this.#scanner.refuse('conditional group contains more than two branches', offset);
    return { kind: 'condition', test, yes, no };
  }

  /** With the parenthesis of the group before it and its own. */
  #takeTest(): Groups | Look {
    const scanner = this.#scanner;
    if (scanner.take(/\(\?(?=\(\?)/y)) {
      return this.#takeLook() ?? scanner.refuse('assertion expected after (?(');
    }
    const numbered = scanner.take(/\(\?\(([+-]?)(\d+)\)/y);
    if (numbered !== undefined) return this.#groups.referToNumber(numbered[1] ?? '', numbered[2] ?? '');
    if (scanner.take(/\(\?\(</y)) return this.#groups.referToName(this.#groups.takeName(/>\)/y));
    if (scanner.take(/\(\?\('/y)) return this.#groups.referToName(this.#groups.takeName(/'\)/y));
    scanner.take(/\(\?\(/y);
    return this.#groups.referToName(this.#groups.takeName(/\)/y));
  }

  /** With the quantifier that follows, if any. */
  #quantified(item: Syntax): Syntax {
    const scanner = this.#scanner;
    this.#takeIgnored();
    const found = this.#quoted ? undefined : scanner.take(/[*+?]|\{(\d+)(,?)(\d*)\}/y);
    if (found === undefined) return item;
    const [min, max] = this.#countsOf(found);
    while (this.#takeComment());
    const mark = scanner.take(/[+?]/y)?.[0];
    const lazy = mark !== '+' && (mark === '?') !== this.#options.has('U');
    // PCRE takes an assertion once or, where it need not be, at most once.
    if (item.kind === 'look' && min > 0) return item;
    const most = item.kind === 'look' ? Math.min(max, 1) : max;
    const repeat: Syntax = { kind: 'repeat', item, min, max: most, lazy };
    return mark === '+' ? { kind: 'atomic', item: repeat } : repeat;
  }

  #countsOf([sign, from, comma, to]: RegExpExecArray): readonly [min: number, max: number] {
    if (from === undefined) return [sign === '+' ? 1 : 0, sign === '?' ? 1 : Number.POSITIVE_INFINITY];
    const min = Number(from);
    const upTo = to === '' ? Number.POSITIVE_INFINITY : Number(to);
    const max = comma === '' ? min : upTo;
    if (min > MAX_COUNT || (max > MAX_COUNT && to !== '')) {
      this.#scanner.refuse(`number too big in {} quantifier: more than ${MAX_COUNT}`);
    }
    if (max < min) this.#scanner.refuse('numbers out of order in {} quantifier');
    return [min, max];
  }
}

function placeOf(place: Place): Syntax {
  return { kind: 'place', place };
}

function sequenceOf(items: readonly Syntax[]): Syntax {
  return items.length === 1 && items[0] !== undefined ? items[0] : { kind: 'sequence', items };
}

function choiceOf(branches: readonly Syntax[]): Syntax {
  return branches.length === 1 && branches[0] !== undefined ? branches[0] : { kind: 'choice', branches };
}

function wordLook(isBehind: boolean): Look {
  const word: Syntax = { kind: 'octet', set: wordOctets };
  const body = isBehind ? sequenceOf([{ kind: 'back', octets: 1 }, word]) : word;
  return { kind: 'look', negative: false, body };
}

const newlineSequence: Syntax = {
  kind: 'atomic',
  item: choiceOf([
    sequenceOf([
      { kind: 'octet', set: only(0x0d) },
      { kind: 'octet', set: only(0x0a) },
    ]),
    { kind: 'octet', set: newlineOctets },
  ]),
};
