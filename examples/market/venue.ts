import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ChannelModel } from 'amqplib';
import { connect } from 'amqplib';
import { NodeProcess, projectRoot } from '../../test/support/node-process.js';
import type { Implementation, Invitation } from './space.js';
import { spaceArguments } from './space.js';
import type { Trader } from './trader.js';
import { overlayAddressesOf } from './trader.js';

const run = promisify(execFile);
const SPACE = 'market';

/** Margaret's node, and what it takes to get into her space, which is not the same for every implementation. */
export interface Venue {
  /** Starts her node and declares the space. Resolves with a sentence on how others get there. */
  open(): Promise<string>;
  /** What a trader is told that is to join. */
  invitation(trader: string): Invitation;
  /** Whether somebody has to be let in before joining works, and what Margaret does then. */
  readonly admission: ((trader: string) => Promise<void>) | undefined;
  /** Her node is killed. */
  kill(): Promise<void>;
  /** What it takes that a newcomer can join after that, as a sentence and the invitation. */
  reopen(
    newcomer: string,
    member: Trader,
  ): Promise<{ readonly how: string; readonly invitation: Invitation }>;
  close(): Promise<void>;
}

export function createVenue(implementation: Implementation): Venue {
  return implementation === 'dht' ? new DhtVenue() : new PrototypeVenue();
}

/** Open to all; any member leads to the space, with or without the node that declared it. */
class DhtVenue implements Venue {
  readonly admission = undefined;
  #node: NodeProcess | undefined;
  #seeds: readonly string[] = [];

  async open(): Promise<string> {
    this.#node = await NodeProcess.start({ name: 'margaret' });
    const app = await declare(this.#node, 'dht');
    this.#seeds = overlayAddressesOf(app);
    return `tells the others where her node is: ${this.#seeds[0]}`;
  }

  invitation(): Invitation {
    return { implementation: 'dht', space: SPACE, seeds: this.#seeds };
  }

  async kill(): Promise<void> {
    await this.#node?.kill();
  }

  async reopen(_: string, member: Trader) {
    const how = `all that is known to join by is the address of ${member.name}'s node`;
    return { how, invitation: { ...this.invitation(), seeds: member.overlayAddresses } as Invitation };
  }

  async close(): Promise<void> {}
}

/** Held by Margaret's broker, whose users and permissions say who may join. Without it nobody new gets in. */
class PrototypeVenue implements Venue {
  #node: NodeProcess | undefined;
  #dataDir = '';

  async open(): Promise<string> {
    this.#dataDir = await mkdtemp(join(tmpdir(), 'xspace-market-'));
    this.#node = await this.#start('127.0.0.1:0');
    await declare(this.#node, 'prototype');
    return `her node keeps it, at ${this.#node.host}:${this.#node.port}`;
  }

  invitation(trader: string): Invitation {
    const { host, port } = this.#running;
    const [username, password] = [trader.toLowerCase(), passwordOf(trader)];
    return { implementation: 'prototype', space: SPACE, host, port, username, password };
  }

  /** Commands of an operator, while the node runs. Nothing but the exchange of that name is permitted. */
  readonly admission = async (trader: string): Promise<void> => {
    const user = trader.toLowerCase();
    await this.#xspace('user', 'add', user, '--password', passwordOf(trader));
    const only = `^${SPACE}$`;
    await this.#xspace(
      'permission',
      'set',
      user,
      '--vhost',
      '/',
      '--configure',
      '^$',
      '--write',
      only,
      '--read',
      only,
    );
  };

  async kill(): Promise<void> {
    await this.#node?.kill();
  }

  async reopen(newcomer: string) {
    const { host, port } = this.#running;
    this.#node = await this.#start(`${host}:${port}`);
    await this.admission(newcomer);
    return {
      how: 'her node, which nobody can join without, is started again and knows the market',
      invitation: this.invitation(newcomer),
    };
  }

  async close(): Promise<void> {
    await this.#node?.stop();
    await rm(this.#dataDir, { recursive: true, force: true });
  }

  get #running(): NodeProcess {
    if (this.#node === undefined) throw new Error("Margaret's node was not started");
    return this.#node;
  }

  #start(amqpListen: string): Promise<NodeProcess> {
    return NodeProcess.start({ name: 'margaret', amqpListen, flags: ['--data-dir', this.#dataDir] });
  }

  async #xspace(...args: readonly string[]): Promise<void> {
    await run(process.execPath, [join(projectRoot, 'dist', 'cli.js'), ...args, '--data-dir', this.#dataDir]);
  }
}

function passwordOf(trader: string): string {
  return `${trader}'s secret`;
}

async function declare(node: NodeProcess, implementation: Implementation): Promise<ChannelModel> {
  const app = await connect(node.amqpUrl);
  app.on('error', () => undefined); // her node will be killed
  const channel = await app.createChannel();
  await channel.assertExchange(SPACE, 'x-exchangespace', { arguments: spaceArguments(implementation) });
  return app;
}
