import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { projectRoot } from '../test/support/node-process.js';
import type { LoadResult } from './load.js';

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

const columns: readonly (readonly [heading: string, value: (measurement: Measurement) => string])[] = [
  ['system', ({ system }) => system],
  ['load', ({ load }) => load],
  ['body', ({ sizeBytes }) => size(sizeBytes)],
  ['msg/s', ({ full }) => full.ratePerSecond.toLocaleString('en')],
  ['MiB/s', ({ full, sizeBytes }) => ((full.ratePerSecond * sizeBytes) / 2 ** 20).toFixed(1)],
  ['server µs/msg', ({ full }) => full.serverCpuUsPerMessage.toFixed(1)],
  ['load µs/msg', ({ full }) => full.loadCpuUsPerMessage?.toFixed(1) ?? ''],
  ['paced msg/s', ({ pacedRatePerSecond }) => pacedRatePerSecond.toLocaleString('en')],
  ['p50 ms', ({ paced }) => (paced.p50Us / 1_000).toFixed(2)],
  ['p99 ms', ({ paced }) => (paced.p99Us / 1_000).toFixed(2)],
  ['lost', (measurement) => both(measurement, 'lost')],
  ['doubled', (measurement) => both(measurement, 'duplicates')],
  ['out of order', (measurement) => both(measurement, 'outOfOrder')],
];

export function table(measurements: readonly Measurement[]): string {
  const rows = [columns.map(([heading]) => heading)];
  for (const measurement of measurements) rows.push(columns.map(([, value]) => value(measurement)));
  const widths = columns.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map(
    (row) => `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`,
  );
  lines.splice(1, 0, `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`);
  return lines.join('\n');
}

function both({ full, paced }: Measurement, count: 'lost' | 'duplicates' | 'outOfOrder'): string {
  return String(full[count] + paced[count]);
}

function size(bytes: number): string {
  return bytes < 1_024 ? `${bytes} B` : `${bytes / 1_024} KiB`;
}
