import type { PointType } from '../overlay/index.js';
import { exchangeTypes } from '../overlay/index.js';
import { decodeInterest } from './interest-wire.js';
import { MAX_POINTS_PER_LINK } from './limits.js';
import type { Link } from './link.js';
import type { LinkSession } from './link-session.js';
import { spaceIdFromBytes, spaceIdToBytes } from './records.js';
import { PeerFault } from './refusals.js';
import type { DhtSpace } from './space.js';
import type { Attach, Control, Definitions, Detach, Interest, Members, Synced } from './wire/control.js';

/**
 * What peers say about spaces and points, brought to the spaces of this node.
 *
 * @param spaces by space id
 * @param tombstoneOf the owner's word that the space was deleted, as signed
 * @throws PeerFault when a peer says what it may not; its session is to end
 */
export function receiveControl(
  link: Link,
  message: Control,
  spaces: ReadonlyMap<string, DhtSpace>,
  tombstoneOf: (spaceId: string) => Uint8Array | undefined,
): void {
  const { session } = link;
  if (session === undefined) return;
  if (message.members !== undefined) onMembers(link, session, message.members, spaces, tombstoneOf);
  else if (message.definitions !== undefined) onDefinitions(link, message.definitions, spaces);
  else if (message.synced !== undefined) onSynced(link, session, message.synced);
  else if (message.attach !== undefined) onAttach(link, session, message.attach, spaces);
  else if (message.interest !== undefined) onInterest(session, message.interest);
  else if (message.detach !== undefined) onDetach(session, message.detach);
}

function onMembers(
  link: Link,
  session: LinkSession,
  message: Members,
  spaces: ReadonlyMap<string, DhtSpace>,
  tombstoneOf: (spaceId: string) => Uint8Array | undefined,
): void {
  const spaceId = spaceIdFromBytes(message.spaceId);
  const space = spaces.get(spaceId);
  if (space !== undefined) faultsAbout(space, () => space.members.learn(message.records, link));
  if (space === undefined || !space.grants.isOpenTo(link.peer)) {
    if (message.digest.length > 0)
      space?.grants.refusals.add('stranger', { peer: link.peer, cause: 'asks for members' });
    // Nothing to tell about a space that this node is not in, or that the other side is not let into: it sees no
    // difference. That nobody is in it any more, everybody may know.
    const manifest = space === undefined ? tombstoneOf(spaceId) : undefined;
    if (manifest !== undefined) {
      session.control.send({ definitions: { spaceId: message.spaceId, points: [], manifest } });
    }
    session.sendChange((number) => ({ synced: { number, spaceId: spaceIdToBytes(spaceId) } }));
    return;
  }
  space.members.answer(session, message);
  if (link.spaces.has(spaceId)) space.syncWith(link);
}

function onDefinitions(link: Link, message: Definitions, spaces: ReadonlyMap<string, DhtSpace>): void {
  const space = spaces.get(spaceIdFromBytes(message.spaceId));
  if (space !== undefined) faultsAbout(space, () => space.onDefinitions(link, message));
}

/** What is wrong with what is handed over for a space counts with the space. */
function faultsAbout(space: DhtSpace, learn: () => void): void {
  try {
    learn();
  } catch (error) {
    throw PeerFault.of(error, space.grants.refusals);
  }
}

/** What the other side did not tell anew in this session, it does not take part in any more. */
function onSynced(link: Link, session: LinkSession, message: Synced): void {
  const spaceId = spaceIdFromBytes(message.spaceId);
  session.control.send({ settled: { number: message.number } });
  for (const participant of link.points) {
    if (participant.spaceId === spaceId && participant.attachedIn !== session) participant.detach();
  }
  session.settlement.markSynced(spaceId);
}

function onAttach(
  link: Link,
  session: LinkSession,
  { number, id, spaceId: bytes, point, type }: Attach,
  spaces: ReadonlyMap<string, DhtSpace>,
): void {
  const participant = link.points.obtain(bytes, point);
  if (!isPointType(type)) throw new Error(`point '${point}' is of no known type`);
  if (session.attached.size >= MAX_POINTS_PER_LINK)
    throw new PeerFault('flood', `more than ${MAX_POINTS_PER_LINK} points`);
  participant.attach(session, type);
  session.attached.set(id, participant);
  spaces.get(participant.spaceId)?.attached(participant);
  session.control.send({ settled: { number } });
}

function onInterest(session: LinkSession, message: Interest): void {
  const { number, id, snapshot, added, removed, digest } = message;
  const participant = session.attached.get(id);
  if (participant === undefined) throw new Error(`interest in point ${id}, which is not attached`);
  const { type } = participant;
  // The news that the other side left the space may have overtaken this by another way.
  if (type !== undefined) {
    participant.changeInterest({
      snapshot,
      added: added.map((pattern) => decodeInterest(type, pattern)),
      removed: removed.map((pattern) => decodeInterest(type, pattern)),
      digest,
    });
  }
  session.control.send({ settled: { number } });
}

function onDetach(session: LinkSession, { number, id }: Detach): void {
  session.attached.get(id)?.detach();
  session.attached.delete(id);
  session.control.send({ settled: { number } });
}

function isPointType(type: string): type is PointType {
  return exchangeTypes.some(({ name }) => name === type);
}
