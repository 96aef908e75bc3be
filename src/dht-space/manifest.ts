import type { Ed25519PrivateKey } from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { SpaceError } from '../overlay/index.js';
import { GRANT_CLOCK_SKEW_MS, MANIFEST_VALIDITY_MS, MAX_EARLIER_GENERATIONS } from './limits.js';
import type { Revocation, Sealed, SpaceManifest } from './records.js';
import { compareManifests, seal, spaceIdOf } from './records.js';

/**
 * The owner's word that the space exists, anew, given all that is known of what it said before. A space that it deleted is
 * another one from now on. What it revoked stays revoked all the same: grants are for the name.
 *
 * @throws SpaceError `conflict` when the space was declared with another access
 */
export function declaredManifest(
  { space, access, nowMs }: { space: string; access: SpaceManifest['access']; nowMs: number },
  earlier: readonly SpaceManifest[],
  revoked: readonly Revocation[],
  key: Ed25519PrivateKey,
): Sealed<SpaceManifest> {
  const last = earlier.toSorted(compareManifests)[0];
  const generation = last === undefined ? 0 : last.generation + Number(last.deleted);
  const same = earlier.filter((record) => record.generation === generation);
  for (const record of same) assertAccess(record, access);
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
      generation,
      // Of two claims the older one comes first: that of an owner who comes back stays as old as it is.
      createdMs: Math.min(nowMs, ...same.map(({ createdMs }) => createdMs)),
      sequence: Math.max(nowMs, ...earlier.map(({ sequence }) => sequence + 1)),
      expiresMs: nowMs + MANIFEST_VALIDITY_MS,
      deleted: false,
      ...(revocations.length > 0 && { revocations }),
    },
    key,
  );
}

/** Ids of the spaces by that name that the owner deleted before, as far back as anybody may come back from. */
export function earlierIds({ space, owner, generation }: SpaceManifest): readonly string[] {
  const count = Math.min(generation, MAX_EARLIER_GENERATIONS);
  return Array.from({ length: count }, (_, back) =>
    spaceIdOf({ space, owner, generation: generation - 1 - back }),
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
