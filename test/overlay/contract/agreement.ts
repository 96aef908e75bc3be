import { expect } from 'vitest';
import type { FieldTable, PointDefinition, SpaceErrorCode } from '../../../src/overlay/index.js';
import { SpaceError } from '../../../src/overlay/index.js';
import { eventually } from '../../support/eventually.js';
import type { Rule } from '../contract.js';
import { newName, newPoint, PATIENCE_MS } from './topology.js';

/** Expects the call to fail with this code, and a text that names all of these. */
async function expectRefusal(
  call: Promise<unknown>,
  code: SpaceErrorCode,
  ...named: string[]
): Promise<void> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(SpaceError);
  expect(error).toMatchObject({ code });
  for (const name of named) expect((error as SpaceError).message).toContain(name);
}

/** Spaces are found or not, points are what they were defined as, and an error says what is wrong. */
export function agreementRules(rule: Rule): void {
  rule('a point of a declared space can be joined from every node', async (world) => {
    const participants = await (await world.shared()).joinAll(newPoint());
    expect(participants.map(({ session }) => session.status().state)).toEqual(['joined', 'joined', 'joined']);
  });

  rule('joining a space that does not exist is not-found, and names it', async (world) => {
    const mesh = await world.shared();
    const settings = mesh.node(0).settings();
    const receiver = { receive: () => {}, deleted: () => {} };
    const join = mesh
      .node(1)
      .implementation.join({ space: 'nowhere', point: newPoint(), settings }, receiver);
    await expectRefusal(join, 'not-found', 'nowhere');
  });

  rule('a setting that is not understood is an invalid argument, and is named', async (world) => {
    const mesh = await world.shared();
    const settings = { ...mesh.node(0).settings(), 'no-such-setting': 1 };
    const { implementation } = mesh.node(1);
    const receiver = { receive: () => {}, deleted: () => {} };
    const join = implementation.join({ space: mesh.space, point: newPoint(), settings }, receiver);
    await expectRefusal(join, 'invalid-argument', 'no-such-setting');
    const declare = implementation.declareSpace({ space: newName('space'), settings });
    await expectRefusal(declare, 'invalid-argument', 'no-such-setting');
  });

  rule('declaring a space again on its node succeeds', async (world) => {
    const mesh = await world.shared();
    const point = newPoint();
    const joined = await mesh.join(1, point);
    await mesh.node(0).implementation.declareSpace({ space: mesh.space, settings: {} });
    const later = await mesh.join(0, point);
    await eventually(() => joined.linked === 1 && later.linked === 1, PATIENCE_MS);
  });

  rule('declaring a space that another node owns is a conflict', async (world) => {
    const mesh = await world.shared();
    const settings = mesh.node(0).settings();
    const declare = mesh.node(1).implementation.declareSpace({ space: mesh.space, settings });
    await expectRefusal(declare, 'conflict', mesh.space);
  });

  rule('joining a point with another type is a conflict that names both types', async (world) => {
    const mesh = await world.shared();
    const point = newPoint('topic');
    await mesh.join(0, point);
    for (const node of [0, 1]) {
      const join = mesh.join(node, { ...point, type: 'direct' });
      await expectRefusal(join, 'conflict', point.name, 'exchangetype', "'topic'", "'direct'");
    }
  });

  rule('joining a point with other arguments is a conflict that names argument and values', async (world) => {
    const mesh = await world.shared();
    const point = newPoint('topic', { colour: 'green', size: 1 });
    await mesh.join(0, point);
    const join = mesh.join(1, { ...point, arguments: { colour: 'blue', size: 1 } });
    await expectRefusal(join, 'conflict', point.name, 'colour', "'green'", "'blue'");
    await expectRefusal(mesh.join(1, { ...point, arguments: { colour: 'green' } }), 'conflict', 'size');
  });

  rule('joining a point with equal arguments in another order and writing succeeds', async (world) => {
    const mesh = await world.shared();
    const point = newPoint('topic', {
      a: 5n,
      b: [true, { c: Buffer.from('x') }],
      d: new Date(0),
      e: 2n ** 60n,
    });
    const same = { e: 2n ** 60n, d: new Date(0), b: [true, { c: new Uint8Array([120]) }], a: 5 };
    await mesh.join(0, point);
    const joined = await mesh.join(1, { ...point, arguments: same });
    expect(joined.session.status().state).toBe('joined');
  });

  rule('joining a point with arguments that nest too deep is an invalid argument', async (world) => {
    const mesh = await world.shared();
    let table: FieldTable = {};
    for (let level = 0; level < 100; level++) table = { table };
    await expectRefusal(mesh.join(1, newPoint('topic', table)), 'invalid-argument', 'arguments');
  });

  rule('of simultaneous first joins with different types, those of one type stay', async (world) => {
    const mesh = await world.shared();
    for (let round = 0; round < 3; round++) {
      const topic = newPoint('topic');
      const wanted: PointDefinition[] = [topic, { ...topic, type: 'direct' }, { ...topic, type: 'fanout' }];
      const joins = await Promise.allSettled(wanted.map((point, node) => mesh.join(node, point)));
      for (const join of joins)
        if (join.status === 'rejected') expect(join.reason).toMatchObject({ code: 'conflict' });
      const joined = joins.filter((join) => join.status === 'fulfilled').map((join) => join.value);
      const states = (): string[] => joined.map(({ session }) => session.status().state);
      await eventually(() => states().filter((state) => state === 'joined').length === 1, PATIENCE_MS);
      const loser = joined.find(({ session }) => session.status().state === 'conflicted');
      if (loser !== undefined) await expectRefusal(loser.session.delete(), 'conflict');
      await mesh.leaveAll();
    }
  });
}
