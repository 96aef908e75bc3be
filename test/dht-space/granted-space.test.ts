import { describe, expect, it } from 'vitest';
import type { GrantTerms } from '../../src/dht-space/grant-issue.js';
import { lookUp } from '../../src/dht-space/lookup.js';
import type { PointDefinition } from '../../src/overlay/index.js';
import { SpaceError } from '../../src/overlay/index.js';
import { outgoing, pattern } from '../overlay/messages.js';
import { eventually } from '../support/eventually.js';
import { Clock, SPACE, SpaceNode } from './space-node.js';

const DAY_MS = 86_400_000;
const ASKS: PointDefinition = { name: 'asks', type: 'topic', arguments: {} };

async function startOwner(clock?: Clock): Promise<SpaceNode> {
  const owner = await SpaceNode.start(clock === undefined ? {} : { clock });
  await owner.declare({ access: 'granted' });
  await owner.join();
  return owner;
}

function grantOf(by: SpaceNode, to: string, changes: Partial<GrantTerms> = {}): Promise<string> {
  return by.spaces.grants.create({
    space: SPACE,
    to,
    points: ['bids'],
    rights: ['publish', 'subscribe'],
    routingKeys: ['eu.#'],
    expiresMs: Date.now() + DAY_MS,
    delegable: 0,
    ...changes,
  });
}

async function refusalOf(action: () => unknown): Promise<string> {
  try {
    await action();
  } catch (error) {
    if (error instanceof SpaceError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return 'none';
}

/** A member whose grant allows `eu.#` at the point `bids`. */
async function startMember(owner: SpaceNode, changes: Partial<GrantTerms> = {}): Promise<SpaceNode> {
  const node = await SpaceNode.start();
  const grant = await grantOf(owner, node.id, changes);
  await node.join(owner, (changes.rights ?? ['subscribe']).includes('subscribe') ? 'eu.#' : undefined, {
    grant,
  });
  await eventually(() => owner.statusOf(node)?.linked === true);
  return node;
}

describe('a granted space', () => {
  it('carries messages between the owner and those that it lets in, within what it grants', async () => {
    const owner = await startOwner();
    const node = await startMember(owner);
    const friend = await startMember(owner);
    await eventually(() => node.statusOf(friend)?.interest === 1 && owner.statusOf(node)?.interest === 1);
    node.publish('from a member', 'eu.de');
    owner.publish('from the owner', 'eu.fr');
    owner.publish('for nobody else', 'us.ny');
    owner.publish('the last', 'eu.it');
    await eventually(() => expect(friend.received).toHaveLength(3));
    await eventually(() => expect(node.received).toEqual(['from the owner', 'the last']));
    expect(friend.received).not.toContain('for nobody else');
    expect(owner.received).toEqual(['from a member']);
    // The owner may use any key, a member may not: its header could have others in CC.
    expect([...owner.keysAlone, ...node.keysAlone]).toEqual([true, false, false]);
  });

  it('refuses what the grant does not give: a point, a routing key, an interest, an administration', async () => {
    const owner = await startOwner();
    const node = await startMember(owner);
    expect(await refusalOf(() => node.publish('x', 'us.ny'))).toContain("publish with routing key 'us.ny'");
    const copied = { ...outgoing('eu.de', 'x', { CC: ['us.ny'] }), alsoTo: ['us.ny'] };
    expect(await refusalOf(() => node.session.publish(copied))).toContain("publish with routing key 'us.ny'");
    expect(await refusalOf(() => node.session.addInterest(pattern('#')))).toMatch(/^refused: .* too narrow/);
    expect(await refusalOf(() => node.session.delete())).toContain('too narrow to administer');
    expect(await refusalOf(() => node.join(owner, '#', { point: ASKS }))).toMatch(/^refused: .*'asks'/);
  });

  it('tells nobody without a grant why, and only that, who has the manifest from the DHT', async () => {
    const owner = await startOwner();
    const stranger = await SpaceNode.start();
    expect(await refusalOf(() => stranger.join(owner))).toMatch(/^refused: .*no grant for it was given/);
    const foreign = await startOwner();
    const theirs = await grantOf(foreign, stranger.id);
    expect(await refusalOf(() => stranger.join(owner, '#', { grant: theirs }))).toMatch(
      /^(refused|not-found)/,
    );
    const others = await grantOf(owner, foreign.id);
    expect(await refusalOf(() => stranger.join(owner, '#', { grant: others }))).toContain('this node is');
    expect(await refusalOf(() => stranger.join(owner, '#', { grant: 'a.b.c' }))).toContain(
      'invalid-argument',
    );
    expect(owner.statusOf(stranger)).toBeUndefined();
  });

  it('answers a lookup by name as if it were not there', async () => {
    const owner = await startOwner();
    const stranger = await SpaceNode.start();
    await stranger.overlay.libp2p.dial(owner.overlay.libp2p.getMultiaddrs());
    const ask = (space: string) =>
      lookUp(
        stranger.overlay,
        owner.overlay.peerId,
        { space, owner: '', grant: new Uint8Array(0) },
        { signal: AbortSignal.timeout(3000) },
      );
    expect(await ask(SPACE)).toEqual(await ask('no such space'));
  });

  it('shuts a revoked member out within 2 seconds: its link ends, its interest goes, it is told why', async () => {
    const owner = await startOwner();
    const node = await startMember(owner);
    const friend = await startMember(owner);
    await eventually(() => friend.statusOf(node)?.linked === true && friend.statusOf(node)?.interest === 1);
    const [first] = owner.spaces.grants.list();
    const beganMs = performance.now();
    await owner.spaces.grants.revoke(first?.id ?? '');
    await eventually(() => owner.statusOf(node) === undefined && friend.statusOf(node) === undefined);
    expect(performance.now() - beganMs).toBeLessThan(2000);
    await eventually(async () =>
      expect(await refusalOf(() => node.publish('x', 'eu.de'))).toMatch(/^refused: .*was revoked/),
    );
    owner.publish('goes on', 'eu.de');
    await eventually(() => expect(friend.received).toEqual(['goes on']));
    expect(node.received).toEqual([]);
  });

  it('lets a revoked member not come back, and says that its grant was revoked', async () => {
    const owner = await startOwner();
    const node = await SpaceNode.start();
    const grant = await grantOf(owner, node.id);
    await owner.spaces.grants.revoke(grant);
    expect(await refusalOf(() => node.join(owner, 'eu.#', { grant }))).toMatch(/^refused: .*was revoked/);
  });

  it('has a member that was away refuse who was revoked meanwhile, before it links to anybody', async () => {
    const owner = await startOwner();
    const friend = await startMember(owner);
    const node = await startMember(owner);
    const [revoked] = owner.spaces.grants.list().filter(({ to }) => to === node.id);
    await owner.spaces.grants.revoke(revoked?.id ?? '');
    await eventually(() => friend.statusOf(node) === undefined);
    const returned = await SpaceNode.start();
    await returned.join(friend, 'eu.#', { grant: await grantOf(owner, returned.id) });
    await eventually(() => returned.statusOf(friend)?.linked === true);
    expect(returned.statusOf(node)).toBeUndefined();
    await returned.overlay.libp2p.dial(node.overlay.libp2p.getMultiaddrs());
    expect(returned.log.about('linked').map(({ fields }) => fields.peer)).not.toContain(node.id);
    expect(await refusalOf(() => node.publish('x', 'eu.de'))).toContain('was revoked');
  });

  it('lists what was revoked', async () => {
    const owner = await startOwner();
    const node = await SpaceNode.start();
    const grant = await grantOf(owner, node.id);
    await owner.spaces.grants.revoke(grant);
    expect(owner.spaces.grants.list()).toMatchObject([{ state: 'revoked', to: node.id }]);
    expect(owner.spaces.grants.revocations(SPACE)).toHaveLength(1);
  });

  it('ends what was delegated with the grant that it was delegated from', async () => {
    const owner = await startOwner();
    const holder = await SpaceNode.start();
    const parent = await grantOf(owner, holder.id, { delegable: 1 });
    await holder.spaces.grants.import(parent);
    const node = await SpaceNode.start();
    const child = await grantOf(holder, node.id, {
      routingKeys: ['eu.de'],
      expiresMs: Date.now() + 3_600_000,
    });
    await node.join(owner, 'eu.de', { grant: child });
    await eventually(() => owner.statusOf(node)?.interest === 1);
    await owner.spaces.grants.revoke(parent);
    await eventually(() => owner.statusOf(node) === undefined);
  });

  it('lets in by a grant that the node holds, and by a bearer grant', async () => {
    const owner = await startOwner();
    const bearer = await grantOf(owner, 'bearer');
    const [node, friend] = [await SpaceNode.start(), await SpaceNode.start()];
    await node.spaces.grants.import(bearer);
    await node.join(owner, 'eu.#');
    await friend.join(owner, 'eu.#', { grant: bearer });
    await eventually(() => owner.statusOf(node)?.linked === true && node.statusOf(friend)?.linked === true);
  });

  it('lets a member in to whom another one handed the way, when its founder is away', async () => {
    const owner = await startOwner();
    const node = await startMember(owner);
    const newcomer = await SpaceNode.start();
    const grant = await grantOf(owner, newcomer.id);
    await owner.stop();
    await newcomer.join(node, 'eu.#', { grant });
    await eventually(() => node.statusOf(newcomer)?.interest === 1);
    newcomer.publish('hello', 'eu.de');
    await eventually(() => expect(node.received).toEqual(['hello']));
  });

  it('lets a subscriber join a point, and not publish to it', async () => {
    const owner = await startOwner();
    const node = await startMember(owner, { rights: ['subscribe'] });
    expect(await refusalOf(() => node.publish('x', 'eu.de'))).toContain('too narrow to publish');
    owner.publish('news', 'eu.de');
    await eventually(() => expect(node.received).toEqual(['news']));
  });

  it('bears clocks that are up to 5 minutes apart, and says what is wrong where they are further', async () => {
    const clock = new Clock();
    const owner = await startOwner(clock);
    const behindBy = async (minutes: number) => {
      const behind = new Clock();
      behind.nowMs = clock.nowMs - minutes * 60_000;
      const node = await SpaceNode.start({ clock: behind });
      const grant = await grantOf(owner, node.id);
      return { node, join: () => node.join(owner, 'eu.#', { grant }) };
    };
    const { node, join } = await behindBy(4.5);
    await join();
    await eventually(() => expect(owner.statusOf(node)?.interest).toBe(1));
    owner.publish('hello', 'eu.de');
    await eventually(() => expect(node.received).toEqual(['hello']));
    const far = await behindBy(6);
    expect(await refusalOf(far.join)).toContain('the clocks are more than 5 minutes apart');
  });

  it('ends the membership of whose grant expires', async () => {
    const clock = new Clock();
    const owner = await startOwner(clock);
    const node = await SpaceNode.start({ clock });
    const grant = await grantOf(owner, node.id, { expiresMs: clock.nowMs + 60_000 });
    await node.join(owner, 'eu.#', { grant });
    await eventually(() => owner.statusOf(node)?.linked === true);
    clock.nowMs += 60_000 + 5 * 60_000 + 1000;
    await eventually(() => owner.statusOf(node) === undefined);
    await eventually(async () =>
      expect(await refusalOf(() => node.publish('x', 'eu.de'))).toMatch(/^refused: .*expired/),
    );
  });
});
