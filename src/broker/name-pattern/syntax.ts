import type { OctetSet } from './octet-set.js';

/** Where something holds, without taking an octet. */
export type Place =
  | 'start'
  | 'line-start'
  | 'end'
  | 'last-line-end'
  | 'line-end'
  | 'word-edge'
  | 'no-word-edge';

/** Numbers of groups: several where they share a name. */
export type Groups = readonly number[];

export interface Look {
  readonly kind: 'look';
  readonly negative: boolean;
  /** Of a look-behind, each branch begins with a step back. */
  readonly body: Syntax;
}

/** A parsed expression: what is left of one when names, options, comments and escapes are resolved. */
export type Syntax =
  | { readonly kind: 'octet'; readonly set: OctetSet }
  | { readonly kind: 'place'; readonly place: Place }
  | { readonly kind: 'back'; readonly octets: number }
  | { readonly kind: 'sequence'; readonly items: readonly Syntax[] }
  | { readonly kind: 'choice'; readonly branches: readonly Syntax[] }
  | Repeat
  | { readonly kind: 'capture'; readonly group: number; readonly item: Syntax }
  | { readonly kind: 'atomic'; readonly item: Syntax }
  | Look
  | Condition
  | { readonly kind: 'reference'; readonly groups: Groups; readonly caseless: boolean };

export interface Repeat {
  readonly kind: 'repeat';
  readonly item: Syntax;
  readonly min: number;
  /** Infinity where there is none. */
  readonly max: number;
  readonly lazy: boolean;
}

export interface Condition {
  readonly kind: 'condition';
  readonly test: Groups | Look;
  readonly yes: Syntax;
  readonly no: Syntax | undefined;
}

/** In octets, as PCRE finds it for a look-behind; undefined where it varies, or PCRE does not see that it does not. */
export function fixedLength(syntax: Syntax): number | undefined {
  switch (syntax.kind) {
    case 'octet':
      return 1;
    case 'place':
    case 'look':
      return 0;
    case 'back':
    case 'reference':
      return undefined;
    case 'sequence':
      return syntax.items.reduce<number | undefined>((sum, item) => add(sum, fixedLength(item)), 0);
    case 'choice':
      return common(syntax.branches);
    case 'repeat':
      return repeatedLength(syntax);
    case 'capture':
    case 'atomic':
      return fixedLength(syntax.item);
    case 'condition':
      return common(syntax.no === undefined ? [syntax.yes] : [syntax.yes, syntax.no]);
    default:
      return syntax satisfies never;
  }
}

function repeatedLength({ item, min, max }: Repeat): number | undefined {
  if (min !== max) return undefined;
  // Of what is repeated no times, PCRE drops all but groups.
  if (max === 0) return item.kind === 'octet' || item.kind === 'reference' ? 0 : undefined;
  const length = fixedLength(item);
  return length === undefined ? undefined : length * min;
}

function common(branches: readonly Syntax[]): number | undefined {
  const [first, ...others] = branches.map(fixedLength);
  return others.every((length) => length === first) ? first : undefined;
}

function add(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : a + b;
}
