import { expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { startNodes } from '../support/start-node.js';
import { declareSpace, join, openApp, publish } from './space.js';

/** After so long a silence a member counts as dead, and its connections are given up. */
const DEAD_LIMIT_MS = 40_000;

it('a member that was cut off while the owner deleted the space hears of it when it is back, and the name can be declared anew', async () => {
  const [owner, stays, away] = await startNodes('owner', 'stays', 'away');
  const [owning, staying, absent] = [await openApp(owner), await openApp(stays), await openApp(away)];
  await declareSpace(owning, 'fair');
  for (const app of [owning, staying, absent]) await join(app, 'fair', 'talk', owner);

  away.signal('SIGSTOP');
  const dead = () => owner.logs.some((line) => line.includes(away.peerId) && line.includes('member is dead'));
  await eventually(() => expect(dead()).toBe(true), DEAD_LIMIT_MS);
  await owning.channel.deleteExchange('fair');
  await eventually(async () => {
    const probe = await openApp(stays);
    await expect(probe.channel.checkExchange('talk')).rejects.toMatchObject({ code: 404 });
  });

  away.signal('SIGCONT');
  await eventually(async () => {
    const probe = await openApp(away);
    await expect(probe.channel.checkExchange('talk')).rejects.toMatchObject({ code: 404 });
  }, DEAD_LIMIT_MS);

  await declareSpace(owning, 'fair');
  const back = await openApp(away);
  await join(back, 'fair', 'talk', owner);
  await join(owning, 'fair', 'talk', owner);
  await back.channel.bindQueue(back.queue, 'talk', '#');
  publish(owning, 'talk', 'a new time');
  await eventually(() => expect(back.arrived).toEqual(['a new time']));
});
