import { stat } from 'node:fs/promises';
import type { Command } from 'commander';
import { Option } from 'commander';
import { defaultDataDir } from './data-dir.js';
import { DEFAULTS } from './settings.js';

/** A command for what is in a node's data directory. */
export function onDataDir(parent: Command, usage: string, description: string): Command {
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

/** A command for one node, which is found by its data directory or by its management listener. */
export function onNode(parent: Command, usage: string, description: string): Command {
  return onDataDir(parent, usage, description)
    .addOption(
      new Option(
        '--management <url>',
        'in place of the data directory: http://user:password@host:port of a node that runs (default user: guest)',
      ).env('XSPACE_MANAGEMENT'),
    )
    .hook('preAction', (_, command) => checkManagement(command));
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

/** The management listener that the options of such a command mean; undefined: it is for a data directory. */
export function managementIn(options: unknown): URL | undefined {
  const { management } = options as { management?: string };
  return management === undefined ? undefined : managementUrl(management);
}

/** Flags come before variables; both of one kind are too much. The URL is not shown: a password may be in it. */
function checkManagement(command: Command): void {
  const { management } = command.opts<{ management?: string }>();
  if (management === undefined) return;
  const source = (option: string) => command.getOptionValueSource(option);
  const isDirFlagged = source('dataDir') === 'cli' || source('name') === 'cli';
  if (isDirFlagged && source('management') === 'env') {
    command.setOptionValue('management', undefined);
    return;
  }
  if (isDirFlagged || source('dataDir') === source('management')) {
    command.error(
      "error: option '--management <url>' cannot be used with '--data-dir <path>' or '--name <name>'",
    );
  }
  if (managementUrl(management) === undefined) {
    command.error("error: option '--management <url>': expected http://user:password@host:port");
  }
}

function managementUrl(text: string): URL | undefined {
  try {
    const url = new URL(text);
    decodeURIComponent(url.username + url.password);
    return url.protocol === 'http:' && url.pathname === '/' && url.search + url.hash === '' ? url : undefined;
  } catch {
    return undefined;
  }
}
