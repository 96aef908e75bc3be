import { expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { requireTools } from '../support/tools.js';
import type { HostedNode } from './network.js';
import { LOCAL_NET, Network, startNodeOn } from './network.js';
import type { App } from './space.js';
import { declareSpace, join, openApp, publish } from './space.js';

const LINK_LIMIT_MS = 15_000;
/** Routers are looked for every 5 s, and links that failed are tried after up to 30 s. */
const UPNP_LIMIT_MS = 45_000;
const MESSAGES = 2_000;
let rounds = 0;

const describe = requireTools('nftables', 'network namespaces');

describe('a node behind a NAT', () => {
  it('is linked over the connection that it dialled, in both directions, and again by itself', async () => {
    const network = new Network();
    const host = network.host('open');
    const open = await startNodeOn(host);
    const hidden = await startNodeOn(network.hostBehindNat('hidden'));
    const app = await openApp(open);
    await declareSpace(app, 'market', 'dht', true);
    await join(app, 'market', 'talk', open.node);
    const hiddenApp = await openApp(hidden);
    await join(hiddenApp, 'market', 'talk', open.node);
    await hear(app, hiddenApp);
    await expectMessages(app, hiddenApp, () => undefined);

    await open.node.kill();
    const restartedAt = performance.now();
    const again = await startNodeOn(host, open);
    const appAgain = await openApp(again);
    await join(appAgain, 'market', 'talk', again.node);
    await hear(appAgain, hiddenApp);
    await expectTraffic(hiddenApp, appAgain);
    await expectTraffic(appAgain, hiddenApp);
    expect(performance.now() - restartedAt).toBeLessThan(LINK_LIMIT_MS);
  });
});

describe('a node whose router forwards ports by UPnP', () => {
  it('is dialled by one behind another NAT, with nobody to relay', async () => {
    const network = new Network();
    const owner = await startNodeOn(network.host('owner'));
    const left = await startNodeOn(await network.hostBehindUpnp('left'), { flags: ['--upnp'] });
    const right = await startNodeOn(network.hostBehindNat('right'));
    const [leftApp, rightApp] = [await openApp(left), await openApp(right)];
    await declareSpace(await openApp(owner), 'market');
    await join(leftApp, 'market', 'talk', owner.node);
    await join(rightApp, 'market', 'talk', owner.node);
    await hear(leftApp, rightApp);
    await expectTraffic(leftApp, rightApp, UPNP_LIMIT_MS);
    await expectMessages(leftApp, rightApp, () => owner.node.kill());
    expect(linkedThroughRelay(right, left)).toBe(false);
  });
});

describe('two nodes behind different NATs', () => {
  it('are linked through a node that relays, and through another one when that dies', async () => {
    const network = new Network();
    const [first, second] = [network.host('relay1'), network.host('relay2')];
    const relay1 = await startNodeOn(first, { flags: ['--relay'] });
    const relay2 = await startNodeOn(second, { flags: ['--relay'] });
    const flags = ['--seeds', [...relay1.node.overlay, ...relay2.node.overlay].join()];
    const [left, right] = await Promise.all([
      startNodeOn(network.hostBehindNat('left'), { flags }),
      startNodeOn(network.hostBehindNat('right'), { flags }),
    ]);
    const [leftApp, rightApp] = [await openApp(left), await openApp(right)];
    await declareSpace(leftApp, 'market');
    await join(leftApp, 'market', 'talk', relay1.node);
    await join(rightApp, 'market', 'talk', relay1.node);
    await hear(leftApp, rightApp);
    await expectTraffic(leftApp, rightApp);
    await expectTraffic(rightApp, leftApp);
    expect(linkedThroughRelay(left, right)).toBe(true);
    await expectMessages(leftApp, rightApp, () => undefined);

    // Whichever they are linked through: it dies in one of the two.
    await expectMessages(leftApp, rightApp, () => relay1.node.kill());
    const again = await startNodeOn(first, { ...relay1, flags: ['--relay'] });
    await eventually(() => expect([left, right].every((node) => relaysOf(node, again) > 1)).toBe(true));
    await expectMessages(leftApp, rightApp, () => relay2.node.kill());
  });
});

describe('nodes with public addresses', () => {
  it('are linked with those that know them by others only, who tell where they listen', async () => {
    const network = new Network();
    const [owner, left, right] = await Promise.all([
      startNodeOn(network.host('owner')),
      startNodeOn(network.host('left')),
      startNodeOn(network.host('right')),
    ]);
    const [leftApp, rightApp] = [await openApp(left), await openApp(right)];
    await declareSpace(await openApp(owner), 'market');
    await join(leftApp, 'market', 'talk', owner.node);
    await join(rightApp, 'market', 'talk', owner.node);
    await hear(leftApp, rightApp);
    await expectMessages(leftApp, rightApp, () => owner.node.kill());
  });
});

describe('nodes on the same network', () => {
  it('find each other without seeds where both ask for that, and not otherwise', async () => {
    const network = new Network(LOCAL_NET);
    const [left, right, silent] = await Promise.all([
      startNodeOn(network.host('left'), { flags: ['--mdns'] }),
      startNodeOn(network.host('right'), { flags: ['--mdns'] }),
      startNodeOn(network.host('silent')),
    ]);
    const [leftApp, rightApp, silentApp] = [await openApp(left), await openApp(right), await openApp(silent)];
    await declareSpace(leftApp, 'market');
    await joinWithoutSeeds(leftApp);
    await joinWithoutSeeds(rightApp);
    await hear(leftApp, rightApp);
    await expectMessages(leftApp, rightApp, () => undefined);
    await expect(joinWithoutSeeds(silentApp)).rejects.toMatchObject({ code: 404 });
  });
});

async function joinWithoutSeeds({ channel }: App): Promise<void> {
  const args = {
    exchangespace: { implementation: 'dht', space: 'market' },
    exchangename: 'talk',
    exchangetype: 'topic',
  };
  await channel.assertExchange('talk', 'x-exchange', { durable: false, arguments: args });
}

/** Each asks for all that is said. */
async function hear(...apps: App[]): Promise<void> {
  for (const app of apps) await app.channel.bindQueue(app.queue, 'talk', '#');
}

function linkedThroughRelay({ node }: HostedNode, { node: { peerId } }: HostedNode): boolean | undefined {
  const links = node.logs.map((line) => JSON.parse(line)).filter(({ msg }) => msg === 'linked');
  return links.findLast(({ peer }) => peer === peerId)?.relayed;
}

/** How often the other node has agreed to relay for this one. */
function relaysOf({ node }: HostedNode, { node: { peerId } }: HostedNode): number {
  const lines = node.logs.map((line) => JSON.parse(line));
  return lines.filter(({ msg, relay }) => msg === 'reached through a relay too' && relay === peerId).length;
}

async function expectTraffic(from: App, to: App, limitMs = LINK_LIMIT_MS): Promise<void> {
  const text = 'anybody there?';
  const before = to.arrived.length;
  await eventually(() => {
    publish(from, 'talk', text);
    expect(to.arrived.slice(before)).toContain(text);
  }, limitMs);
}

/** What both say before and after `disturb` arrives everywhere, once and in the order of who said it. */
async function expectMessages(left: App, right: App, disturb: () => unknown): Promise<void> {
  rounds += 1;
  const texts = (from: string) =>
    Array.from({ length: MESSAGES }, (_, index) => `${from} ${rounds} ${index}`);
  const say = (start: number, end: number) => {
    publish(left, 'talk', ...texts('left').slice(start, end));
    publish(right, 'talk', ...texts('right').slice(start, end));
  };
  say(0, MESSAGES / 2);
  await disturb();
  say(MESSAGES / 2, MESSAGES);
  for (const app of [left, right]) {
    for (const from of ['left', 'right']) {
      const heard = () => app.arrived.filter((text) => text.startsWith(`${from} ${rounds} `));
      await eventually(() => expect(heard()).toHaveLength(MESSAGES), LINK_LIMIT_MS);
      expect(heard()).toEqual(texts(from));
    }
  }
}
