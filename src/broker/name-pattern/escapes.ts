import type { OctetSet } from './octet-set.js';
import { complement, escapedClasses, havingProperty } from './octet-set.js';
import type { Scanner } from './scanner.js';

const NAMED_OCTETS: Readonly<Record<string, number>> = {
  a: 0x07,
  e: 0x1b,
  f: 0x0c,
  n: 0x0a,
  r: 0x0d,
  t: 0x09,
};

/** After a backslash, what stands for any of several octets, inside of classes and out. */
export function takeEscapedClass(scanner: Scanner): OctetSet | undefined {
  const letter = scanner.take(/[dDwWsShHvV]/y);
  if (letter !== undefined) return escapedClasses.get(letter[0]);
  return scanner.sees(/[pP]/y) ? takeProperty(scanner) : undefined;
}

function takeProperty(scanner: Scanner): OctetSet {
  const found = scanner.take(/([pP])(?:\{(\^?)([^}]*)\}|([^{]))/sy);
  if (found === undefined) return scanner.refuse('malformed \\P or \\p sequence');
  const [, letter, caret, long, short] = found;
  const set = havingProperty(long ?? short ?? '');
  if (set === undefined)
    return scanner.refuse('unknown property name after \\P or \\p, or not a general category');
  return (letter === 'P') === (caret !== '^') ? complement(set) : set;
}

/** After a backslash, what stands for one octet, inside of classes and out. */
export function takeEscapedOctet(scanner: Scanner): number | undefined {
  const named = scanner.take(/[aefnrt]/y);
  if (named !== undefined) return NAMED_OCTETS[named[0]];
  if (scanner.take(/c/y)) return takeControl(scanner);
  if (scanner.take(/x\{/y)) return takeBraced(scanner, /([0-9A-Fa-f]*)\}/y, 16, '\\x{}');
  const hex = scanner.take(/x([0-9A-Fa-f]{0,2})/y);
  if (hex !== undefined) return Number.parseInt(`0${hex[1]}`, 16);
  if (scanner.take(/o\{/y)) return takeBraced(scanner, /([0-7]*)\}/y, 8, '\\o{}');
  if (scanner.take(/o/y)) return scanner.refuse('missing opening brace after \\o');
  const octal = scanner.take(/[0-7]{1,3}/y);
  if (octal !== undefined) return octet(scanner, Number.parseInt(octal[0], 8));
  if (scanner.take(/N(?!\{\d+(?:,\d*)?\})\{|[LlUu]/y)) {
    return scanner.refuse('\\L, \\l, \\N{name}, \\U and \\u are not supported');
  }
  return undefined;
}

function takeControl(scanner: Scanner): number {
  const found = scanner.take(/[\0-\x7f]/y);
  if (found === undefined) return scanner.refuse('\\c must be followed by an ASCII character');
  return found[0].toUpperCase().charCodeAt(0) ^ 0x40;
}

function takeBraced(scanner: Scanner, digits: RegExp, radix: number, construct: string): number {
  const found = scanner.take(digits);
  if (found === undefined) return scanner.refuse(`wrong digit in ${construct}, or no closing brace`);
  if (found[1] === '') return scanner.refuse(`digits missing in ${construct}`);
  return octet(scanner, Number.parseInt(found[1] ?? '', radix));
}

function octet(scanner: Scanner, value: number): number {
  return value > 0xff ? scanner.refuse('character value is greater than 255') : value;
}
