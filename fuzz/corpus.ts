import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../test/support/node-process.js';

/** What was found once, as short as it could be made. */
export interface Finding {
  readonly target: string;
  /** What was wrong then. */
  readonly problem: string;
  readonly case: unknown;
}

const folder = join(projectRoot, 'fuzz', 'corpus');

export function readCorpus(): readonly (Finding & { readonly file: string })[] {
  const files = readdirSync(folder).filter((name) => name.endsWith('.json'));
  return files.sort().map((file) => ({ file, ...JSON.parse(readFileSync(join(folder, file), 'utf8')) }));
}

/** Returns the path of the new file. */
export function addToCorpus(finding: Finding): string {
  const text = `${JSON.stringify(finding, undefined, 2)}\n`;
  const digest = createHash('sha256').update(JSON.stringify(finding.case)).digest('hex').slice(0, 8);
  const file = join(folder, `${finding.target}-${digest}.json`);
  writeFileSync(file, text);
  return file;
}
