import { expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { startNodes } from '../support/start-node.js';
import { declareSpace, join, openApp, publish } from './space.js';

const ATTEMPTS = 20;

it('two nodes that declare the same new point at the same moment find each other, every time', async () => {
  const [owner, left, right] = await startNodes('owner', 'left', 'right');
  await declareSpace(await openApp(owner), 'race');

  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const point = `point ${attempt}`;
    const [leftApp, rightApp] = await Promise.all([openApp(left), openApp(right)]);
    await Promise.all([join(leftApp, 'race', point, owner), join(rightApp, 'race', point, owner)]);
    await Promise.all([leftApp, rightApp].map((app) => app.channel.bindQueue(app.queue, point, '#')));

    publish(leftApp, point, 'from left');
    publish(rightApp, point, 'from right');

    const both = ['from left', 'from right'];
    await eventually(() => expect([...leftApp.arrived].sort()).toEqual(both));
    await eventually(() => expect([...rightApp.arrived].sort()).toEqual(both));
  }
});

it('four nodes that join at the same moment, knowing one seed, all find each other', async () => {
  const nodes = await startNodes('first', 'second', 'third', 'fourth');
  const apps = await Promise.all(nodes.map(openApp));
  await declareSpace(apps[0] ?? expect.fail(), 'crowd');

  await Promise.all(apps.map((app) => join(app, 'crowd', 'talk', nodes[0])));
  await Promise.all(apps.map((app) => app.channel.bindQueue(app.queue, 'talk', '#')));
  for (const [index, app] of apps.entries()) publish(app, 'talk', `from ${index}`);

  const everybody = apps.map((_, index) => `from ${index}`);
  for (const app of apps) await eventually(() => expect([...app.arrived].sort()).toEqual(everybody));
});
