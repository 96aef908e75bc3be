import { createPublicKey } from 'node:crypto';
import { CompactSign, compactVerify, decodeJwt } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { privateKeyObject } from '../../src/dht-space/ed25519.js';
import type { Grant } from '../../src/dht-space/grant.js';
import { assertInForce, readGrant } from '../../src/dht-space/grant.js';
import { GrantError } from '../../src/dht-space/grant-claims.js';
import { redeem } from '../../src/dht-space/grant-issue.js';
import { coversName } from '../../src/dht-space/grant-patterns.js';
import { GRANT_CLOCK_SKEW_MS, MAX_GRANT_BYTES } from '../../src/dht-space/limits.js';
import { Random, seed } from '../support/random.js';
import type { Identity } from './fixtures.js';
import { identities, NOW } from './fixtures.js';
import { DAY_MS, delegated, issued } from './grant-fixtures.js';

const HEADER = { alg: 'EdDSA', typ: 'xspace-grant+jwt' };
let owner: Identity;
let holder: Identity;
let other: Identity;
let grant: Grant;

beforeAll(async () => {
  [owner, holder, other] = (await identities(3)) as [Identity, Identity, Identity];
  grant = await issued(owner, holder.id);
});

function signed(claims: object, by: Identity, header: object = HEADER): Promise<string> {
  const payload = new TextEncoder().encode(JSON.stringify(claims));
  return new CompactSign(payload).setProtectedHeader(header as typeof HEADER).sign(privateKeyObject(by.key));
}

function problemOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof GrantError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return 'none';
}

async function problemOfDelegation(...args: Parameters<typeof delegated>): Promise<string> {
  const outcome = await delegated(...args).catch((error: unknown) => error);
  return outcome instanceof GrantError ? `${outcome.code}: ${outcome.message}` : 'none';
}

describe('a grant', () => {
  it('is a compact JWS that other software verifies', async () => {
    const { protectedHeader, payload } = await compactVerify(
      grant.token,
      createPublicKey(privateKeyObject(owner.key)),
    );
    expect(protectedHeader).toEqual(HEADER);
    expect(JSON.parse(new TextDecoder().decode(payload))).toMatchObject({
      iss: owner.id,
      sub: holder.id,
      space: 'market',
      owner: owner.id,
      points: ['bids', 'mail*'],
      rights: ['publish', 'subscribe'],
      routing_keys: ['eu.#'],
      iat: NOW / 1000,
      exp: (NOW + DAY_MS) / 1000,
      delegable: 2,
    });
  });

  it('is read from what other software has signed', async () => {
    expect(readGrant(await signed(decodeJwt(grant.token), owner)).claims).toEqual(grant.claims);
  });

  it.each<[string, (claims: Record<string, unknown>) => object, string]>([
    ['no points', (claims) => ({ ...claims, points: [] }), "malformed: no grant: claim 'points'"],
    ['33 points', (claims) => ({ ...claims, points: Array(33).fill('a') }), "claim 'points'"],
    ['an unknown right', (claims) => ({ ...claims, rights: ['publish', 'rule'] }), "claim 'rights'"],
    ['a right twice', (claims) => ({ ...claims, rights: ['publish', 'publish'] }), "claim 'rights'"],
    ['a routing key that is no text', (claims) => ({ ...claims, routing_keys: [1] }), "claim 'routing_keys'"],
    ['an end before its beginning', (claims) => ({ ...claims, exp: claims.iat }), "claim 'exp'"],
    ['no end', ({ exp: _, ...claims }) => claims, "claim 'exp'"],
    ['an end that is text', (claims) => ({ ...claims, exp: '9999999999' }), "claim 'exp'"],
    ['an id of one character', (claims) => ({ ...claims, jti: 'x' }), "claim 'jti'"],
    ['a negative number of delegations', (claims) => ({ ...claims, delegable: -1 }), "claim 'delegable'"],
    ['a secret that is too short', (claims) => ({ ...claims, rendezvous: 'AAAA' }), "claim 'rendezvous'"],
    ['a holder that is no peer', (claims) => ({ ...claims, sub: 'somebody' }), 'no peer id'],
    ['a key that it does not need', (claims) => ({ ...claims, key: 'AAAA' }), "claim 'key'"],
    ['a parent that is no grant', (claims) => ({ ...claims, parent: 'a.b.c' }), 'no grant'],
    ['a name of half a character', (claims) => ({ ...claims, space: '\ud800' }), "claim 'space'"],
  ])('with %s is none', async (_, change, text) => {
    const token = await signed(change(decodeJwt(grant.token)), owner);
    expect(problemOf(() => readGrant(token))).toContain(text);
  });

  it('is refused with a header that asks for something else', async () => {
    const claims = decodeJwt(grant.token);
    const [, payload, signature] = grant.token.split('.');
    const withHeader = (header: object) =>
      `${Buffer.from(JSON.stringify(header)).toString('base64url')}.${payload}.${signature}`;
    expect(problemOf(() => readGrant(withHeader({ ...HEADER, alg: 'none' })))).toContain('alg');
    expect(problemOf(() => readGrant(withHeader({ ...HEADER, alg: 'HS256' })))).toContain('alg');
    expect(problemOf(() => readGrant(withHeader({ ...HEADER, crit: ['only-on-mondays'] })))).toContain(
      'only-on-mondays',
    );
    const otherType = await signed(claims, owner, { ...HEADER, typ: 'JWT' });
    expect(problemOf(() => readGrant(otherType))).toContain('typ');
  });

  it('is refused when somebody else has signed it, or made it for the owner', async () => {
    const claims = decodeJwt(grant.token);
    expect(problemOf(() => readGrant(`${grant.token.slice(0, -8)}AAAAAAAA`))).toMatch(
      /bad-signature|malformed/,
    );
    const forged = await signed(claims, other);
    expect(problemOf(() => readGrant(forged))).toContain('bad-signature');
    const selfMade = await signed({ ...claims, iss: other.id }, other);
    expect(problemOf(() => readGrant(selfMade))).toContain('foreign: the grant is signed by');
  });

  it('is refused above its size before anything is verified', () => {
    expect(problemOf(() => readGrant('a'.repeat(MAX_GRANT_BYTES + 1)))).toContain('the limit is');
  });

  it(`is never accepted after a change of any octet (SEED=${seed})`, () => {
    const random = new Random(seed);
    for (let round = 0; round < 400; round += 1) {
      const at = random.int(grant.token.length);
      const changed = `${grant.token.slice(0, at)}${random.pick([...'AZaz09-_.='])}${grant.token.slice(at + 1)}`;
      if (changed === grant.token) continue;
      expect(problemOf(() => readGrant(changed))).not.toBe('none');
    }
  });

  it('is in force from 5 minutes before its beginning to 5 minutes after its end', () => {
    const problemAt = (nowMs: number) => problemOf(() => assertInForce(grant, nowMs, () => false));
    expect(problemAt(NOW - GRANT_CLOCK_SKEW_MS)).toBe('none');
    const early = problemAt(NOW - GRANT_CLOCK_SKEW_MS - 1000);
    expect(early).toContain("301 s in the future by this node's clock, which says 2027-01-15T07:54:59");
    expect(early).toContain('the clocks are more than 5 minutes apart');
    expect(problemAt(NOW + DAY_MS + GRANT_CLOCK_SKEW_MS)).toBe('none');
    expect(problemAt(NOW + DAY_MS + GRANT_CLOCK_SKEW_MS + 1)).toContain('expired');
  });
});

describe('a delegated grant', () => {
  it('carries those before it, and ends with any of them', async () => {
    const child = await delegated(grant, holder, other.id, { routingKeys: ['eu.de.*'], points: ['mail.*'] });
    expect(child.ids).toEqual([child.claims.id, grant.claims.id]);
    expect(problemOf(() => assertInForce(child, NOW, (id) => id === grant.claims.id))).toContain('revoked');
  });

  it.each<[string, Parameters<typeof issued>[2], string]>([
    ['another point', { points: ['asks'] }, "points do not include 'asks'"],
    ['a wider name', { points: ['mai*'] }, "points do not include 'mai*'"],
    ['another right', { rights: ['administer'] }, 'who may not administer'],
    ['other routing keys', { routingKeys: ['us.#'] }, "routing keys do not include 'us.#'"],
    ['all routing keys', { routingKeys: ['#'] }, "routing keys do not include '#'"],
    ['a later end', { expiresMs: NOW + 2 * DAY_MS }, 'whose own grant ends'],
    ['as many delegations', { delegable: 2 }, 'may delegate it 2 times'],
  ])('cannot give %s', async (_, changes, text) => {
    expect(await problemOfDelegation(grant, holder, other.id, changes)).toContain(text);
  });

  it('begins with it, where the clock of whoever hands it down is behind', async () => {
    const child = await delegated(grant, holder, other.id, { nowMs: NOW - 60_000 });
    expect(child.claims.issuedMs).toBe(grant.claims.issuedMs);
  });

  it('cannot be made by anybody but the holder, nor without leave', async () => {
    expect(await problemOfDelegation(grant, other, other.id)).toContain('who does not hold the grant');
    const last = await issued(owner, holder.id, { delegable: 0 });
    expect(await problemOfDelegation(last, holder, other.id, { delegable: 0 })).toContain(
      'delegate it 0 times',
    );
  });
});

describe('a bearer grant', () => {
  it('becomes that of whoever bears it, and its own key is never shown', async () => {
    const bearer = await issued(owner, 'bearer');
    const own = await redeem(bearer, holder.id);
    expect(own.claims).toMatchObject({ subject: holder.id, points: ['bids', 'mail*'], delegable: 2 });
    expect(own.claims.key).toBeUndefined();
    expect(own.token).not.toContain(bearer.token);
    expect(own.ids).toContain(bearer.claims.id);
    expect((await redeem(bearer, holder.id)).token).toBe(own.token);
    expect((await redeem(bearer, other.id)).claims.subject).toBe(other.id);
  });

  it('is the only kind that others can redeem', async () => {
    await expect(redeem(grant, other.id)).rejects.toThrow(`is for ${holder.id}; this node is ${other.id}`);
  });
});

it.each<[string, string, boolean]>([
  ['*', '', true],
  ['*', 'anything', true],
  ['bids', 'bids', true],
  ['bids', 'bids2', false],
  ['mail*', 'mail', true],
  ['mail*', 'mail.eu*', true],
  ['mail*', 'mai*', false],
  ['*.eu', 'a.eu.eu', true],
  ['a*b*c', 'a.b.c', true],
  ['a*b*c', 'a.c.b', false],
  ['bids', '*', false],
  ['a?', 'ab', false],
])('the name %j covers %j: %s', (pattern, name, expected) => {
  expect(coversName(pattern, name)).toBe(expected);
});
