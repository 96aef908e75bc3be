import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NodeProcess } from '../support/node-process.js';
import { projectRoot } from '../support/node-process.js';
import { startNode } from '../support/start-node.js';
import { teardown } from '../support/teardown.js';

/** libp2p takes its addresses for public ones; nothing here leads to the Internet. */
const PUBLIC_NET = '9.9.9';
export const LOCAL_NET = '192.168.7';
/** The same behind every NAT, as in many homes. */
const PRIVATE_NET = '10.0.0';
/** From the test to each host, over a cable of its own. Not the same in two runs at a time. */
const TEST_NET = `10.${100 + (process.pid % 100)}`;
export const OVERLAY_PORT = 4672;
const AMQP_PORT = 5672;
const USER = 'tester';
const MAX_HOSTS = 100;

let networks = 0;

/** A host of its own in a {@link Network}: what runs there sees nothing but that. */
export interface Host {
  readonly name: string;
  /** In its network, which for a host behind a NAT is the private one. */
  readonly address: string;
  /** A command that runs another one there. */
  readonly prefix: readonly string[];
  /** Where the test reaches the host, and other hosts do not. */
  readonly testAddress: string;
}

/**
 * Hosts as network namespaces: some on one network, where nobody answers for addresses that nobody has, and some
 * behind routers that translate addresses and let nothing in that was not asked for. Gone after the test. Needs root,
 * `ip` and `nft`.
 */
export class Network {
  /** Names of interfaces have 15 characters. */
  readonly #id = `x${process.pid.toString(36)}${(networks++).toString(36)}`;
  readonly #hub = this.#namespace('hub');
  readonly #net: string;
  #hosts = 0;
  /** By name of the host. */
  readonly #ports = new Map<string, string>();
  /** Those on the other side of a network that is cut in two. */
  #apart: readonly string[] = [];

  /** `net`: the first three numbers of the addresses in the network that all share. */
  constructor(net = PUBLIC_NET) {
    this.#net = net;
    ip(this.#hub, 'link add bridge0 type bridge');
    ip(this.#hub, `address add ${this.#net}.254/24 dev bridge0`);
    ip(this.#hub, 'link set bridge0 up');
    // It does not forward: what leads nowhere is dropped without a word, as in the Internet.
  }

  /** A host with a public address. */
  host(name: string): Host {
    const number = this.#next();
    const namespace = this.#namespace(name);
    const address = `${this.#net}.${number}`;
    this.#plugIn(namespace, number, address);
    this.#ports.set(name, `port${number}`);
    return this.#finish(name, namespace, number, address);
  }

  /** A host behind a router with NAT that belongs to it alone, and that forwards ports to whoever asks by UPnP. */
  async hostBehindUpnp(name: string): Promise<Host> {
    const host = this.hostBehindNat(name);
    const prefix = ['netns', 'exec', `${this.#id}-${name}-nat`, process.execPath];
    const script = join(projectRoot, 'test', 'faults', 'gateway.mjs');
    const gateway = spawn('ip', [...prefix, script, `${PRIVATE_NET}.1`, `${this.#net}.${this.#hosts}`], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    teardown(() => gateway.kill('SIGKILL'));
    await once(gateway.stdout, 'data');
    return host;
  }

  /** A host behind a router with NAT, which belongs to it alone. */
  hostBehindNat(name: string): Host {
    const number = this.#next();
    const router = this.#namespace(`${name}-nat`);
    this.#plugIn(router, number, `${this.#net}.${number}`);
    nft(router, 'add table ip nat');
    nft(router, 'add chain ip nat out { type nat hook postrouting priority srcnat; }');
    nft(router, 'add rule ip nat out oifname "eth0" masquerade');
    nft(router, 'add table ip filter');
    nft(router, 'add chain ip filter forward { type filter hook forward priority 0; policy drop; }');
    nft(router, 'add rule ip filter forward iifname "lan0" accept');
    nft(router, 'add rule ip filter forward ct state established,related accept');
    enableForwarding(router);

    const namespace = this.#namespace(name);
    const address = `${PRIVATE_NET}.2`;
    ip(router, `link add lan0 type veth peer name eth0 netns ${namespace}`);
    ip(router, `address add ${PRIVATE_NET}.1/24 dev lan0`);
    ip(router, 'link set lan0 up');
    ip(namespace, `address add ${address}/24 dev eth0`);
    ip(namespace, 'link set eth0 up');
    ip(namespace, `route add default via ${PRIVATE_NET}.1`);
    return this.#finish(name, namespace, number, address);
  }

  /** Gives a host with a public address further ones, in other networks, where one other such host reaches it. */
  addAddresses(host: Host, addresses: readonly string[], other: Host): void {
    for (const address of addresses) {
      ip(`${this.#id}-${host.name}`, `address add ${address}/32 dev eth0`);
      ip(`${this.#id}-${other.name}`, `route add ${address}/32 dev eth0`);
    }
  }

  /** A firewall on the host refuses whoever wants to connect to its overlay port, from now on. */
  wallOff(host: Host): void {
    const namespace = `${this.#id}-${host.name}`;
    nft(namespace, 'add table ip wall');
    nft(namespace, 'add chain ip wall input { type filter hook input priority 0; }');
    nft(namespace, `add rule ip wall input tcp dport ${OVERLAY_PORT} ct state new reject`);
  }

  /** Cuts the network in two: what these hosts with public addresses and the others send each other is lost, until `heal`. */
  split(...half: readonly Host[]): void {
    this.#apart = half.map(({ name }) => this.#ports.get(name) ?? name);
    ip(this.#hub, 'link add bridge1 type bridge');
    ip(this.#hub, 'link set bridge1 up');
    for (const port of this.#apart) ip(this.#hub, `link set ${port} master bridge1`);
  }

  heal(): void {
    for (const port of this.#apart) ip(this.#hub, `link set ${port} master bridge0`);
    ip(this.#hub, 'link delete bridge1');
    this.#apart = [];
  }

  #next(): number {
    this.#hosts += 1;
    if (this.#hosts > MAX_HOSTS) throw new Error(`a network has at most ${MAX_HOSTS} hosts`);
    return this.#hosts;
  }

  #namespace(name: string): string {
    const namespace = `${this.#id}-${name}`;
    run('ip', 'netns', 'add', namespace);
    teardown(() => run('ip', 'netns', 'delete', namespace));
    ip(namespace, 'link set lo up');
    return namespace;
  }

  /** Into the public network. */
  #plugIn(namespace: string, number: number, address: string): void {
    ip(this.#hub, `link add port${number} type veth peer name eth0 netns ${namespace}`);
    ip(this.#hub, `link set port${number} master bridge0 up`);
    ip(namespace, `address add ${address}/24 dev eth0`);
    ip(namespace, 'link set eth0 up');
    ip(namespace, `route add default via ${this.#net}.254`);
  }

  #finish(name: string, namespace: string, number: number, address: string): Host {
    const [near, far] = [`${TEST_NET}.${number}.1`, `${TEST_NET}.${number}.2`];
    const cable = `${this.#id}${number}`;
    run('ip', 'link', 'add', cable, 'type', 'veth', 'peer', 'name', 'test0', 'netns', namespace);
    // With its namespace it would go too, but some time later.
    teardown(() => run('ip', 'link', 'delete', cable));
    run('ip', 'address', 'add', `${near}/30`, 'dev', cable);
    run('ip', 'link', 'set', cable, 'up');
    ip(namespace, `address add ${far}/30 dev test0`);
    ip(namespace, 'link set test0 up');
    return { name, address, prefix: ['ip', 'netns', 'exec', namespace], testAddress: far };
  }
}

/** A node on a {@link Host}. */
export interface HostedNode {
  readonly node: NodeProcess;
  /** For an app in the test, which is a stranger's to the node: `guest` is let in on the host itself only. */
  readonly amqpUrl: string;
  readonly dataDir: string;
}

/** A node on the host, which tells others of its address there. A folder of a node before lets it take its place. */
export async function startNodeOn(
  host: Host,
  { flags = [], dataDir }: { flags?: readonly string[]; dataDir?: string } = {},
): Promise<HostedNode> {
  const folder = dataDir ?? (await mkdtemp(join(tmpdir(), 'xspace-host-')));
  if (dataDir === undefined) teardown(() => rm(folder, { recursive: true, force: true }));
  const node = await startNode({
    name: host.name,
    amqpListen: `${host.testAddress}:${AMQP_PORT}`,
    overlayListen: `/ip4/${host.address}/tcp/${OVERLAY_PORT}`,
    prefix: host.prefix,
    flags: ['--data-dir', folder, ...flags],
  });
  if (dataDir === undefined) {
    xspace('user', 'add', USER, '--password', USER, '--data-dir', folder);
    const all = ['--configure', '.*', '--write', '.*', '--read', '.*'];
    xspace('permission', 'set', USER, '--vhost', '/', ...all, '--data-dir', folder);
  }
  return { node, amqpUrl: `amqp://${USER}:${USER}@${node.host}:${node.port}`, dataDir: folder };
}

function xspace(...args: string[]): void {
  run(process.execPath, join(projectRoot, 'dist', 'cli.js'), ...args);
}

function enableForwarding(namespace: string): void {
  run('ip', 'netns', 'exec', namespace, 'sysctl', '--quiet', '--write', 'net.ipv4.ip_forward=1');
}

function ip(namespace: string, command: string): void {
  run('ip', '-netns', namespace, ...command.split(' '));
}

function nft(namespace: string, command: string): void {
  run('ip', 'netns', 'exec', namespace, 'nft', command);
}

function run(command: string, ...args: string[]): void {
  execFileSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
}
