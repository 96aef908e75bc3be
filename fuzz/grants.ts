import { deepStrictEqual } from 'node:assert/strict';
import type { Grant } from '../src/dht-space/grant.js';
import { assertInForce, readGrant } from '../src/dht-space/grant.js';
import { GrantError } from '../src/dht-space/grant-claims.js';
import { coversName, RoutingKeys } from '../src/dht-space/grant-patterns.js';
import { GRANT_CLOCK_SKEW_MS, MAX_GRANT_BYTES } from '../src/dht-space/limits.js';
import { PointAccess } from '../src/dht-space/point-access.js';
import type { ChainCase, GrantCase, PatternCase, TokenCase } from './grant-cases.js';
import { randomGrantCase } from './grant-cases.js';
import type { GrantLink } from './grant-model.js';
import { gives, isPlain, isSound, keyCovers, keyMatches, nameCovers, nameMatches } from './grant-model.js';
import { HEADER, idOf, jsonOf, numberOf, signed, tokensOf } from './grant-tokens.js';
import type { Target } from './target.js';

const TIME_LIMIT_MS = 1_000;
/** What ends in logs and in the answers to apps. */
const MAX_REASON_UNITS = 1_000;

/**
 * Grants that nobody would sign, grants that were handed down, and their patterns, all held against a model: what is read
 * is a grant by docs/grants.md, gives exactly what it says, and never more than any that it was delegated from.
 */
export const grants: Target<GrantCase> = {
  name: 'grants',
  generate: randomGrantCase,
  async run(testCase) {
    // Not the time that others had the processor.
    const started = process.cpuUsage();
    try {
      check(testCase);
    } catch (error) {
      return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    }
    const { user, system } = process.cpuUsage(started);
    const ms = (user + system) / 1_000;
    return ms > TIME_LIMIT_MS ? `took ${Math.round(ms)} ms` : undefined;
  },
  parts: {
    of: (testCase) => {
      if (testCase.kind === 'token') return testCase.payload;
      return testCase.kind === 'chain' ? testCase.probes : testCase.keys;
    },
    toCase: (parts, from) => {
      if (from.kind === 'token') return { ...from, payload: parts as TokenCase['payload'] };
      if (from.kind === 'chain') return { ...from, probes: parts as ChainCase['probes'] };
      return { ...from, keys: parts as PatternCase['keys'] };
    },
  },
};

function check(testCase: GrantCase): void {
  if (testCase.kind === 'token') checkToken(testCase);
  else if (testCase.kind === 'chain') checkChain(testCase);
  else checkPatterns(testCase);
}

/** @returns undefined for what is no grant. @throws whatever is no GrantError, and what nobody should have to read */
function read(token: string): Grant | undefined {
  try {
    return readGrant(token);
  } catch (error) {
    if (!(error instanceof GrantError)) throw error;
    if (error.message.length > MAX_REASON_UNITS)
      throw new Error(`a reason of ${error.message.length} characters`);
    return undefined;
  }
}

// --- one token ---

function checkToken({ header, payload, by, edits }: TokenCase): void {
  const whole = signed(jsonOf(header), jsonOf(payload), by);
  const token = edits.reduce(
    (text, { at, drop, put }) => text.slice(0, at) + put + text.slice(at + drop),
    whole,
  );
  const grant = read(token);
  const expected =
    token === whole && isHeader(JSON.parse(jsonOf(header))) && isRoot(JSON.parse(jsonOf(payload)), by);
  if ((grant !== undefined) !== expected)
    throw new Error(expected ? 'a grant is refused' : 'what is no grant is taken for one');
  if (grant !== undefined) deepStrictEqual(readGrant(grant.token), grant);
}

type Json = { readonly [name: string]: unknown };

function isHeader({ alg, typ, crit, b64 }: Json): boolean {
  deepStrictEqual(jsonOf(HEADER), '{"alg":"EdDSA","typ":"xspace-grant+jwt"}');
  return alg === 'EdDSA' && typ === 'xspace-grant+jwt' && crit === undefined && b64 === undefined;
}

/** Whether these are the claims of a grant of an owner, who has signed it with this key. */
function isRoot(claims: Json, by: number): boolean {
  const { iss, sub, owner, space, points, rights, routing_keys: keys, iat, exp, jti, delegable } = claims;
  const { rendezvous, parent, key } = claims;
  const isSeconds = (value: unknown) => isWhole(value, 1e11);
  const isPeer = (value: unknown) => typeof value === 'string' && numberOf(value) >= 0;
  const isRight = (value: unknown) => ['publish', 'subscribe', 'administer'].includes(String(value));
  const isDistinct = (value: unknown[]) => new Set(value).size === value.length;
  return [
    isPeer(iss) && iss === owner && numberOf(String(iss)) === by && isPeer(sub),
    isText(space, 1),
    isList(points, 32) && points.every((point) => isText(point, 1)),
    isList(rights, 3) &&
      rights.every((right) => typeof right === 'string' && isRight(right)) &&
      isDistinct(rights),
    isList(keys, 32) && keys.every((one) => isText(one, 0)),
    isSeconds(iat) && isSeconds(exp) && exp > iat && exp - iat <= 10 * 365 * 24 * 3600,
    typeof jti === 'string' && /^[\w-]{16,32}$/.test(jti) && !jti.endsWith('\n'),
    isWhole(delegable, 4),
    isSecret(rendezvous),
    parent === undefined && key === undefined,
  ].every(Boolean);
}

function isWhole(value: unknown, most: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= most;
}

function isList(value: unknown, most: number): value is unknown[] {
  return Array.isArray(value) && value.length > 0 && value.length <= most;
}

function isSecret(value: unknown): boolean {
  if (typeof value !== 'string') return false;
  const octets = Buffer.from(value, 'base64url');
  return octets.length === 32 && octets.toString('base64url') === value;
}

function isText(value: unknown, minBytes: number): boolean {
  if (typeof value !== 'string' || /[\ud800-\udfff]/u.test(value)) return false;
  const { length } = new TextEncoder().encode(value);
  return length >= minBytes && length <= 255;
}

// --- what was handed down ---

function checkChain({ links, probes, nowMs, revoked }: ChainCase): void {
  const tokens = tokensOf(links);
  const token = tokens.at(-1) ?? '';
  const grant = read(token);
  if (grant === undefined) {
    const fits = tokens.every(({ length }) => length <= MAX_GRANT_BYTES);
    if (fits && isPlain(links)) throw new Error('a chain is refused');
    return;
  }
  if (!isSound(links)) throw new Error('a chain that widens is taken');
  const last = links.at(-1) as GrantLink;
  for (const probe of probes) {
    const access = PointAccess.of([grant], probe.point);
    const found = [access.mayPublish(probe.key), access.maySubscribe(probe.key)];
    deepStrictEqual(
      found,
      [gives(last, 'publish', probe), gives(last, 'subscribe', probe)],
      'it gives something else',
    );
    for (const right of ['publish', 'subscribe']) {
      const widens = gives(last, right, probe) && !links.every((link) => gives(link, right, probe));
      if (widens) throw new Error('it gives more than one that it was delegated from');
    }
  }
  const isInForce = inForce(grant, nowMs, revoked.map(idOf));
  const inTime = links.every(({ iat, exp }) => isTime(nowMs, iat * 1000, exp * 1000));
  deepStrictEqual(isInForce, inTime && !revoked.some((index) => index < links.length), 'in force');
}

function inForce(grant: Grant, nowMs: number, revoked: readonly string[]): boolean {
  try {
    assertInForce(grant, nowMs, (id) => revoked.includes(id));
    return true;
  } catch (error) {
    if (error instanceof GrantError) return false;
    throw error;
  }
}

function isTime(nowMs: number, fromMs: number, toMs: number): boolean {
  return nowMs >= fromMs - GRANT_CLOCK_SKEW_MS && nowMs <= toMs + GRANT_CLOCK_SKEW_MS;
}

// --- patterns ---

function checkPatterns({ names: [wide, narrow], topics: [all, some], keys }: PatternCase): void {
  deepStrictEqual(coversName(wide, narrow), nameCovers(wide, narrow), 'names');
  const routing = new RoutingKeys([all]);
  if (routing.covers(some) && !keyCovers(all, some)) throw new Error('routing keys that are not covered');
  if (!routing.covers(all)) throw new Error('a pattern does not cover itself');
  for (const key of keys) {
    deepStrictEqual(routing.matches(key), keyMatches(all, key), 'routing keys');
    if (nameMatches(narrow, key) && coversName(wide, narrow) && !coversName(wide, key)) {
      throw new Error('names that are not covered');
    }
  }
}
