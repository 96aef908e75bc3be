/** One entry per octet: 1 where it is in the set. */
export type OctetSet = Readonly<Uint8Array>;

const OCTETS = 256;

export function octetsWhere(test: (octet: number) => boolean): OctetSet {
  return Uint8Array.from({ length: OCTETS }, (_, octet) => Number(test(octet)));
}

export function complement(set: OctetSet): OctetSet {
  return set.map((member) => 1 - member);
}

export function union(sets: readonly OctetSet[]): OctetSet {
  return octetsWhere((octet) => sets.some((set) => set[octet] === 1));
}

const singles = Array.from({ length: OCTETS }, (_, single) => octetsWhere((octet) => octet === single));

export function only(octet: number): OctetSet {
  return singles[octet] ?? empty;
}

/** Pairs of ranges, as text: each is two characters, the first and the last of it. */
function ranges(pairs: string): OctetSet {
  const codes = Buffer.from(pairs, 'latin1');
  return octetsWhere((octet) =>
    codes.some((first, at) => at % 2 === 0 && octet >= first && octet <= (codes[at + 1] ?? first)),
  );
}

export const empty: OctetSet = new Uint8Array(OCTETS);
export const anyOctet: OctetSet = complement(empty);
export const notNewline: OctetSet = complement(only(0x0a));

// Erlang gives PCRE the tables of ISO 8859-1, for octets of UTF-8 as well.
const upper = ranges('AZ\xc0\xd6\xd8\xde');
const lower = ranges('az\xaa\xaa\xb5\xb5\xba\xba\xdf\xf6\xf8\xff');
const alpha = union([upper, lower]);
const digit = ranges('09');
const alnum = union([alpha, digit]);
const graph = ranges('!~\xa0\xff');
const cntrl = ranges('\0\x1f\x7f\x9f');
const space = ranges('\t\r  ');
const word = union([alnum, only(0x5f)]);

/** `[:name:]` of a class. */
export const posixClasses: ReadonlyMap<string, OctetSet> = new Map([
  ['alpha', alpha],
  ['lower', lower],
  ['upper', upper],
  ['alnum', alnum],
  ['ascii', anyOctet], // to the octet what PCRE says without its Unicode mode
  ['blank', ranges('\t\t  ')],
  ['cntrl', cntrl],
  ['digit', digit],
  ['graph', graph],
  ['print', union([graph, only(0x20)])],
  ['punct', octetsWhere((octet) => graph[octet] === 1 && alnum[octet] === 0)],
  ['space', space],
  ['word', word],
  ['xdigit', ranges('09AFaf')],
]);

const horizontalSpace = ranges('\t\t  \xa0\xa0');
const verticalSpace = ranges('\n\r\x85\x85');

/** What a backslash and this letter stand for, inside of classes and out. */
export const escapedClasses: ReadonlyMap<string, OctetSet> = new Map([
  ['d', digit],
  ['D', complement(digit)],
  ['w', word],
  ['W', complement(word)],
  ['s', space],
  ['S', complement(space)],
  ['h', horizontalSpace],
  ['H', complement(horizontalSpace)],
  ['v', verticalSpace],
  ['V', complement(verticalSpace)],
]);

export const wordOctets = word;
export const newlineOctets = verticalSpace;

/** Of upper and lower case, by the same tables. */
export function otherCase(octet: number): number {
  const other = octet ^ 0x20;
  const isPair = upper[octet & ~0x20] === 1 && lower[octet | 0x20] === 1;
  return isPair ? other : octet;
}

export function caseless(set: OctetSet): OctetSet {
  return octetsWhere((octet) => set[octet] === 1 || set[otherCase(octet)] === 1);
}

const GENERAL_CATEGORY = /^(?:C[cfnos]?|L[lmotu&]?|M[cen]?|N[dlo]?|P[cdefios]?|S[ckmo]?|Z[lps]?|Any)$/;

/** Octets as the characters of ISO 8859-1 that have this Unicode property; undefined for one that is not known. */
export function havingProperty(name: string): OctetSet | undefined {
  if (!GENERAL_CATEGORY.test(name)) return undefined;
  const property = new RegExp(`\\p{${name === 'L&' ? 'LC' : name}}`, 'u');
  return octetsWhere((octet) => property.test(String.fromCharCode(octet)));
}
