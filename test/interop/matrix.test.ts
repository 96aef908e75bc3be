import { beforeAll, describe, expect, it } from 'vitest';
import type { NodeProcess } from '../support/node-process.js';
import { IMPLEMENTATIONS, pointArguments, spaceArguments } from '../support/space-arguments.js';
import { startNodes } from '../support/start-node.js';
import { teardown } from '../support/teardown.js';
import { requireTools } from '../support/tools.js';
import type { Client, ClientLibrary, ReceivedMessage, SentMessage } from './clients/index.js';
import { amqplib, clientLibraries } from './clients/index.js';

/** One of the two apps of a story: on which node, under which alias, and what it wants to hear. */
interface Side {
  readonly name: 'left' | 'right';
  readonly alias: string;
  readonly patterns: readonly string[];
  readonly wants: (routingKey: string) => boolean;
}

const left: Side = {
  name: 'left',
  alias: 'here',
  patterns: ['*.left', 'all.#'],
  wants: (routingKey) => routingKey === 'news.left' || routingKey.startsWith('all'),
};
const right: Side = {
  name: 'right',
  alias: 'there',
  patterns: ['news.right', 'all.#'],
  wants: (routingKey) => routingKey === 'news.right' || routingKey.startsWith('all'),
};
const routingKeys = ['news.right', 'news.left', 'all', 'all.the.same', 'nobody', 'x.right.y'];
const ROUNDS = 4;

describe.each(IMPLEMENTATIONS)(
  'two aliases of one topic point of %s, each with a client of its own',
  (implementation) => {
    let nodes: readonly [left: NodeProcess, right: NodeProcess];

    beforeAll(async () => {
      nodes = await startNodes('left', 'right');
      const owner = await amqplib.connect(nodes[0].amqpUrl);
      teardown(() => owner.close());
      await owner.declareExchange('talk', 'x-exchangespace', spaceArguments(implementation));
    });

    for (const leftLibrary of clientLibraries) {
      for (const rightLibrary of clientLibraries) {
        const pair = `${leftLibrary.name} and ${rightLibrary.name}`;
        requireTools(...leftLibrary.tools, ...rightLibrary.tools)(pair, () => {
          it('get what they asked for from both sides: once, in order, and nothing else', () =>
            talk(pair, leftLibrary, rightLibrary));
        });
      }
    }

    async function talk(
      point: string,
      leftLibrary: ClientLibrary,
      rightLibrary: ClientLibrary,
    ): Promise<void> {
      const leftApp = await join(left, leftLibrary, nodes[0].amqpUrl, point);
      const rightApp = await join(right, rightLibrary, nodes[1].amqpUrl, point);
      const atLeft = await leftApp.subscribe(alias(left, point), left.patterns);
      const atRight = await rightApp.subscribe(alias(right, point), right.patterns);

      await Promise.all([
        leftApp.publish(alias(left, point), messagesOf(left)),
        rightApp.publish(alias(right, point), messagesOf(right)),
      ]);

      expectExactly(await atLeft.until(hasBothEnds), left, leftLibrary, point);
      expectExactly(await atRight.until(hasBothEnds), right, rightLibrary, point);
    }

    async function join(side: Side, library: ClientLibrary, url: string, point: string): Promise<Client> {
      const app = await library.connect(url);
      teardown(() => app.close());
      await app.declareExchange(
        alias(side, point),
        'x-exchange',
        pointArguments('talk', nodes[0], point, 'topic', implementation),
      );
      return app;
    }
  },
);

function alias(side: Side, point: string): string {
  return `${side.alias} ${point}`;
}

function messagesOf(side: Side): SentMessage[] {
  const messages = Array.from({ length: ROUNDS * routingKeys.length }, (_, index) => ({
    routingKey: routingKeys[index % routingKeys.length] ?? '',
    body: `${side.name} ${index}`,
  }));
  return [...messages, { routingKey: 'all.end', body: `${side.name} end` }];
}

function hasBothEnds(received: readonly ReceivedMessage[]): boolean {
  return received.filter(({ body }) => body.endsWith(' end')).length >= 2;
}

function expectExactly(
  received: readonly ReceivedMessage[],
  receiver: Side,
  library: ClientLibrary,
  point: string,
): void {
  for (const sender of [left, right]) {
    const wanted = messagesOf(sender).filter(({ routingKey }) => receiver.wants(routingKey));
    const got = received.filter(({ body }) => body.startsWith(sender.name));
    expect(got.map(({ body }) => body)).toEqual(wanted.map(({ body }) => body));
    if (!library.seesEnvelope) continue;
    expect(got.map(({ routingKey }) => routingKey)).toEqual(wanted.map(({ routingKey }) => routingKey));
    expect(new Set(got.map(({ exchange }) => exchange))).toEqual(new Set([alias(receiver, point)]));
  }
}
