import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import { CompactSign, decodeJwt } from 'jose';
import { describe, expect, it } from 'vitest';
import { privateKeyObject } from '../../src/dht-space/ed25519.js';
import { readGrant } from '../../src/dht-space/grant.js';
import { encodeClaims } from '../../src/dht-space/grant-claims.js';
import { redeem } from '../../src/dht-space/grant-issue.js';
import { coversName, RoutingKeys } from '../../src/dht-space/grant-patterns.js';
import { openGrant } from '../../src/dht-space/sealed-grant.js';
import { golden } from './golden.js';

type Vector = { readonly what: string } & (
  | { readonly signer: string; readonly claims: object; readonly token: string }
  | { readonly bearer: string; readonly holder: string; readonly token: string }
  | {
      readonly rendezvous: string;
      readonly asker: string;
      readonly asked: string;
      readonly token: string;
      readonly sealed: Buffer;
    }
  | { readonly token: string; readonly refused: string }
  | {
      readonly of: 'points' | 'routing_keys';
      readonly pattern: string;
      readonly by: string;
      readonly covered: boolean;
    }
);

describe('golden vectors of grants', () => {
  it.each(golden<Vector>('grants'))('$what', async (vector) => {
    if ('claims' in vector) await expectGrant(vector);
    else if ('bearer' in vector) {
      expect((await redeem(readGrant(vector.bearer), vector.holder)).token).toBe(vector.token);
    } else if ('sealed' in vector) {
      const rendezvous = Buffer.from(vector.rendezvous, 'base64url').toString('hex');
      expect(openGrant(vector.sealed, rendezvous, vector.asker, vector.asked)).toBe(vector.token);
      expect(openGrant(vector.sealed, rendezvous, vector.asked, vector.asker)).toBeUndefined();
    } else if ('refused' in vector) {
      expect(() => readGrant(vector.token)).toThrow(expect.objectContaining({ code: vector.refused }));
    } else {
      const { of, pattern, by, covered } = vector;
      expect(of === 'points' ? coversName(by, pattern) : new RoutingKeys([by]).covers(pattern)).toBe(covered);
    }
  });

  async function expectGrant(vector: {
    readonly signer: string;
    readonly claims: object;
    readonly token: string;
  }): Promise<void> {
    const { claims } = readGrant(vector.token);
    expect(decodeJwt(vector.token)).toEqual(vector.claims);
    const seed = golden<{ what: string; seed: Buffer }>('identities').find(
      ({ what }) => what === vector.signer,
    );
    const key = await generateKeyPairFromSeed('Ed25519', Uint8Array.from(seed?.seed ?? []));
    const signed = new CompactSign(Buffer.from(encodeClaims(claims)))
      .setProtectedHeader({ alg: 'EdDSA', typ: 'xspace-grant+jwt' })
      .sign(privateKeyObject(key));
    expect(await signed).toBe(vector.token);
  }
});
