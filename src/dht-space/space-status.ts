import { createHash } from 'node:crypto';
import type { MemberRecord, PointRecord, Revocation, SpaceManifest } from './records.js';

/** What a node knows of a space that it is in: a snapshot. */
export interface SpaceStatus {
  readonly space: string;
  /** Peer id. */
  readonly owner: string;
  readonly access: SpaceManifest['access'];
  readonly generation: number;
  /** Peer ids of live members, this node's included, in order. */
  readonly members: readonly string[];
  /** How many of them this node is linked to. */
  readonly linked: number;
  /** By name. */
  readonly points: readonly PointSummary[];
  /** How many grants count no more that would otherwise. */
  readonly revocations: number;
  /** What peers were refused, by cause. */
  readonly refusals: Readonly<Record<string, number>>;
  readonly digest: SpaceDigest;
}

interface PointSummary {
  readonly name: string;
  /** As it is defined; where nobody has defined it, as this node's alias has it. */
  readonly type: string;
  /** Members that take part in it, this node's included. */
  readonly participants: number;
  /** Why this node's alias takes no part in it; left out where it does, or where there is none. */
  readonly conflict?: string;
}

/** SHA-256 in hex over what is known: equal at members that agree, and at no others. */
interface SpaceDigest {
  /** Definitions that hold, and deletions that are remembered. */
  readonly definitions: string;
  /** Live members. */
  readonly members: string;
  readonly revocations: string;
}

/** The space as its status sees it. */
export interface DescribedSpace {
  readonly self: string;
  readonly manifest: { readonly record: SpaceManifest };
  readonly members: { readonly others: readonly MemberRecord[] };
  readonly definitions: { readonly inForce: readonly PointRecord[] };
  readonly points: Iterable<OwnPoint>;
  readonly grants: {
    readonly revocations: readonly Revocation[];
    readonly refusals: { readonly counts: Readonly<Record<string, number>> };
  };
}

/** A point that the node has an alias of. */
interface OwnPoint {
  readonly definition: { readonly name: string; readonly type: string };
  readonly conflict: string | undefined;
}

export function spaceStatus(
  { self, manifest, members: { others }, definitions: { inForce }, points, grants }: DescribedSpace,
  links: { get(peer: string): { readonly session: unknown } | undefined },
): SpaceStatus {
  const { space, owner, access, generation } = manifest.record;
  const { revocations, refusals } = grants;
  const members = [self, ...others.map(({ peer }) => peer)].sort();
  return {
    ...{ space, owner, access, generation, members },
    linked: others.filter(({ peer }) => links.get(peer)?.session !== undefined).length,
    points: pointSummaries(inForce, [...points], others),
    revocations: revocations.length,
    refusals: refusals.counts,
    digest: {
      definitions: digestOf(inForce.map(definitionText)),
      members: digestOf(members),
      revocations: digestOf(revocations.map(({ grant, expiresMs }) => JSON.stringify([grant, expiresMs]))),
    },
  };
}

function pointSummaries(
  inForce: readonly PointRecord[],
  own: readonly OwnPoint[],
  others: readonly MemberRecord[],
): PointSummary[] {
  const defined = inForce.filter(({ deleted }) => !deleted);
  const types = new Map(
    [...own.map(({ definition }) => definition), ...defined].map(({ name, type }) => [name, type]),
  );
  const participants = new Map<string, number>();
  const taking = own
    .filter(({ conflict }) => conflict === undefined)
    .map(({ definition }) => definition.name);
  for (const name of [...taking, ...others.flatMap((member) => member.points)]) {
    participants.set(name, (participants.get(name) ?? 0) + 1);
  }
  const conflicts = new Map(own.map(({ definition, conflict }) => [definition.name, conflict]));
  return [...types]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, type]) => {
      const conflict = conflicts.get(name);
      return {
        ...{ name, type, participants: participants.get(name) ?? 0 },
        ...(conflict !== undefined && { conflict }),
      };
    });
}

/** Not what renewals change: who signed it last, and when. Of a deletion not what was deleted: all that was there. */
function definitionText({ name, deleted, createdMs, type, arguments: text }: PointRecord): string {
  return JSON.stringify(deleted ? [name, 'deleted', createdMs] : [name, 'defined', createdMs, type, text]);
}

/** Whatever the order; a text has no line breaks: they are names in JSON, and peer ids. */
function digestOf(texts: readonly string[]): string {
  return createHash('sha256')
    .update([...texts].sort().join('\n'))
    .digest('hex');
}
