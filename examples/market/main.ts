/**
 * The market of the original exchange space paper (section 5), with nodes and apps on this machine: Margaret opens a
 * space, Alice and Bob trade in it, Margaret's node is killed, and trading goes on, with a newcomer too.
 *
 *   npm run market [-- --implementation dht|prototype]
 *
 * With `prototype`, Alice is refused at first, as in the paper, and newcomers need Margaret's node.
 * Ends with 0 when every message arrived exactly once, otherwise with 1.
 */
import { parseArgs } from 'node:util';
import { NodeProcess } from '../../test/support/node-process.js';
import { Ledger } from './ledger.js';
import { parseImplementation, pointArguments, pointArgumentsOf2010 } from './space.js';
import { Trader } from './trader.js';
import { createVenue } from './venue.js';

const TIME_LIMIT_MS = 120_000;
const ROUND_LIMIT_MS = 20_000;
const ROUNDS = 100;
const ACCESS_REFUSED = 403;

const ledger = new Ledger();

async function market(): Promise<void> {
  const { values } = parseArgs({ options: { implementation: { type: 'string', default: 'dht' } } });
  const implementation = parseImplementation(values.implementation);

  const venue = createVenue(implementation);
  const [way, aliceNode, bobNode] = await Promise.all([venue.open(), startNode('alice'), startNode('bob')]);
  say(
    'Margaret, Alice and Bob have each started a node. No node knows another, and there is no other broker.',
  );
  say(`Margaret declares the space market, and ${way}`);

  const names = { bids: 'marketbids', mailbox: 'marketmail' };
  if (venue.admission !== undefined) {
    const tooEarly = await Trader.connect('Alice', aliceNode.amqpUrl, names, ledger);
    const refusal = await tooEarly.refusal(
      'x-exchange-point',
      pointArgumentsOf2010(venue.invitation('Alice'), 'bids', 'topic'),
    );
    if (refusal?.code !== ACCESS_REFUSED)
      throw new Error(`Alice was to be refused, and got ${refusal?.text}`);
    say(`Alice tries to join, and is refused: ${refusal.text}`);
    await venue.admission('Alice');
    await venue.admission('Bob');
    say('Alice calls Margaret, who permits the users alice and bob to write to and read from market.');
  }

  const alice = await Trader.connect('Alice', aliceNode.amqpUrl, names, ledger);
  const forAlice = venue.invitation('Alice');
  await alice.join('x-exchange-point', (point, type) => pointArgumentsOf2010(forAlice, point, type));
  await alice.watch('copper.#', 'closing.*');
  say(
    'Alice joins. Her node calls the points bids and mailbox marketbids and marketmail. She watches copper.#',
  );

  const bob = await Trader.connect('Bob', bobNode.amqpUrl, { bids: 'b', mailbox: 'm' }, ledger);
  const forBob = venue.invitation('Bob');
  await bob.join('x-exchange', (point, type) => pointArguments(forBob, point, type));
  await bob.watch('*.london', 'closing.*');
  say('Bob joins. His node calls them b and m. He watches *.london');

  await trade([
    { bidder: bob, topic: 'copper.santiago', watchers: [alice] },
    { bidder: alice, topic: 'tin.london', watchers: [bob] },
    { bidder: bob, topic: 'copper.london', watchers: [alice, bob] },
    { bidder: bob, topic: 'tin.lima', watchers: [] },
  ]);
  sayDeals('Alice and Bob trade', [alice, bob]);

  await venue.kill();
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
  const { how, invitation } = await venue.reopen('Carol', bob);
  await carol.join('x-exchange', (point, type) => pointArguments(invitation, point, type));
  await carol.watch('#');
  say(`A newcomer, Carol, joins: ${how}. She watches everything.`);
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
  await venue.close();
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
