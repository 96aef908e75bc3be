import type { Ed25519PrivateKey } from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { SpaceError } from '../overlay/index.js';
import { GRANT_CLOCK_SKEW_MS, MANIFEST_VALIDITY_MS } from './limits.js';
import type { Revocation, Sealed, SpaceManifest } from './records.js';
import { seal } from './records.js';

/**
 * The owner's word that the space exists, anew: what it revoked before, by what is known of it, stays revoked.
 *
 * @throws SpaceError `conflict` when the space was declared with another access
 */
export function declaredManifest(
  { space, access, nowMs }: { space: string; access: SpaceManifest['access']; nowMs: number },
  earlier: readonly SpaceManifest[],
  revoked: readonly Revocation[],
  key: Ed25519PrivateKey,
): Sealed<SpaceManifest> {
  for (const record of earlier) assertAccess(record, access);
  const all = [
    ...earlier.flatMap(({ revocations = [] }) => revocations),
    ...(access === 'granted' ? revoked : []),
  ];
  const distinct = [...new Map(all.map((revocation) => [revocation.grant, revocation])).values()];
  const revocations = distinct.filter(({ expiresMs }) => expiresMs + 2 * GRANT_CLOCK_SKEW_MS > nowMs);
  return seal(
    {
      kind: 'space-manifest',
      owner: peerIdFromPrivateKey(key).toString(),
      ...{ space, access },
      // Of two claims the older one comes first: that of an owner who comes back stays as old as it is.
      createdMs: Math.min(nowMs, ...earlier.map(({ createdMs }) => createdMs)),
      sequence: Math.max(nowMs, ...earlier.map(({ sequence }) => sequence + 1)),
      expiresMs: nowMs + MANIFEST_VALIDITY_MS,
      deleted: false,
      ...(revocations.length > 0 && { revocations }),
    },
    key,
  );
}

/** @throws SpaceError `conflict` */
export function assertAccess({ space, access: found }: SpaceManifest, wanted: SpaceManifest['access']): void {
  if (found === wanted) return;
  throw new SpaceError(
    'conflict',
    `space '${space}': access: it was declared as '${found}', not '${wanted}'`,
  );
}
