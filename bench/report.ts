import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { projectRoot } from '../test/support/node-process.js';
import type { JoinFigures } from './joins.js';
import type { LoadResult } from './load.js';
import type { Figures, IdleFigures } from './one-server.js';
import type { Verdict } from './targets.js';

export interface Measurement {
  readonly system: string;
  readonly load: string;
  readonly sizeBytes: number;
  /** Published as fast as the servers take it. */
  readonly full: LoadResult;
  /** Published at `pacedRatePerSecond`. */
  readonly paced: LoadResult;
  readonly pacedRatePerSecond: number;
}

export function machine(): Record<string, string | number> {
  const { version } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8'));
  return {
    processor: cpus()[0]?.model ?? 'unknown',
    processors: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    xspace: version,
  };
}

type Columns<T> = readonly (readonly [heading: string, value: (row: T) => string])[];

const relaying: Columns<Measurement> = [
  ['system', ({ system }) => system],
  ['load', ({ load }) => load],
  ['body', ({ sizeBytes }) => size(sizeBytes)],
  ['msg/s', ({ full }) => integer(full.ratePerSecond)],
  ['MiB/s', ({ full, sizeBytes }) => ((full.ratePerSecond * sizeBytes) / 2 ** 20).toFixed(1)],
  ['server µs/msg', ({ full }) => full.serverCpuUsPerMessage.toFixed(1)],
  ['load µs/msg', ({ full }) => full.loadCpuUsPerMessage?.toFixed(1) ?? ''],
  ['paced msg/s', ({ pacedRatePerSecond }) => integer(pacedRatePerSecond)],
  ['p50 ms', ({ paced }) => (paced.p50Us / 1_000).toFixed(2)],
  ['p99 ms', ({ paced }) => (paced.p99Us / 1_000).toFixed(2)],
  ['lost', (measurement) => both(measurement, 'lost')],
  ['doubled', (measurement) => both(measurement, 'duplicates')],
  ['out of order', (measurement) => both(measurement, 'outOfOrder')],
];

const oneServer: Columns<Figures> = [
  ['one server', ({ scenario }) => scenario],
  ['server', ({ server }) => server],
  ['load', ({ load }) => load],
  ['msg/s', ({ result }) => integer(result.ratePerSecond)],
  ['server µs/msg', ({ result }) => result.serverCpuUsPerMessage.toFixed(2)],
  ['load µs/msg', ({ result }) => result.loadCpuUsPerMessage?.toFixed(2) ?? ''],
  ['p99 ms', ({ result }) => (result.p99Us === 0 ? '' : (result.p99Us / 1_000).toFixed(1))],
  ['lost', ({ result }) => integer(result.lost)],
  ['doubled', ({ result }) => integer(result.duplicates)],
  ['out of order', ({ result }) => integer(result.outOfOrder)],
];

const idleConnections: Columns<IdleFigures> = [
  ['idle connections', ({ server }) => server],
  ['KiB each', ({ bytesPerConnection }) => (bytesPerConnection / 1_024).toFixed(1)],
];

const joins: Columns<JoinFigures> = [
  ['join as the last of', ({ nodes }) => `${nodes} nodes`],
  ['members', ({ members }) => integer(members)],
  ['answered ms', ({ answeredMs }) => integer(answeredMs)],
  ['CPU ms, all nodes', ({ cpuMs }) => integer(cpuMs)],
  ['links', ({ links }) => integer(links)],
  ['DHT requests until then', ({ requestsUntilAnswered }) => integer(requestsUntilAnswered)],
  ['in all', ({ requests }) => integer(requests)],
];

const targets: Columns<Verdict> = [
  ['target', ({ target }) => target],
  ['measured', ({ measured }) => measured?.toLocaleString('en', { maximumFractionDigits: 2 }) ?? 'not'],
  ['met', ({ met }) => (met === undefined ? '' : met ? 'yes' : 'NO')],
];

export const relayingTable = tableOf(relaying);
export const oneServerTable = tableOf(oneServer);
export const idleTable = tableOf(idleConnections);
export const joinsTable = tableOf(joins);
export const targetsTable = tableOf(targets);

function tableOf<T>(columns: Columns<T>): (items: readonly T[]) => string {
  return (items) => {
    const rows = [columns.map(([heading]) => heading)];
    for (const item of items) rows.push(columns.map(([, value]) => value(item)));
    const widths = columns.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
    const lines = rows.map(
      (row) => `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`,
    );
    lines.splice(1, 0, `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`);
    return `${lines.join('\n')}\n`;
  };
}

function both({ full, paced }: Measurement, count: 'lost' | 'duplicates' | 'outOfOrder'): string {
  return String(full[count] + paced[count]);
}

function integer(number: number): string {
  return number.toLocaleString('en', { maximumFractionDigits: 0 });
}

function size(bytes: number): string {
  return bytes < 1_024 ? `${bytes} B` : `${bytes / 1_024} KiB`;
}
