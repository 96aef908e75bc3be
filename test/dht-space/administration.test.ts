import { describe, expect, it } from 'vitest';
import { soleSpace } from '../../src/dht-space/sole-space.js';
import type { DhtSpace } from '../../src/dht-space/space.js';
import type { PointDefinition } from '../../src/overlay/index.js';
import { eventually } from '../support/eventually.js';
import { SPACE, SpaceNode } from './space-node.js';

const ASKS: PointDefinition = { name: 'asks', type: 'fanout', arguments: {} };
const DAY_MS = 86_400_000;

async function startNodes(count: number, settings = {}): Promise<SpaceNode[]> {
  const nodes = await Promise.all(Array.from({ length: count }, () => SpaceNode.start()));
  await nodes[0]?.declare(settings);
  return nodes;
}

describe('the status of a space', () => {
  it('says who and what is in it, and is the same at all members as far as its digest goes', async () => {
    const [owner, left, right] = (await startNodes(3)) as [SpaceNode, SpaceNode, SpaceNode];
    await left.join(owner);
    const before = owner.spaces.status()[0]?.digest;
    await right.join(owner, '', { point: ASKS });
    await left.join(owner, '', { point: ASKS });
    const members = [owner, left, right].map(({ id }) => id).sort();
    const points = [
      { name: 'asks', type: 'fanout', participants: 2 },
      { name: 'bids', type: 'topic', participants: 1 },
    ];
    const known = {
      space: SPACE,
      owner: owner.id,
      access: 'open',
      generation: 0,
      members,
      linked: 2,
      points,
    };
    await eventually(() => {
      for (const { spaces } of [owner, left, right]) {
        expect(spaces.status()).toEqual([expect.objectContaining({ ...known, revocations: 0 })]);
      }
    });
    const digest = owner.spaces.status()[0]?.digest;
    for (const { spaces } of [left, right]) expect(spaces.status()[0]?.digest).toEqual(digest);
    expect(digest?.members).not.toBe(before?.members);

    await left.session.leave();
    await left.join(owner, '', { point: { ...ASKS, name: 'another' } });
    await eventually(() => expect(right.spaces.status()[0]?.points).toHaveLength(3));
    const later = right.spaces.status()[0]?.digest;
    expect(later).toEqual({ ...digest, definitions: expect.not.stringMatching(digest?.definitions ?? '') });
  });
});

describe('an administrator', () => {
  it('deletes a point that its node has no alias of, for all that have one', async () => {
    const [owner, left, right] = (await startNodes(3)) as [SpaceNode, SpaceNode, SpaceNode];
    const sessions = await Promise.all([left, right].map((node) => node.join(owner)));
    await owner.spaces.deletePoint({ space: SPACE, point: 'bids' });
    await eventually(() =>
      expect(sessions.map((session) => session.status().state)).toEqual(['left', 'left']),
    );
    await expect(owner.spaces.deletePoint({ space: SPACE, point: 'bids' })).rejects.toMatchObject({
      code: 'not-found',
      message: `exchange space '${SPACE}' has no point 'bids'`,
    });
    await expect(owner.spaces.deletePoint({ space: 'fair', point: 'bids' })).rejects.toMatchObject({
      code: 'not-found',
      message: "this node is not in exchange space 'fair'",
    });
    // Under the same name there may be another one.
    await right.join(owner, '', { point: { ...ASKS, name: 'bids' } });
    await eventually(() => expect(owner.spaces.status()[0]?.points[0]).toMatchObject({ type: 'fanout' }));
  });

  it('of a granted space needs the right to, and does without its owner then', async () => {
    const [owner, left, right] = (await startNodes(3, { access: 'granted' })) as [
      SpaceNode,
      SpaceNode,
      SpaceNode,
    ];
    const grantTo = ({ id }: SpaceNode, rights: string[]) =>
      owner.spaces.grants.create({
        ...{ space: SPACE, to: id, points: ['bids'], routingKeys: ['#'], delegable: 0 },
        rights: rights as ('publish' | 'subscribe' | 'administer')[],
        expiresMs: Date.now() + DAY_MS,
      });
    const session = await left.join(owner, '#', { grant: await grantTo(left, ['publish', 'subscribe']) });
    await right.join(owner, '#', { grant: await grantTo(right, ['subscribe', 'administer']) });
    await expect(left.spaces.deletePoint({ space: SPACE, point: 'bids' })).rejects.toMatchObject({
      code: 'refused',
      message: expect.stringContaining('too narrow to administer'),
    });
    await eventually(() => expect(right.statusOf(left)?.linked).toBe(true));
    await owner.stop();
    await right.spaces.deletePoint({ space: SPACE, owner: owner.id, point: 'bids' });
    await eventually(() => expect(session.status().state).toBe('left'));
  });
});

describe('a space by its name', () => {
  const spaces = [
    { name: 'market', owner: 'alice' },
    { name: 'market', owner: 'bob' },
    { name: 'fair', owner: 'bob' },
  ] as DhtSpace[];

  it('is the one that this node is in, or the one of the owner that was named', () => {
    expect(soleSpace(spaces, { space: 'fair' })).toBe(spaces[2]);
    expect(soleSpace(spaces, { space: 'market', owner: 'bob' })).toBe(spaces[1]);
  });

  it('is nobody’s guess where two owners have one of that name', () => {
    const text = "exchange space 'market': owner: expected one of alice and bob, found none";
    expect(() => soleSpace(spaces, { space: 'market' })).toThrow(text);
    expect(() => soleSpace(spaces, { space: 'fair', owner: 'alice' })).toThrow("'fair' of alice");
  });
});
