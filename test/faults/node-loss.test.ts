import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { startNode, startNodes } from '../support/start-node.js';
import { declareSpace, join, openApp, publish } from './space.js';

const REJOIN_LIMIT_MS = 15_000;

describe('when the node that declared the space is killed', () => {
  it('the others go on without losing, doubling or reordering a message', async () => {
    const [owner, left, right] = await startNodes('owner', 'left', 'right');
    await declareSpace(await openApp(owner), 'orphaned');
    const [leftApp, rightApp] = [await openApp(left), await openApp(right)];
    await join(leftApp, 'orphaned', 'talk', owner);
    await join(rightApp, 'orphaned', 'talk', owner);
    await rightApp.channel.bindQueue(rightApp.queue, 'talk', '#');
    await leftApp.channel.bindQueue(leftApp.queue, 'talk', '#');
    const numbers = Array.from({ length: 2_000 }, (_, index) => String(index));

    publish(leftApp, 'talk', ...numbers.slice(0, 1_000));
    await owner.kill();
    publish(leftApp, 'talk', ...numbers.slice(1_000));

    await eventually(() => expect(rightApp.arrived).toHaveLength(numbers.length));
    expect(rightApp.arrived).toEqual(numbers);
    publish(rightApp, 'talk', 'back');
    await eventually(() => expect(leftApp.arrived).toContain('back'));
    expect(leftApp.arrived).toEqual([...numbers, 'back']);
  });

  it('a node that knows only one of the others can still join, an old point and a new one', async () => {
    const [owner, left] = await startNodes('owner', 'left');
    await declareSpace(await openApp(owner), 'orphaned');
    const leftApp = await openApp(left);
    await join(leftApp, 'orphaned', 'talk', owner);
    await leftApp.channel.bindQueue(leftApp.queue, 'talk', '#');
    await owner.kill();

    const newApp = await openApp(await startNode({ name: 'newcomer' }));
    await join(newApp, 'orphaned', 'talk', left);
    publish(newApp, 'talk', 'hello');
    await eventually(() => expect(leftApp.arrived).toEqual(['hello']));

    await join(newApp, 'orphaned', 'founded later', left);
    await join(leftApp, 'orphaned', 'founded later', left);
    await leftApp.channel.bindQueue(leftApp.queue, 'founded later', '#');
    publish(newApp, 'founded later', 'again');
    await eventually(() => expect(leftApp.arrived).toEqual(['hello', 'again']));
  });
});

describe('a node that was killed and started again', () => {
  it('joins again, and what the others send follows its new bindings, within 15 s', async () => {
    const [owner, stays, dies] = await startNodes('owner', 'stays', 'dies');
    await declareSpace(await openApp(owner), 'reunion');
    const staying = await openApp(stays);
    await join(staying, 'reunion', 'talk', owner);
    await staying.channel.bindQueue(staying.queue, 'talk', '#');
    const dying = await openApp(dies);
    await join(dying, 'reunion', 'talk', owner);
    await dying.channel.bindQueue(dying.queue, 'talk', 'before.*');
    publish(staying, 'talk', 'before.1');
    await eventually(() => expect(dying.arrived).toEqual(['before.1']));

    await dies.kill();
    const restartedAt = performance.now();
    const again = await startNode({
      name: 'dies',
      amqpListen: `${dies.host}:${dies.port}`,
      overlayListen: dies.overlay[0]?.replace(/\/p2p\/.*/, '') ?? '',
    });
    const returned = await openApp(again);
    await join(returned, 'reunion', 'talk', stays);
    await returned.channel.bindQueue(returned.queue, 'talk', 'after.*');
    publish(staying, 'talk', 'before.2', 'after.1');
    publish(returned, 'talk', 'here I am');

    await eventually(() => expect(returned.arrived).toEqual(['after.1']));
    const everything = ['after.1', 'before.1', 'before.2', 'here I am']; // no order between two origins
    await eventually(() => expect([...staying.arrived].sort()).toEqual(everything));
    expect(performance.now() - restartedAt).toBeLessThan(REJOIN_LIMIT_MS);
  });

  it('holds up nobody while it is away', async () => {
    const [owner, stays, dies] = await startNodes('owner', 'stays', 'dies');
    const [sending, staying, dying] = [await openApp(owner), await openApp(stays), await openApp(dies)];
    await declareSpace(sending, 'reunion');
    for (const app of [sending, staying, dying]) await join(app, 'reunion', 'talk', owner);
    for (const app of [staying, dying]) await app.channel.bindQueue(app.queue, 'talk', '#');

    await dies.kill();
    const numbers = Array.from({ length: 1_000 }, (_, index) => String(index));
    publish(sending, 'talk', ...numbers);

    await eventually(() => expect(staying.arrived).toHaveLength(numbers.length), 5_000);
    expect(staying.arrived).toEqual(numbers);
  });
});
