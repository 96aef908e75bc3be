import { expect } from 'vitest';
import { eventually } from '../../support/eventually.js';
import type { Rule } from '../contract.js';
import { outgoing, pattern } from '../messages.js';
import type { Participant } from './topology.js';
import { newPoint, PATIENCE_MS } from './topology.js';

const all = pattern('#');

/** Each publishes one message and gets those of all others. */
async function expectTraffic(participants: readonly Participant[], label: string): Promise<void> {
  for (const { session } of participants) await session.addInterest(all);
  for (const [i, participant] of participants.entries())
    await participant.publish(outgoing('a', `${label} ${i}`));
  for (const [i, { received }] of participants.entries()) {
    const others = participants.map((_, other) => `${label} ${other}`).filter((_, other) => other !== i);
    await eventually(() => {
      expect(received.bodies.filter((body) => body.startsWith(label)).sort()).toEqual(others);
    }, PATIENCE_MS);
  }
}

/** Participants come, leave and die, points and spaces are deleted, and the others notice and carry on. */
export function lifecycleRules(rule: Rule): void {
  rule('nodes that join a new point at the same moment find each other', async (world) => {
    const mesh = await world.shared();
    for (let round = 0; round < 5; round++) {
      const point = newPoint();
      const participants = await Promise.all([0, 1, 2].map((node) => mesh.join(node, point)));
      await eventually(() => participants.every(({ linked }) => linked === 2), PATIENCE_MS);
      await expectTraffic(participants, `round ${round}:`);
      await mesh.leaveAll();
    }
  });

  rule('nodes that join a space at the same moment are all linked', async (world) => {
    for (let round = 0; round < 3; round++) {
      const mesh = await world.mesh(4);
      const point = newPoint();
      const participants = await Promise.all(mesh.nodes.map((_, node) => mesh.join(node, point)));
      // At once, as a rule; where both sides have dialled, a link may just be between two sessions.
      await eventually(() => participants.every(({ linked }) => linked === 3), PATIENCE_MS);
      await expectTraffic(participants, `round ${round}:`);
    }
  });

  rule('a participant that leaves is gone for the others, and gets nothing more', async (world) => {
    const [stays, leaves] = await (await world.shared()).joinPair(newPoint());
    await expectTraffic([stays, leaves], 'before');
    await Promise.all([leaves.session.leave(), leaves.session.leave()]);
    await eventually(() => expect(stays.session.status().participants).toEqual([]), PATIENCE_MS);
    await stays.publish(outgoing('a', 'after'));
    expect(leaves.received.bodies).toEqual(['before 0']);
    expect(leaves.received.deletions).toEqual([]);
  });

  rule('after leaving, every call is harmless', async (world) => {
    const [stays, { session }] = await (await world.shared()).joinPair(newPoint());
    await stays.session.addInterest(all);
    await session.leave();
    expect(session.publish(outgoing('a', 'too late'))).toBeUndefined();
    await session.addInterest(all);
    session.removeInterest(all);
    await session.delete();
    await session.leave();
    expect(session.status()).toMatchObject({ state: 'left', participants: [] });
    expect([stays.session.status().state, ...stays.received.bodies]).toEqual(['joined']);
  });

  rule('a participant that left can join again, and gets what comes from then on once', async (world) => {
    const mesh = await world.shared();
    const point = newPoint();
    const [stays, leaves] = await mesh.joinPair(point);
    await expectTraffic([stays, leaves], 'before');
    await leaves.session.leave();
    await stays.publish(outgoing('a', 'meanwhile'));
    const back = await mesh.join(1, point);
    await expectTraffic([stays, back], 'again');
    expect(back.received.bodies).toEqual(['again 0']);
    expect(stays.session.status().participants).toHaveLength(1);
  });

  rule(
    'a session that leaves takes its own interest along, and not that of another on its node',
    async (world) => {
      const mesh = await world.shared();
      const point = newPoint();
      const publisher = await mesh.join(0, point);
      const [stays, leaves] = [await mesh.join(1, point), await mesh.join(1, point)];
      for (const key of ['a', 'b']) await leaves.session.addInterest(pattern(key));
      await stays.session.addInterest(pattern('a'));
      await leaves.session.leave();
      await eventually(() => publisher.toldOf === 1, PATIENCE_MS);
      for (const key of ['b', 'a']) await publisher.publish(outgoing(key, key));
      await eventually(() => expect(stays.received.bodies).toEqual(['a']), PATIENCE_MS);
      expect([publisher.sent, ...leaves.received.bodies]).toEqual([1]);
    },
  );

  rule(
    'a point is gone with its last participant, and can be defined anew with another type',
    async (world) => {
      const mesh = await world.shared();
      const point = newPoint('topic');
      for (const { session } of await mesh.joinPair(point)) await session.leave();
      await eventually(async () => {
        const anew = await mesh.join(2, { ...point, type: 'fanout' });
        expect(anew.session.status().state).toBe('joined');
      }, PATIENCE_MS);
    },
  );

  rule('deleting a point ends the sessions of every participant, and its name is free', async (world) => {
    const mesh = await world.shared();
    const point = newPoint('topic');
    const participants = [...(await mesh.joinAll(point)), await mesh.join(0, point)];
    await participants[1]?.session.delete();
    await eventually(() => {
      expect(participants.map(({ received }) => received.deletions.length)).toEqual([1, 1, 1, 1]);
    }, PATIENCE_MS);
    for (const { session, received } of participants) {
      expect(session.status().state).toBe('left');
      expect(received.deletions[0]).toContain(point.name);
    }
    await eventually(async () => {
      const anew = [
        await mesh.join(0, { ...point, type: 'direct' }),
        await mesh.join(1, { ...point, type: 'direct' }),
      ];
      expect(anew.map(({ session }) => session.status().state)).toEqual(['joined', 'joined']);
    }, PATIENCE_MS);
  });

  rule(
    'deleting a space by its owner ends every session in it, and it is not found any more',
    async (world) => {
      const mesh = await world.mesh(3);
      const participants = [...(await mesh.joinAll(newPoint())), await mesh.join(1, newPoint('fanout'))];
      await mesh.handle.delete();
      await eventually(() => {
        expect(participants.map(({ received }) => received.deletions.length)).toEqual([1, 1, 1, 1]);
      }, PATIENCE_MS);
      for (const { received } of participants) expect(received.deletions[0]).toContain(mesh.space);
      await eventually(async () => {
        await expect(mesh.join(2, newPoint())).rejects.toMatchObject({ code: 'not-found' });
      }, PATIENCE_MS);
    },
  );

  rule('a space that was deleted can be declared again', async (world) => {
    const mesh = await world.mesh(2);
    const point = newPoint();
    await mesh.joinPair(point);
    await mesh.handle.delete();
    await mesh.node(0).implementation.declareSpace({ space: mesh.space, settings: {} });
    await eventually(async () => {
      const again = [await mesh.join(0, point), await mesh.join(1, point)];
      expect(again.map(({ session }) => session.status().state)).toEqual(['joined', 'joined']);
    }, PATIENCE_MS);
  });

  rule('a space lives on with its members when its handle is closed', async (world) => {
    const mesh = await world.mesh(3);
    const point = newPoint();
    const stays = await mesh.join(1, point);
    await mesh.handle.close();
    const joins = await mesh.join(2, point, 1);
    await expectTraffic([stays, joins], 'without the handle');
    expect(stays.received.deletions).toEqual([]);
  });

  rule('a node that stops is gone for the others, and its sessions have left', async (world) => {
    const mesh = await world.mesh(3);
    const participants = await mesh.joinAll(newPoint());
    await mesh.node(2).stop();
    const [first, second, stopped] = participants as [Participant, Participant, Participant];
    await eventually(() => {
      for (const { session } of [first, second]) expect(session.status().participants).toHaveLength(1);
    }, PATIENCE_MS);
    expect(stopped.session.status().state).toBe('left');
    expect(stopped.received.deletions).toEqual([]);
    await expectTraffic([first, second], 'after');
  });

  rule(
    'when the node that declared the space dies, the others carry on and newcomers can join',
    async (world) => {
      const mesh = await world.mesh(3);
      const point = newPoint();
      const [, second, third] = (await mesh.joinAll(point)) as [Participant, Participant, Participant];
      await mesh.node(0).kill();
      await expectTraffic([second, third], 'without the declarer');
      mesh.nodes.push(await world.createNode());
      const newcomer = await mesh.join(3, point, 1);
      await eventually(() => [second, third, newcomer].every(({ linked }) => linked === 2), PATIENCE_MS);
      await expectTraffic([second, third, newcomer], 'with the newcomer');
      expect(second.received.deletions).toEqual([]);
    },
  );
}
