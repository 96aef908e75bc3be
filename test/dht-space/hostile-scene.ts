import { CompactSign } from 'jose';
import { CID } from 'multiformats/cid';
import { expect } from 'vitest';
import { privateKeyObject } from '../../src/dht-space/ed25519.js';
import type { Grant } from '../../src/dht-space/grant.js';
import type { GrantTerms } from '../../src/dht-space/grant-issue.js';
import { issueGrant } from '../../src/dht-space/grant-issue.js';
import { lookUp } from '../../src/dht-space/lookup.js';
import type { MemberRecord, PointRecord, Sealed, SpaceManifest } from '../../src/dht-space/records.js';
import { open, spaceIdOf } from '../../src/dht-space/records.js';
import type { RefusalCause } from '../../src/dht-space/refusals.js';
import type { SpaceStatus } from '../../src/dht-space/space-status.js';
import type { PointSession } from '../../src/overlay/index.js';
import { outgoing } from '../overlay/messages.js';
import { eventually } from '../support/eventually.js';
import { teardown } from '../support/teardown.js';
import type { Identity } from './fixtures.js';
import { manifest, member, point } from './fixtures.js';
import type { HostileLink, HostileNode } from './hostile-node.js';
import { SPACE, SpaceNode } from './space-node.js';

/** The open space of the scene is SPACE; this is the granted one. Both have a point `bids`. */
export const VAULT = 'vault';
const HOUR_MS = 3_600_000;
const TALK_INTERVAL_MS = 10;
/** Causes that honest nodes bring about as well. */
const ORDINARY = ['greeting', 'outdated'];

export const terms = <T extends Partial<GrantTerms>>(changes: T) => ({
  points: ['bids'],
  rights: ['publish', 'subscribe'] as const,
  routingKeys: ['eu.#'],
  expiresMs: Date.now() + HOUR_MS,
  delegable: 0,
  ...changes,
});

/** Three honest nodes, all in an open and in a granted space of the first of them, that talk to each other all the time. */
export class Scene {
  readonly #sessions = new Map<SpaceNode, { readonly space: string; readonly session: PointSession }[]>();
  #sent = 0;
  #timer: NodeJS.Timeout | undefined;

  private constructor(readonly nodes: readonly [SpaceNode, SpaceNode, SpaceNode]) {}

  static async open(): Promise<Scene> {
    const nodes = await Promise.all([SpaceNode.start(), SpaceNode.start(), SpaceNode.start()]);
    const scene = new Scene(nodes);
    const [owner] = nodes;
    await owner.declare();
    await owner.declare({ access: 'granted' }, VAULT);
    for (const node of nodes) await scene.#enter(node);
    await eventually(() =>
      expect([...scene.#sessions.values()].flat().map(({ session }) => interests(session))).toEqual(
        Array.from({ length: 6 }, () => [1, 1]),
      ),
    );
    scene.#timer = setInterval(() => scene.#talk(), TALK_INTERVAL_MS);
    teardown(() => clearInterval(scene.#timer));
    return scene;
  }

  get owner(): SpaceNode {
    return this.nodes[0];
  }

  async #enter(node: SpaceNode): Promise<void> {
    const { owner } = this;
    const all = terms({ to: node.id, points: ['*'], routingKeys: ['#'] });
    const grant = node === owner ? undefined : await this.grantTo(node.id, all);
    const sessions = [];
    for (const space of [SPACE, VAULT]) {
      const session = await node.join(owner, '#', { space, ...(space === VAULT && { grant: grant?.token }) });
      sessions.push({ space, session });
    }
    this.#sessions.set(node, sessions);
  }

  /** Signed by the owner of the granted space; in force unless the changes say otherwise. */
  grantTo(
    to: string,
    changes: Partial<GrantTerms> & { nowMs?: number; space?: string } = {},
  ): Promise<Grant> {
    const { privateKey } = this.owner.overlay;
    return issueGrant({ space: VAULT, nowMs: Date.now(), ...terms(changes), to }, privateKey);
  }

  // --- what the honest ones do, and what has come of it ---

  #talk(): void {
    for (const [node, sessions] of this.#sessions) {
      for (const { space, session } of sessions) {
        session.publish(outgoing('eu.de', `${space} of ${node.id}: ${this.#sent}`));
      }
    }
    this.#sent += 1;
  }

  /** Each honest member has each message of the others exactly once, in order by origin, and has lost no link. */
  async expectNothingLost(): Promise<void> {
    clearInterval(this.#timer);
    expect(this.#sent).toBeGreaterThan(10);
    for (const node of this.nodes) {
      for (const origin of this.nodes.filter((other) => other !== node)) {
        for (const space of [SPACE, VAULT]) {
          const beginning = `${space} of ${origin.id}: `;
          const expected = Array.from({ length: this.#sent }, (_, number) => `${beginning}${number}`);
          await eventually(() =>
            expect(node.received.filter((text) => text.startsWith(beginning))).toEqual(expected),
          );
        }
      }
      const lost = node.log.about('link lost').map(({ fields }) => fields.peer);
      expect(lost.filter((peer) => this.nodes.some(({ id }) => id === peer))).toEqual([]);
      const blamed = node.log.about('refused').map(({ fields }) => fields);
      expect(
        blamed.filter(
          ({ refused, peer }) =>
            !ORDINARY.includes(String(refused)) && this.nodes.some(({ id }) => id === peer),
        ),
      ).toEqual([]);
    }
  }

  /** In the point of a space. */
  sessionAt(node: SpaceNode, space: string): PointSession {
    const own = this.#sessions.get(node)?.find((one) => one.space === space);
    return own?.session ?? expect.fail('it takes no part');
  }

  statusAt(node: SpaceNode, space = SPACE): SpaceStatus {
    return (
      node.spaces.status().find((status) => status.space === space) ?? expect.fail('it is not in the space')
    );
  }

  /** What the open space is made of, as a node tells everybody. */
  async toldBy(asked: SpaceNode, asker: SpaceNode | undefined = this.nodes[2]) {
    const request = { space: SPACE, owner: '', grant: new Uint8Array(0) };
    const options = { signal: AbortSignal.timeout(3000) };
    const { spaces } = await lookUp(asker.overlay, asked.overlay.peerId, request, options);
    const [found] = spaces;
    if (found === undefined) throw new Error('it says nothing');
    return {
      manifest: open('space-manifest', found.manifest, Date.now()),
      members: found.members.map((bytes) => open('member-record', bytes, Date.now())),
      points: found.points.map((bytes) => open('point-record', bytes, Date.now())),
    };
  }

  // --- what the hostile one needs ---

  spaceId(space = SPACE): string {
    return spaceIdOf({ space, owner: this.owner.id, generation: 0 });
  }

  spaceBytes(space = SPACE): Buffer {
    return Buffer.from(this.spaceId(space), 'hex');
  }

  memberRecord(of: HostileNode, space: string, changes: Partial<MemberRecord> = {}): Sealed<MemberRecord> {
    const times = { sequence: Date.now(), expiresMs: Date.now() + 60_000 };
    return member(of, { spaceId: this.spaceId(space), ...times, addresses: [], ...changes });
  }

  pointRecord(of: HostileNode, space: string, changes: Partial<PointRecord> = {}): Sealed<PointRecord> {
    const times = { createdMs: Date.now(), expiresMs: Date.now() + 60_000 };
    return point(of, { spaceId: this.spaceId(space), ...times, ...changes });
  }

  /** Becomes a member in the eyes of the other side, and a participant of `bids`. */
  async enter(
    link: HostileLink,
    by: HostileNode,
    { space = VAULT, grant }: { space?: string; grant?: string } = {},
  ) {
    const shown = grant === undefined ? {} : { grants: [grant] };
    this.tell(link, space, { records: [this.memberRecord(by, space, { points: ['bids'], ...shown }).bytes] });
    link.attach(this.spaceBytes(space), 'bids');
    await link.handled();
  }

  /** Asks for the members of a space, as members do. */
  ask(link: HostileLink, space: string): void {
    const [some] = this.nodes;
    const digest = [{ peer: some.id, epoch: 1n, sequence: 1 }];
    link.say({ members: { spaceId: this.spaceBytes(space), records: [], digest, wanted: [some.id] } });
  }

  tell(
    link: HostileLink,
    space: string,
    what: { records?: Uint8Array[]; points?: Uint8Array[]; manifest?: Uint8Array },
  ) {
    const spaceId = this.spaceBytes(space);
    const { records, points = [], manifest = new Uint8Array(0) } = what;
    link.say(
      records === undefined
        ? { definitions: { spaceId, points, manifest } }
        : { members: { spaceId, records, digest: [], wanted: [] } },
    );
  }
}

/** Peer ids of those who provide something, as far as a node finds them. */
export async function providersBy(node: SpaceNode, multihash: Uint8Array): Promise<string[]> {
  const found: string[] = [];
  const options = { signal: AbortSignal.timeout(3000) };
  for await (const event of node.overlay.dht.findProviders(CID.decode(multihash), options)) {
    if (event.name === 'PROVIDER') found.push(...event.providers.map(({ id }) => id.toString()));
  }
  return found;
}

/** A claim to a name by this node. */
export function claimOf(by: Identity, changes: Partial<SpaceManifest> = {}): Sealed<SpaceManifest> {
  const nowMs = Date.now();
  return manifest(by, { createdMs: nowMs, sequence: nowMs, expiresMs: nowMs + HOUR_MS, ...changes });
}

/** What passes for a grant at first sight, with other claims than its signer could have made. */
export async function madeUp(from: Grant, by: Identity, changes: object = {}): Promise<string> {
  const claims: object = JSON.parse(Buffer.from(from.token.split('.')[1] ?? '', 'base64url').toString());
  const payload = Buffer.from(JSON.stringify({ ...claims, iss: by.id, ...changes }));
  const header = { alg: 'EdDSA', typ: 'xspace-grant+jwt' };
  return new CompactSign(payload).setProtectedHeader(header).sign(privateKeyObject(by.key));
}

function interests(session: PointSession): number[] {
  return session.status().participants.map(({ interest }) => interest);
}

/**
 * One attack that is counted under the cause that is expected. Where that is logged, as the first, second, fourth and so on
 * of its kind is, it names who it was.
 */
export async function refused(
  at: SpaceNode,
  by: HostileNode,
  cause: RefusalCause,
  attack: () => unknown,
): Promise<void> {
  const logged = () => at.log.about('refused').filter(({ fields }) => fields.refused === cause);
  const [count, entries] = [at.spaces.refusals[cause] ?? 0, logged().length];
  await attack();
  await eventually(() => expect(at.spaces.refusals[cause] ?? 0).toBeGreaterThan(count));
  if (ORDINARY.includes(cause)) return;
  const peers = logged()
    .slice(entries)
    .map(({ fields }) => fields.peer);
  expect(peers).toEqual(peers.map(() => by.id));
}
