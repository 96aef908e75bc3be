import type { Random } from '../test/support/random.js';
import type { GrantLink, Probe } from './grant-model.js';
import type { Entries } from './grant-tokens.js';
import { HEADER, peer } from './grant-tokens.js';

/** A token of these claims, and what is done to it after it was signed. */
export interface TokenCase {
  readonly kind: 'token';
  readonly header: Entries;
  readonly payload: Entries;
  readonly by: number;
  readonly edits: readonly { readonly at: number; readonly drop: number; readonly put: string }[];
}

/** Grants that were each delegated from the one before; `revoked` are places in the chain. */
export interface ChainCase {
  readonly kind: 'chain';
  readonly links: readonly GrantLink[];
  readonly probes: readonly Probe[];
  readonly nowMs: number;
  readonly revoked: readonly number[];
}

/** Of two patterns the first one may cover the other. */
export interface PatternCase {
  readonly kind: 'patterns';
  readonly names: readonly [string, string];
  readonly topics: readonly [string, string];
  readonly keys: readonly string[];
}

export type GrantCase = TokenCase | ChainCase | PatternCase;

const MAX_NAME_BYTES = 255;
const IAT = 1_800_000_000;
const DAY = 86_400;
const RIGHTS = ['publish', 'subscribe', 'administer'];

export function randomGrantCase(random: Random): GrantCase {
  const kind = random.int(10);
  if (kind < 4) return tokenCase(random);
  return kind < 7 ? chainCase(random) : patternCase(random);
}

// --- tokens ---

/** JSON texts that some claim somewhere is not, or hardly. */
const ODD = [
  ...[
    'null',
    'true',
    '0',
    '-0',
    '-1',
    '1.5',
    '1e3',
    '1e400',
    '9007199254740993',
    '99999999999',
    '100000000001',
  ],
  ...[
    '""',
    '"a"',
    '"\\ud800"',
    '"\\u0000"',
    '"é\u{1f600}"',
    '"bearer"',
    '"__proto__"',
    '"e30.e30.AAAA"',
    '"publish"',
  ],
  ...[
    '[]',
    '{}',
    '[null]',
    '["a"]',
    '["a","a"]',
    '["publish","publish"]',
    '["publish","rule"]',
    '[["a"]]',
    '["\\udc00"]',
  ],
  ...[
    `"${'x'.repeat(255)}"`,
    `"${'x'.repeat(256)}"`,
    `"${'é'.repeat(128)}"`,
    `${'['.repeat(900)}${']'.repeat(900)}`,
  ],
  ...[
    `"${'Aa0_'.repeat(8)}"`,
    `"${'a'.repeat(15)}"`,
    `"${'a'.repeat(33)}"`,
    `"${'B'.repeat(43)}"`,
    `"${'a'.repeat(16)}\\n"`,
  ],
  ...[
    `[${Array(32).fill('"*"')}]`,
    `[${Array(33).fill('"*"')}]`,
    `["${'#.'.repeat(127)}#"]`,
    `{"toString":"EdDSA"}`,
  ],
];
const HEADERS: Entries = [
  ...['"none"', '"HS256"', '"eddsa"', '"Ed25519"', '["EdDSA"]', 'null'].map(
    (value) => ['alg', value] as const,
  ),
  ...['"JWT"', '"xspace-grant+JWT"', 'null'].map((value) => ['typ', value] as const),
  ['kid', '"12D3KooW"'],
  ['jwk', '{"kty":"OKP","crv":"Ed25519","x":"AAAA"}'],
  ['crit', '[]'],
  ['crit', `["${'x'.repeat(4000)}"]`],
  ['b64', 'false'],
  ['b64', 'true'],
];

function tokenCase(random: Random): TokenCase {
  const by = random.int(3);
  const issuer = random.int(8) === 0 ? random.int(4) : by;
  let payload: Entries = [
    ['iss', JSON.stringify(peer(issuer))],
    ['sub', JSON.stringify(peer(random.int(4)))],
    ['space', '"market"'],
    ['owner', JSON.stringify(peer(issuer))],
    ['points', JSON.stringify(some(random, nameIn))],
    ['rights', JSON.stringify(RIGHTS.slice(random.int(3)))],
    ['routing_keys', JSON.stringify(some(random, topicIn))],
    ['iat', `${IAT}`],
    ['exp', `${IAT + 1 + random.int(20 * 365 * DAY)}`],
    ['jti', `"${'id'.repeat(8 + random.int(9))}"`],
    ['delegable', `${random.int(6)}`],
    ['rendezvous', JSON.stringify(Buffer.alloc(32, random.int(256)).toString('base64url'))],
  ];
  for (let times = random.int(3); times > 0; times -= 1) payload = changed(payload, random);
  const header = random.int(3) === 0 ? [...HEADER, random.pick(HEADERS)] : HEADER;
  return { kind: 'token', header, payload, by, edits: random.int(4) === 0 ? edits(random) : [] };
}

/** One claim is another, or twice, or gone, or one more. */
function changed(payload: Entries, random: Random): Entries {
  const at = random.int(payload.length);
  const [name] = payload[at] as Entries[number];
  const odd = [name, random.pick(ODD)] as const;
  switch (random.int(5)) {
    case 0:
      return payload.filter((_, index) => index !== at);
    case 1:
      return [...payload, odd];
    case 2:
      return [[random.pick(['parent', 'key', 'nbf', '__proto__', 'crit']), random.pick(ODD)], ...payload];
    default:
      return payload.map((entry, index) => (index === at ? odd : entry));
  }
}

function edits(random: Random): TokenCase['edits'] {
  const put = ['', 'A', '=', '.', '..', '+', ' ', '\n', '\u0000', 'é', 'AAAA', 'A'.repeat(9000)];
  return random.list(3, () => ({ at: random.int(1200), drop: random.int(4), put: random.pick(put) }));
}

// --- chains ---

function chainCase(random: Random): ChainCase {
  const links: GrantLink[] = [];
  for (let length = 1 + random.int(6); links.length < length; ) links.push(nextLink(links.at(-1), random));
  const probes = random.list(6, () => ({ point: nameIn(random).replaceAll('*', 'a'), key: keyIn(random) }));
  const nowMs = 1000 * (IAT + random.pick([-301, -300, 0, DAY / 2, DAY + 300, DAY + 301]));
  return { kind: 'chain', links, probes, nowMs, revoked: random.int(4) === 0 ? [random.int(7)] : [] };
}

/** Mostly within the one before, and often not. */
function nextLink(parent: GrantLink | undefined, random: Random): GrantLink {
  const free: GrantLink = {
    by: random.int(8) === 0 ? random.int(4) : (parent?.to ?? 0),
    to: random.int(4),
    points: some(random, nameIn),
    rights: RIGHTS.slice(0, 1 + random.int(3)),
    keys: some(random, topicIn),
    iat: IAT + random.int(2),
    exp: IAT + DAY + random.int(2),
    delegable: random.int(5),
    space: random.int(30) === 0 ? 'other' : 'market',
  };
  if (parent === undefined) return { ...free, delegable: Math.max(free.delegable, random.int(5)), iat: IAT };
  const narrow: GrantLink = {
    ...free,
    points: parent.points.map((pattern) => narrowed(pattern, '*', 'ab', random)),
    rights: parent.rights.slice(0, 1 + random.int(parent.rights.length)),
    keys: parent.keys.map((pattern) => narrowed(pattern, '#', 'a.*', random)),
    iat: parent.iat,
    exp: parent.exp - random.int(2),
    delegable: Math.max(0, parent.delegable - 1),
  };
  const wide = random.pick([
    'none',
    'none',
    'none',
    'points',
    'rights',
    'keys',
    'iat',
    'exp',
    'delegable',
  ] as const);
  return wide === 'none' ? narrow : { ...narrow, [wide]: free[wide] };
}

function narrowed(pattern: string, any: string, by: string, random: Random): string {
  const narrow = pattern.replace(any, random.pick(['', by, any, `${any}.${by}`, by]));
  const isName = narrow !== '' && Buffer.byteLength(narrow) <= MAX_NAME_BYTES;
  return isName && random.int(2) === 0 ? narrow : pattern;
}

// --- patterns ---

function patternCase(random: Random): PatternCase {
  const [name, topic] = [nameIn(random), topicIn(random)];
  return {
    kind: 'patterns',
    names: [name, random.int(2) === 0 ? nameIn(random) : narrowed(name, '*', 'ab*', random)],
    topics: [topic, random.int(2) === 0 ? topicIn(random) : narrowed(topic, '#', 'a.#.*', random)],
    keys: random.list(8, () => keyIn(random)),
  };
}

const LONG_NAMES = ['*'.repeat(255), `${'*a'.repeat(127)}b`, 'a'.repeat(255), `${'é*'.repeat(80)}`];
const LONG_TOPICS = [
  `${'#.'.repeat(127)}#`,
  `${'#.a.'.repeat(60)}b`,
  `${'*.'.repeat(127)}*`,
  '.'.repeat(255),
];

function nameIn(random: Random): string {
  if (random.int(40) === 0) return random.pick(LONG_NAMES);
  return `${random.pick(['a', 'b', '*', 'é\u{1f600}', '.'])}${random.list(5, () => random.pick(['a', 'b', '*', '.'])).join('')}`;
}

function topicIn(random: Random): string {
  if (random.int(40) === 0) return random.pick(LONG_TOPICS);
  return random.list(5, () => random.pick(['a', 'b', '*', '#', '', '\u{1f600}'])).join('.');
}

function keyIn(random: Random): string {
  return random.list(5, () => random.pick(['a', 'b', '*', '#', '', '\u{1f600}'])).join('.');
}

function some(random: Random, of: (random: Random) => string): readonly string[] {
  return [of(random), ...random.list(2, () => of(random))];
}
