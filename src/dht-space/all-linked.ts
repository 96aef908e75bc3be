import type { Link } from './link.js';
import type { Links } from './links.js';
import type { Members } from './members.js';

/** How many sessions of a link may end before it is not waited for any more. */
const ATTEMPTS = 4;

/**
 * Resolves when each member of the space is linked and both sides have told all about it, or could not be reached: also
 * those who are only heard of meanwhile, from the others.
 */
export async function allLinked(
  { spaceId, members }: { readonly spaceId: string; readonly members: Members },
  links: Links,
): Promise<void> {
  const met = new Set<string>();
  for (;;) {
    const fresh = members.others.map(({ peer }) => peer).filter((peer) => !met.has(peer));
    if (fresh.length === 0) return;
    for (const peer of fresh) met.add(peer);
    await Promise.all(fresh.map((peer) => linked(links.get(peer), spaceId)));
  }
}

async function linked(link: Link | undefined, spaceId: string): Promise<void> {
  for (let attempt = 0; link !== undefined && attempt < ATTEMPTS; attempt += 1) {
    await link.attempted();
    const { session } = link;
    if (session === undefined) return;
    await session.settlement.synced(spaceId);
    // What ends this side's telling is acknowledged, and so after the other side's answer to the digest before it.
    await session.settlement.settled();
    // Where both sides have dialled, one of the two sessions is given up, and for a moment there may be none.
    await link.dialled();
    if (link.session === session) return;
  }
}
