import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, it } from 'vitest';
import type { ToldAddress } from '../../src/dht-space/index.js';
import { eventually } from '../support/eventually.js';
import { projectRoot } from '../support/node-process.js';
import { teardown } from '../support/teardown.js';
import { requireTools } from '../support/tools.js';
import { HostedMember } from './hosted-member.js';
import type { Host } from './network.js';
import { Network, OVERLAY_PORT, startNodeOn } from './network.js';

/** As many as AutoNAT wants before it takes an address for one where nobody can dial. */
const JUDGES = Array.from({ length: 8 }, (_, index) => `${20 + index}.9.9.9`);
const JUDGED_MS = 30_000;

interface State {
  /** Of each of the nodes. */
  readonly told: readonly (readonly ToldAddress[])[];
  /** Of the first one. */
  readonly connections: readonly {
    readonly peer: string;
    readonly direct: boolean;
    readonly direction: string;
  }[];
}

const describe = requireTools('nftables', 'network namespaces');

describe('a node with a public address', () => {
  it('knows that others can dial it when one has, and still tells of it where one says that it cannot', async () => {
    const network = new Network();
    const [owner, walled] = [network.host('owner'), network.host('walled')];
    network.wallOff(walled);
    const first = await startNodeOn(owner);
    const flags = ['--seeds', first.node.overlay.join()];
    const [open, hidden] = await Promise.all([
      HostedMember.start(network.host('open'), flags),
      HostedMember.start(walled, flags),
    ]);
    await eventually(async () =>
      expect(await open.told()).toEqual([{ address: open.node.overlay[0], reached: 'dialled' }]),
    );
    expect(open.node.logs.map((line) => JSON.parse(line).msg)).toContain('others can dial this node');
    expect(await hidden.told()).toEqual([{ address: hidden.node.overlay[0], reached: 'assumed' }]);
  });

  it('tells nobody of it where nodes of eight networks cannot dial it', async () => {
    const network = new Network();
    const [walled, judges] = [network.host('walled'), network.host('judges')];
    network.addAddresses(judges, JUDGES, walled);
    network.wallOff(walled);
    const addresses = JUDGES.map((address) => `/ip4/${address}/tcp/${OVERLAY_PORT}`);
    const judging = await startNodes(judges, addresses);
    const judged = await startNodes(walled, [addressOf(walled)], judging.addresses());
    expect(judged.told()).toHaveLength(1);
    await eventually(() => expect(judged.told()).toEqual([]), JUDGED_MS);
  });
});

describe('a node behind a NAT that is dialled through a relay', () => {
  it('dials whoever it was, where that has a public address, and gives the relay up', async () => {
    const network = new Network();
    const relay = await startNodeOn(network.host('relay'), { flags: ['--relay'] });
    const [relayed = ''] = relay.node.overlay;
    const hidden = await startNodeOn(network.hostBehindNat('hidden'), { flags: ['--seeds', relayed] });
    await eventually(() => expect(hidden.node.logs.join()).toContain('reached through a relay too'));
    const open = network.host('open');
    const { peerId } = hidden.node;
    const caller = await startNodes(open, [addressOf(open)], [`${relayed}/p2p-circuit/p2p/${peerId}`]);
    const connections = () => caller.state().connections.filter(({ peer }) => peer === peerId);
    await eventually(() =>
      expect(connections()).toEqual([{ peer: peerId, direct: true, direction: 'inbound' }]),
    );
  });
});

const addressOf = ({ address }: Host): string => `/ip4/${address}/tcp/${OVERLAY_PORT}`;

/** Nodes of the overlay in one process, without spaces; the first one dials. */
async function startNodes(host: Host, listen: readonly string[], dial: readonly string[] = []) {
  const [command = '', ...prefix] = host.prefix;
  const script = join(projectRoot, 'test', 'faults', 'overlay-nodes.mjs');
  const args = [...prefix, process.execPath, script, listen.join(), dial.join()];
  const nodes = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  teardown(() => nodes.kill('SIGKILL'));
  const states: State[] = [];
  createInterface({ input: nodes.stdout }).on('line', (line) => states.push(JSON.parse(line)));
  await eventually(() => expect(states).not.toHaveLength(0));
  const state = () => states.at(-1) ?? expect.fail('it has said nothing');
  return {
    state,
    /** Of the first one. */
    told: () => state().told[0] ?? [],
    addresses: () => state().told.flatMap((told) => told.map(({ address }) => address)),
  };
}
