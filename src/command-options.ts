import { stat } from 'node:fs/promises';
import type { Command } from 'commander';
import { Option } from 'commander';
import { defaultDataDir } from './data-dir.js';
import { DEFAULTS } from './settings.js';

/** A command for one node, which is found by its data directory. */
export function onNode(parent: Command, usage: string, description: string): Command {
  return parent
    .command(usage)
    .description(description)
    .addOption(new Option('--data-dir <path>', "the node's data directory").env('XSPACE_DATA_DIR'))
    .addOption(
      new Option('--name <name>', "the node's name, where --data-dir is not given (default: host name)")
        .env('XSPACE_NAME')
        .default(DEFAULTS.name),
    );
}

/** The data directory that the options of such a command mean, whether it is there or not. */
export function dataDirOf(options: unknown): string {
  const { name, dataDir = defaultDataDir(name) } = options as { name: string; dataDir?: string };
  return dataDir;
}

/** The same. @throws Error when it is not there */
export async function dataDirIn(options: unknown): Promise<string> {
  const dataDir = dataDirOf(options);
  const isThere = await stat(dataDir).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isThere) throw new Error(`data-dir: no node has its data in '${dataDir}'`);
  return dataDir;
}
