import { takeEscapedClass, takeEscapedOctet } from './escapes.js';
import type { OctetSet } from './octet-set.js';
import { caseless, complement, octetsWhere, posixClasses, union } from './octet-set.js';
import type { Scanner } from './scanner.js';

/** `[:`, `[.` or `[=` up to its counterpart, unless a bracket intervenes. */
export const POSIX_ITEM = /\[([:.=])((?:\\[\]\\]|(?!\1\]|\[\1)(?:[^\]\\]|\\(?![\]\\])))*)\1\]/y;

export interface ClassOptions {
  /** (?i) */
  readonly caseless: boolean;
  /** (?X): an escaped letter without a meaning is an error. */
  readonly strict: boolean;
}

/** What is left of a bracket class after its `[`. */
export function takeClass(scanner: Scanner, options: ClassOptions): OctetSet {
  return new OctetClass(scanner, options).take();
}

class OctetClass {
  readonly #scanner: Scanner;
  readonly #options: ClassOptions;
  readonly #members: OctetSet[] = [];
  /** After \Q, until \E. */
  #quoted = false;

  constructor(scanner: Scanner, options: ClassOptions) {
    this.#scanner = scanner;
    this.#options = options;
  }

  take(): OctetSet {
    const scanner = this.#scanner;
    const negated = scanner.take(/(?:\\E|\\Q\\E)*\^/y) !== undefined;
    scanner.take(/(?:\\E|\\Q\\E)*/y);
    if (scanner.take(/\]/y)) this.#addFrom(0x5d);
    while (!this.#takeEnd()) this.#takeMember();
    const set = union(this.#members);
    return negated ? complement(set) : set;
  }

  #takeEnd(): boolean {
    this.#takeQuotes();
    if (this.#scanner.atEnd) this.#scanner.refuse('missing terminating ] for character class');
    return !this.#quoted && this.#scanner.take(/\]/y) !== undefined;
  }

  #takeQuotes(): void {
    for (;;) {
      if (this.#scanner.take(/\\E/y)) this.#quoted = false;
      else if (!this.#quoted && this.#scanner.take(/\\Q/y)) this.#quoted = true;
      else return;
    }
  }

  #takeMember(): void {
    const set = this.#quoted ? undefined : this.#takeSet();
    if (set === undefined) this.#addFrom(this.#takeOctet());
    else this.#members.push(set);
  }

  /** Of several octets, and never an end of a range. */
  #takeSet(): OctetSet | undefined {
    const posix = this.#scanner.take(POSIX_ITEM);
    if (posix !== undefined) return this.#posixClass(posix[1], posix[2] ?? '');
    const { offset } = this.#scanner;
    const set = this.#scanner.take(/\\/y) && takeEscapedClass(this.#scanner);
    if (set === undefined) this.#scanner.offset = offset;
    return set;
  }

  #takeOctet(): number {
    const isEscaped = !this.#quoted && this.#scanner.take(/\\/y) !== undefined;
    return isEscaped ? this.#takeEscaped() : this.#scanner.next().charCodeAt(0);
  }

  #takeEscaped(): number {
    const scanner = this.#scanner;
    if (scanner.atEnd) scanner.refuse('\\ at end of pattern');
    if (scanner.take(/b/y)) return 0x08;
    const octet = takeEscapedOctet(scanner);
    if (octet !== undefined) return octet;
    if (scanner.sees(/N/y)) scanner.refuse('\\N is not supported in a class');
    if (this.#options.strict && scanner.sees(/[A-Za-fh-z]/y)) {
      scanner.refuse('invalid escape sequence in character class');
    }
    return scanner.next().charCodeAt(0);
  }

  /** The octet, or the range that begins with it. */
  #addFrom(first: number): void {
    const scanner = this.#scanner;
    const { offset } = scanner;
    while (scanner.take(/\\E/y)) this.#quoted = false;
    const before = scanner.offset;
    const last = !this.#quoted && scanner.take(/-/y) ? this.#takeLast() : undefined;
    if (last === undefined) scanner.offset = before;
    else if (last < first) scanner.refuse('range out of order in character class', offset);
    const range = octetsWhere((octet) => octet >= first && octet <= (last ?? first));
    this.#members.push(this.#options.caseless ? caseless(range) : range);
  }

  /** Undefined at the end of the class, where the hyphen stands for itself. */
  #takeLast(): number | undefined {
    const scanner = this.#scanner;
    this.#takeQuotes();
    if (scanner.atEnd || (!this.#quoted && scanner.sees(/\]/y))) return undefined;
    const isClass = scanner.sees(POSIX_ITEM) || scanner.sees(/\\[ABCDGHKNPRSVWXZdhkpsvwz]/y);
    if (isClass && !this.#quoted) scanner.refuse('invalid range in character class');
    return this.#takeOctet();
  }

  #posixClass(delimiter: string | undefined, text: string): OctetSet {
    if (delimiter !== ':') this.#scanner.refuse('POSIX collating elements are not supported');
    const name = text.replace(/^\^/, '');
    const isCased = name === 'lower' || name === 'upper';
    const set = posixClasses.get(isCased && this.#options.caseless ? 'alpha' : name);
    if (set === undefined) return this.#scanner.refuse('unknown POSIX class name');
    return name === text ? set : complement(set);
  }
}
