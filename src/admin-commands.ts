import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Command } from 'commander';
import { InvalidArgumentError, Option } from 'commander';
import { dataDirIn, managementIn, onNode } from './command-options.js';
import type { ControlRequest, ControlResult, Rows } from './control/index.js';
import { ask, askAt, isSpaceRequest } from './control/index.js';
import { CONTROL_SOCKET } from './data-dir.js';

/** Stands for standard input where a password is expected: a command line is for all to see. */
const FROM_STANDARD_INPUT = '-';

/** Of a grant, in place of a peer id. */
const BEARER = 'bearer';
const UNITS_MS: { readonly [unit: string]: number } = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

const LIST_COLUMNS: { readonly [command: string]: readonly string[] } = {
  'user list': ['name', 'tags'],
  'permission list': ['user', 'vhost', 'configure', 'write', 'read'],
  'vhost list': ['name'],
  'grant list': [
    'id',
    'origin',
    'state',
    'space',
    'owner',
    'to',
    'points',
    'rights',
    'routing-keys',
    'expires',
    'delegable',
  ],
};

/** Adds the commands for users, permissions, virtual hosts and grants of a node, and for the spaces of one that runs. */
export function addAdminCommands(program: Command): void {
  const user = program.command('user').description('who may log in');
  onNode(user, 'add <name>', 'lets somebody log in')
    .addOption(password())
    .addOption(tags())
    .action(async (name: string, options) => {
      const { password: given, tags: all } = options as { password: string; tags: readonly string[] };
      await administer({ command: 'user add', name, password: await secretIn(given), tags: all }, options);
    });
  onNode(user, 'password <name>', 'gives somebody another password')
    .addOption(password())
    .action(async (name: string, options) => {
      const { password: given } = options as { password: string };
      await administer({ command: 'user password', name, password: await secretIn(given) }, options);
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

  addGrantCommands(program);
  addSpaceCommands(program);
}

function addGrantCommands(program: Command): void {
  const grant = program.command('grant').description('who may do what in the granted spaces of a node');
  onNode(grant, 'create', 'signs a grant and prints it')
    .requiredOption('--space <name>', 'the space')
    .requiredOption('--to <peer id>', `whom it is for; '${BEARER}': whoever has it`)
    .addOption(texts('--points <names>', "points; '*' stands for any characters").makeOptionMandatory())
    .addOption(texts('--rights <rights>', 'some of publish, subscribe, administer').makeOptionMandatory())
    .addOption(texts('--routing-keys <patterns>', 'topic patterns of routing keys').default(['#'], '#'))
    .addOption(
      new Option('--expires <time>', "how long from now, such as '12h' or '30d'")
        .argParser(durationMs)
        .makeOptionMandatory(),
    )
    .addOption(
      new Option('--delegable <times>', 'how often it may be handed down').argParser(Number).default(0),
    )
    .option('--owner <peer id>', "the space's owner, where the node hands down grants of several")
    .action((options) => {
      const { space, to, points, rights, routingKeys, expires, delegable, owner } = options;
      const terms = { space, to, points, rights, routingKeys, delegable };
      const expiresMs = Date.now() + expires;
      return administer({ command: 'grant create', ...terms, expiresMs, ...(owner && { owner }) }, options);
    });
  list(grant, 'that the node has signed, and that it holds').action((options) =>
    administer({ command: 'grant list' }, options),
  );
  onNode(grant, 'revoke <grant>', 'a grant, or the id of one that the node has signed').action(
    async (given: string, options) =>
      administer({ command: 'grant revoke', grant: (await secretIn(given)).trim() }, options),
  );
  onNode(
    grant,
    'import <grant>',
    `holds it for joins that give none; '${FROM_STANDARD_INPUT}' reads it`,
  ).action(async (given: string, options) =>
    administer({ command: 'grant import', grant: (await secretIn(given)).trim() }, options),
  );
}

/** For a node that runs. */
function addSpaceCommands(program: Command): void {
  const point = program.command('point').description('points of the spaces that a node is in');
  onNode(point, 'delete', 'for everybody: its aliases disappear on all nodes')
    .requiredOption('--space <name>', 'the space')
    .requiredOption('--point <name>', 'the point')
    .option('--owner <peer id>', "the space's owner, where the node is in several spaces of that name")
    .action((options) => {
      const { space, point: name, owner } = options as { space: string; point: string; owner?: string };
      return administer({ command: 'point delete', space, point: name, ...(owner && { owner }) }, options);
    });
  onNode(program, 'status', 'prints as JSON what a node does, and what it knows of its spaces').action(
    (options) => administer({ command: 'status' }, options),
  );
}

function texts(flags: string, description: string): Option {
  return new Option(flags, `comma-separated: ${description}`).argParser((value: string) =>
    value.split(',').map((item) => item.trim()),
  );
}

/** @throws InvalidArgumentError */
function durationMs(text: string): number {
  const [, count = '', unit = ''] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const unitMs = UNITS_MS[unit];
  if (unitMs !== undefined && Number(count) > 0) return Number(count) * unitMs;
  throw new InvalidArgumentError("expected a number and one of s, m, h, d, such as '30d'");
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
async function secretIn(given: string): Promise<string> {
  return given === FROM_STANDARD_INPUT ? (await text(process.stdin)).replace(/\r?\n$/, '') : given;
}

async function administer(request: ControlRequest, options: unknown): Promise<void> {
  const result = await carriedOut(request, options);
  if (!isRows(result)) {
    console.log(JSON.stringify(result, null, 2));
    return;
  }
  if (request.command === 'grant create') console.log(String(result[0]?.grant));
  const columns = LIST_COLUMNS[request.command];
  if (columns === undefined) return;
  const { format } = options as { format: 'text' | 'json' };
  console.log(format === 'json' ? JSON.stringify(result) : table(columns, result));
}

async function carriedOut(request: ControlRequest, options: unknown): Promise<ControlResult> {
  const management = managementIn(options);
  if (management !== undefined) return askAt(management, request);
  const dataDir = await dataDirIn(options);
  return (await ask(join(dataDir, CONTROL_SOCKET), request)) ?? (await withoutNode(dataDir, request));
}

async function withoutNode(dataDir: string, request: ControlRequest): Promise<Rows> {
  if (isSpaceRequest(request)) {
    throw new Error(
      `${request.command}: the node in '${dataDir}' does not run, and this needs one that does`,
    );
  }
  // Loads a broker, which those who ask a running node do without.
  const { onStoppedNode } = await import('./stopped-node.js');
  return onStoppedNode(dataDir, request);
}

function isRows(result: ControlResult): result is Rows {
  return Array.isArray(result);
}

/** A line each, fields set apart by tabs; the first one has the names of the columns. */
function table(columns: readonly string[], rows: Rows): string {
  const lines = rows.map((row) => columns.map((column) => String(row[column] ?? '')));
  return [columns, ...lines].map((fields) => fields.join('\t')).join('\n');
}
