/**
 * The market of the original exchange space paper (section 5), with nodes and apps on this machine: Margaret opens a
 * space, Alice and Bob trade in it, Margaret's node is killed, and trading goes on, with a newcomer too.
 *
 *   npm run market [-- --implementation dht]
 *
 * Ends with 0 when every message arrived exactly once, otherwise with 1.
 */
import { parseArgs } from 'node:util';
import { connect } from 'amqplib';
import { NodeProcess } from '../../test/support/node-process.js';
import { Ledger } from './ledger.js';
import type { Invitation } from './space.js';
import { parseImplementation, pointArguments, pointArgumentsOf2010, spaceArguments } from './space.js';
import { overlayAddressesOf, Trader } from './trader.js';

const TIME_LIMIT_MS = 120_000;
const ROUND_LIMIT_MS = 20_000;
const ROUNDS = 100;

const ledger = new Ledger();

async function market(): Promise<void> {
  const { values } = parseArgs({ options: { implementation: { type: 'string', default: 'dht' } } });
  const implementation = parseImplementation(values.implementation);

  const [margaret, aliceNode, bobNode] = await Promise.all(['margaret', 'alice', 'bob'].map(startNode));
  if (!margaret || !aliceNode || !bobNode) throw new Error('three nodes were to start');
  say(
    'Margaret, Alice and Bob have each started a node. No node knows another, and there is no other broker.',
  );

  const app = await connect(margaret.amqpUrl);
  const invitation: Invitation = { space: 'market', implementation, seeds: overlayAddressesOf(app) };
  const channel = await app.createChannel();
  await channel.assertExchange('market', 'x-exchangespace', { arguments: spaceArguments(implementation) });
  app.on('error', () => undefined); // her node will be killed
  say(`Margaret declares the space market, and tells the others where her node is: ${invitation.seeds[0]}`);

  const alice = await Trader.connect(
    'Alice',
    aliceNode.amqpUrl,
    { bids: 'marketbids', mailbox: 'marketmail' },
    ledger,
  );
  await alice.join('x-exchange-point', (point, type) => pointArgumentsOf2010(invitation, point, type));
  await alice.watch('copper.#', 'closing.*');
  say(
    'Alice joins. Her node calls the points bids and mailbox marketbids and marketmail. She watches copper.#',
  );

  const bob = await Trader.connect('Bob', bobNode.amqpUrl, { bids: 'b', mailbox: 'm' }, ledger);
  await bob.join('x-exchange', (point, type) => pointArguments(invitation, point, type));
  await bob.watch('*.london', 'closing.*');
  say('Bob joins. His node calls them b and m. He watches *.london');

  await trade([
    { bidder: bob, topic: 'copper.santiago', watchers: [alice] },
    { bidder: alice, topic: 'tin.london', watchers: [bob] },
    { bidder: bob, topic: 'copper.london', watchers: [alice, bob] },
    { bidder: bob, topic: 'tin.lima', watchers: [] },
  ]);
  sayDeals('Alice and Bob trade', [alice, bob]);

  await margaret.kill();
  say("Margaret's node is killed. The space has lost the node that declared it.");
  await trade([
    { bidder: alice, topic: 'copper.london', watchers: [alice, bob] },
    { bidder: bob, topic: 'copper.santiago', watchers: [alice] },
  ]);
  sayDeals('Trading goes on', [alice, bob]);

  const carolNode = await startNode('carol');
  const carol = await Trader.connect(
    'Carol',
    carolNode.amqpUrl,
    { bids: 'market.bids', mailbox: 'market.mail' },
    ledger,
  );
  const fromBob = { ...invitation, seeds: bob.overlayAddresses };
  await carol.join('x-exchange', (point, type) => pointArguments(fromBob, point, type));
  await carol.watch('#');
  say("A newcomer, Carol, joins; all she knows is the address of Bob's node. She watches everything.");
  await trade([
    { bidder: alice, topic: 'tin.lima', watchers: [carol] },
    { bidder: bob, topic: 'copper.london', watchers: [alice, bob, carol] },
    { bidder: carol, topic: 'copper.santiago', watchers: [alice, carol] },
  ]);
  sayDeals('All three trade', [alice, bob, carol]);

  const traders = [alice, bob, carol];
  for (const trader of traders) trader.closing(traders);
  await ledger.settled(ROUND_LIMIT_MS);
  for (const trader of traders) await trader.leave();
  if (ledger.faults.length > 0) throw new Error(ledger.faults.slice(0, 10).join('\n'));
  say(`The market closes: ${ledger.messages} messages, ${ledger.deliveries} deliveries, each exactly once.`);

  const stopped = await Promise.all([aliceNode, bobNode, carolNode].map((node) => node.stop()));
  if (stopped.some(({ code }) => code !== 0)) throw new Error(`nodes ended with ${JSON.stringify(stopped)}`);
}

function startNode(name: string): Promise<NodeProcess> {
  return NodeProcess.start({ name });
}

/** Everybody bids at once, many times; returns when every offer and every deal that follows has arrived. */
async function trade(
  bids: readonly { bidder: Trader; topic: string; watchers: readonly Trader[] }[],
): Promise<void> {
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const { bidder, topic, watchers } of bids) bidder.bid(topic, watchers);
  }
  await ledger.settled(ROUND_LIMIT_MS);
}

function sayDeals(what: string, traders: readonly Trader[]): void {
  say(`${what}: ${traders.map((trader) => `${trader.name} has sold ${trader.deals} times`).join(', ')}.`);
}

function say(sentence: string): void {
  console.log(sentence);
}

setTimeout(() => {
  console.error(`The market did not end within ${TIME_LIMIT_MS} ms.`);
  process.exit(1);
}, TIME_LIMIT_MS).unref();

market().catch((error) => {
  console.error(`The market failed: ${error.message}`, error.cause ?? '');
  process.exit(1);
});
