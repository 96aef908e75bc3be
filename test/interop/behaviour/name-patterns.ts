import type { Account } from './accounts.js';

/** Who a pattern is granted to, and in which of the three roles: one account has three, to have few. */
export interface Granted {
  readonly account: Account;
  readonly role: (typeof roles)[number];
  readonly pattern: string;
  readonly allowed: readonly string[];
  readonly refused: readonly string[];
}

const roles = ['configure', 'write', 'read'] as const;

type Row = readonly [pattern: string, allowed: readonly string[], refused: readonly string[]];

/** In threes, in the order of the roles. */
const rows: readonly Row[] = [
  ['^(orders|bills)\\.', ['orders.new', 'bills.', 'or\nders.new\n\n'], ['order.new', 'my.orders.new']],
  ['new', ['orders.new', 'renewal'], ['orders.old', 'n\new']],
  ['^line$', ['line', 'line\n'], ['a line', 'lines', 'line\n\n', 'li\nne']],

  ['^gr.n$', ['gron'], ['grün']],
  ['^gr..n$', ['grün', 'groon'], ['gron']],
  ['^gr[ü]n$', [], ['grün', 'gron']],

  ['^(?!amq\\.)', ['mine'], ['amq.mine']],
  ['^(?=.*a)(?=.*b)\\w+$', ['ba', 'cab'], ['aa', 'b a']],
  ['(?<=in|out)\\.x$', ['in.x', 'about.x'], ['x', 'at.x']],

  ['^(.+)-\\1$', ['a-a', 'ab-ab'], ['a-b', 'a-']],
  ['^(?<first>.)(.).*\\k<first>\\g{-1}$', ['ab-ab', 'aaaa'], ['ab-ba']],
  ['^(a)?(?(1)b|c)$', ['ab', 'c'], ['b', 'ac']],

  ['(?i)^grÜn$', ['grÜn', 'GRÜN'], ['grün']],
  ['^[[:alpha:]]+[[:^alpha:]]$', ['abc1'], ['abc']],
  ['^\\w\\W$', ['a-', 'ü'], ['aa', '--']],

  ['^(?>a|ab)c$', ['ac'], ['abc']],
  ['^a++b|^c{,2}$', ['aab', 'c{,2}'], ['cc', 'c']],
  ['^a.b$|(?<!c)d\\b', ['a-b', 'd', 'ad'], ['aüb', 'cd', 'do']],

  ['(?x) ^ a b # not these', ['abc'], ['a b']],
  ['^\\Qa.b\\E+$', ['a.b', 'a.bb'], ['aab']],
  ['\\Ax\\Ky\\z', ['xy'], ['xyz', 'axy']],

  ['^(a(?i)b|c)$', ['ab', 'aB', 'C'], ['Ab']],
  ['^(?|(a)|(b))\\1$', ['aa', 'bb'], ['ab']],
  ['^(a|\\1b)+$', ['a', 'aa'], ['aab', 'b']],

  ['^\\x67\\o{162}\\303\\xbcn$', ['grün'], ['gr']],
  ['^(a+)+$', ['a'.repeat(255)], [`${'a'.repeat(20)}!`]],
  ['', [], ['a', 'amq.default']],
];

export const patternAccounts: readonly Account[] = Array.from(
  { length: Math.ceil(rows.length / 3) },
  (_, index) => {
    const [configure = '', write = '', read = ''] = rows.slice(index * 3).map(([pattern]) => pattern);
    return {
      name: `pattern-${index}`,
      password: 'pattern',
      tags: [],
      permissions: [{ vhost: '/', configure, write, read }],
    };
  },
);

export const granted: readonly Granted[] = rows.map(([pattern, allowed, refused], index) => {
  const [account, role] = [patternAccounts[Math.floor(index / 3)], roles[index % 3]];
  if (account === undefined || role === undefined) throw new Error(`no account for ${pattern}`);
  return { account, role, pattern, allowed, refused };
});
