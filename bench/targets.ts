import type { JoinFigures } from './joins.js';
import type { Figures, IdleFigures } from './one-server.js';
import { FEDERATION } from './rabbitmq-federation.js';
import type { Measurement } from './report.js';
import { acks, fewBindings, manyBindings, noAck, persistent } from './scenarios.js';

/** What a node, and several of them, are to reach, on Node 20 and two processors, and what it has. */
export interface Verdict {
  readonly target: string;
  /** Undefined where it was not measured, or there was no RabbitMQ to compare with. */
  readonly measured: number | undefined;
  readonly met: boolean | undefined;
}

const NO_ACK_PER_SECOND = 120_000;
const NO_ACK_CPU_US = 5;
const NO_ACK_RATIO = 4;
const ACKS_RATIO = 2;
const PERSISTENT_RATIO = 1;
const BINDINGS_RATIO = 3;
const IDLE_CONNECTION_KIB = 60;
const FEDERATION_RATIO = 10;
const JOIN_S = 1;
const JOIN_MEMBERS = 50;
const FEW_NODES = 10;
const MANY_NODES = 100;
/** Where the target is meant: larger bodies measure the network more than the servers. */
const RELAYED_BYTES = 100;

/** Of relaying, for each system measured but the one that it is compared with. */
export function relayingVerdicts(relaying: readonly Measurement[]): readonly Verdict[] {
  const small = relaying.filter(({ sizeBytes }) => sizeBytes === RELAYED_BYTES);
  const federation = small.find(({ system }) => system === FEDERATION);
  return small
    .filter((one) => one !== federation)
    .map(({ system, full }) =>
      atLeast(
        `${FEDERATION_RATIO} times the rate of RabbitMQ's federation: ${system}`,
        ratio(full.ratePerSecond, federation?.full.ratePerSecond),
        FEDERATION_RATIO,
      ),
    );
}

/** Of joins: how long one takes, and that the requests of the DHT which it costs grow no faster than logarithmically. */
export function joinVerdicts(joins: readonly JoinFigures[]): readonly Verdict[] {
  const of = (size: number) => joins.find(({ nodes }) => nodes === size);
  const answeredMs = of(JOIN_MEMBERS)?.answeredMs;
  const growth = Math.log(MANY_NODES) / Math.log(FEW_NODES);
  return [
    atMost(
      `join of the ${JOIN_MEMBERS}th member: ${JOIN_S} s`,
      answeredMs === undefined ? undefined : answeredMs / 1_000,
      JOIN_S,
    ),
    atMost(
      `join among ${MANY_NODES} nodes: ${growth} times the DHT requests as among ${FEW_NODES}, as their logarithms`,
      ratio(of(MANY_NODES)?.requests, of(FEW_NODES)?.requests),
      growth,
    ),
  ];
}

export function verdicts(figures: readonly Figures[], idle: readonly IdleFigures[]): readonly Verdict[] {
  const of = (server: string, { name }: { readonly name: string }) =>
    figures.find((one) => one.server === server && one.scenario === name)?.result;
  const beside = (scenario: { readonly name: string }) =>
    ratio(of('node', scenario)?.ratePerSecond, of('RabbitMQ', scenario)?.ratePerSecond);
  const cpu = (scenario: { readonly name: string }) => of('node', scenario)?.serverCpuUsPerMessage;
  const idleBytes = idle.find(({ server }) => server === 'node')?.bytesPerConnection;
  return [
    atLeast(
      `no-ack: ${NO_ACK_PER_SECOND.toLocaleString('en')} msg/s`,
      of('node', noAck)?.ratePerSecond,
      NO_ACK_PER_SECOND,
    ),
    atMost(`no-ack: ${NO_ACK_CPU_US} µs of CPU per message`, cpu(noAck), NO_ACK_CPU_US),
    atLeast(`no-ack: ${NO_ACK_RATIO} times RabbitMQ's rate`, beside(noAck), NO_ACK_RATIO),
    atLeast(`acks: ${ACKS_RATIO} times RabbitMQ's rate`, beside(acks), ACKS_RATIO),
    atLeast("persistent with confirms: RabbitMQ's rate", beside(persistent), PERSISTENT_RATIO),
    atMost(
      `100,000 bindings: ${BINDINGS_RATIO} times the CPU of 10`,
      ratio(cpu(manyBindings), cpu(fewBindings)),
      BINDINGS_RATIO,
    ),
    atMost(
      `idle connection: ${IDLE_CONNECTION_KIB} KiB`,
      idleBytes === undefined ? undefined : idleBytes / 1_024,
      IDLE_CONNECTION_KIB,
    ),
  ];
}

function atLeast(target: string, measured: number | undefined, least: number): Verdict {
  return {
    target: `at least ${target}`,
    measured,
    met: measured === undefined ? undefined : measured >= least,
  };
}

function atMost(target: string, measured: number | undefined, most: number): Verdict {
  return {
    target: `at most ${target}`,
    measured,
    met: measured === undefined ? undefined : measured <= most,
  };
}

function ratio(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : a / b;
}
