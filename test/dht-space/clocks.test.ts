import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { Clock, SpaceNode } from './space-node.js';

const MINUTE_MS = 60_000;

describe('a node whose clock is apart from those of members', () => {
  it.each([-4.5, 4.5])('by %f minutes is one of them, and nothing is refused', async (minutes) => {
    const [owner, member] = await startPair(minutes);
    await member.join(owner, '#');
    await eventually(() => expect(owner.statusOf(member)?.interest).toBe(1));
    owner.publish('hello');
    await eventually(() => expect(member.received).toEqual(['hello']));
    expect([owner.spaces.refusals.clock, member.spaces.refusals.clock]).toEqual([undefined, undefined]);
  });

  it('by 20 minutes behind cannot join, and its app is told why', async () => {
    const [owner, member] = await startPair(-20);
    await expect(member.join(owner, '#')).rejects.toThrow(
      `the clocks of this node and ${owner.id}, which knows space 'market', are over 5 minutes apart`,
    );
    expect(member.spaces.refusals.clock).toBeGreaterThan(0);
  });

  it('by 20 minutes ahead is warned when it joins', async () => {
    const [owner, member] = await startPair(20);
    await member.join(owner, '#');
    await eventually(() => expect(member.spaces.refusals.clock).toBeGreaterThan(0));
    const warnings = member.log.entries.filter(({ level }) => level === 'warn').map(({ fields }) => fields);
    expect(warnings).toContainEqual(
      expect.objectContaining({ refused: 'clock', peer: owner.id, cause: expect.stringContaining('clock') }),
    );
  });
});

/** An owner that is in its space's point, and another node whose clock is ahead of its by so much. */
async function startPair(minutes: number): Promise<[SpaceNode, SpaceNode]> {
  const clock = new Clock();
  const other = new Clock();
  other.nowMs += minutes * MINUTE_MS;
  const nodes = [await SpaceNode.start({ clock }), await SpaceNode.start({ clock: other })] as const;
  await nodes[0].declare();
  await nodes[0].join(nodes[0], '#');
  return [...nodes];
}
