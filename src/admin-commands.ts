import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Command } from 'commander';
import { Option } from 'commander';
import { dataDirIn, onNode } from './command-options.js';
import type { ControlRequest, ControlResult } from './control/index.js';
import { ask } from './control/index.js';
import { CONTROL_SOCKET } from './data-dir.js';

/** Stands for standard input where a password is expected: a command line is for all to see. */
const FROM_STANDARD_INPUT = '-';

const LIST_COLUMNS: { readonly [command: string]: readonly string[] } = {
  'user list': ['name', 'tags'],
  'permission list': ['user', 'vhost', 'configure', 'write', 'read'],
  'vhost list': ['name'],
};

/** Adds the commands for users, permissions and virtual hosts of a node, running or stopped. */
export function addAdminCommands(program: Command): void {
  const user = program.command('user').description('who may log in');
  onNode(user, 'add <name>', 'lets somebody log in')
    .addOption(password())
    .addOption(tags())
    .action(async (name: string, options) => {
      const { password: given, tags: all } = options as { password: string; tags: readonly string[] };
      await administer({ command: 'user add', name, password: await passwordIn(given), tags: all }, options);
    });
  onNode(user, 'password <name>', 'gives somebody another password')
    .addOption(password())
    .action(async (name: string, options) => {
      const { password: given } = options as { password: string };
      await administer({ command: 'user password', name, password: await passwordIn(given) }, options);
    });
  onNode(user, 'remove <name>', 'and closes their connections').action((name: string, options) =>
    administer({ command: 'user remove', name }, options),
  );
  list(user, 'with their tags').action((options) => administer({ command: 'user list' }, options));

  const permission = program.command('permission').description('what users may do in a virtual host');
  onNode(permission, 'set <user>', 'in place of what the user was permitted there before')
    .requiredOption('--vhost <name>', 'the virtual host')
    .requiredOption(
      '--configure <pattern>',
      'what may be declared and deleted: a regular expression of names',
    )
    .requiredOption('--write <pattern>', 'what may be published or bound to')
    .requiredOption('--read <pattern>', 'what may be consumed or bound from')
    .action((name: string, options) => {
      const { vhost: virtualHost, configure, write, read } = options as Record<string, string>;
      const patterns = { configure, write, read } as Record<'configure' | 'write' | 'read', string>;
      return administer(
        { command: 'permission set', user: name, virtualHost: virtualHost ?? '', ...patterns },
        options,
      );
    });
  onNode(permission, 'remove <user>', 'shuts the user out of a virtual host')
    .requiredOption('--vhost <name>', 'the virtual host')
    .action((name: string, options) => {
      const { vhost } = options as { vhost: string };
      return administer({ command: 'permission remove', user: name, virtualHost: vhost }, options);
    });
  list(permission, 'of one user, or of all')
    .option('--user <name>', 'the user')
    .action((options) => {
      const { user: name } = options as { user?: string };
      return administer({ command: 'permission list', ...(name !== undefined && { user: name }) }, options);
    });

  const vhost = program.command('vhost').description('virtual hosts');
  onNode(vhost, 'add <name>', 'with the predeclared exchanges').action((name: string, options) =>
    administer({ command: 'vhost add', name }, options),
  );
  onNode(vhost, 'remove <name>', 'with everything in it, and closes its connections').action(
    (name: string, options) => administer({ command: 'vhost remove', name }, options),
  );
  list(vhost, 'by name').action((options) => administer({ command: 'vhost list' }, options));
}

function list(parent: Command, description: string): Command {
  const format = new Option('--format <format>', 'how to print it').choices(['text', 'json']).default('text');
  return onNode(parent, 'list', description).addOption(format);
}

function password(): Option {
  const description = `'${FROM_STANDARD_INPUT}' reads it from standard input; empty: logs in by certificate only`;
  return new Option('--password <password>', description).makeOptionMandatory();
}

function tags(): Option {
  return new Option('--tags <tags>', "comma-separated, such as 'administrator'")
    .default([], 'none')
    .argParser((value: string) => (value === '' ? [] : value.split(',')));
}

/** Without the line break that an echo adds. */
async function passwordIn(given: string): Promise<string> {
  return given === FROM_STANDARD_INPUT ? (await text(process.stdin)).replace(/\r?\n$/, '') : given;
}

async function administer(request: ControlRequest, options: unknown): Promise<void> {
  const dataDir = await dataDirIn(options);
  const result = (await ask(join(dataDir, CONTROL_SOCKET), request)) ?? (await withoutNode(dataDir, request));
  const columns = LIST_COLUMNS[request.command];
  if (columns === undefined) return;
  const { format } = options as { format: 'text' | 'json' };
  console.log(format === 'json' ? JSON.stringify(result) : table(columns, result));
}

async function withoutNode(dataDir: string, request: ControlRequest): Promise<ControlResult> {
  // Loads a broker, which those who ask a running node do without.
  const { onStoppedNode } = await import('./stopped-node.js');
  return onStoppedNode(dataDir, request);
}

/** A line each, fields set apart by tabs; the first one has the names of the columns. */
function table(columns: readonly string[], rows: ControlResult): string {
  const lines = rows.map((row) => columns.map((column) => String(row[column] ?? '')));
  return [columns, ...lines].map((fields) => fields.join('\t')).join('\n');
}
