import type { Broker } from '../broker/index.js';
import { BrokerError } from '../broker/index.js';
import type { GrantAdministration, GrantRequest } from './grant-commands.js';
import { checkGrantRequest, executeGrantRequest, GRANT_COMMANDS, isGrantRequest } from './grant-commands.js';
import type { NodeSnapshot, SpaceAdministration, SpaceRequest } from './space-commands.js';
import { checkSpaceRequest, executeSpaceRequest, isSpaceRequest, SPACE_COMMANDS } from './space-commands.js';

/** What an administrator asks of a node, as it goes over the control socket and to its management listener. */
export type ControlRequest = KeptRequest | SpaceRequest;

/** What it is about is kept, so it can be asked of a node that does not run. */
export type KeptRequest = BrokerRequest | GrantRequest;

type BrokerRequest =
  | {
      readonly command: 'user add';
      readonly name: string;
      readonly password: string;
      readonly tags: readonly string[];
    }
  | { readonly command: 'user password'; readonly name: string; readonly password: string }
  | { readonly command: 'user remove'; readonly name: string }
  | { readonly command: 'user list' }
  | {
      readonly command: 'permission set';
      readonly user: string;
      readonly virtualHost: string;
      readonly configure: string;
      readonly write: string;
      readonly read: string;
    }
  | { readonly command: 'permission remove'; readonly user: string; readonly virtualHost: string }
  | { readonly command: 'permission list'; readonly user?: string }
  | { readonly command: 'vhost add'; readonly name: string }
  | { readonly command: 'vhost remove'; readonly name: string }
  | { readonly command: 'vhost list' };

/** Lines of a list, or all there is to say: texts, and lists of texts. */
export type Rows = readonly { readonly [column: string]: string | readonly string[] }[];

/** Of `status` the snapshot, of all else rows. */
export type ControlResult = Rows | NodeSnapshot;

type Command = BrokerRequest['command'];
type Arguments<C extends Command> = Extract<BrokerRequest, { command: C }>;

/** What a node has whether it runs or not. */
interface Kept {
  readonly broker: Broker;
  readonly grants: GrantAdministration;
}

/** What commands are carried out on. */
export interface Administered extends Kept {
  readonly spaces: SpaceAdministration;
}

const NOTHING: Rows = [];

const COMMANDS: {
  readonly [C in Command]: (broker: Broker, request: Arguments<C>) => Rows | Promise<Rows>;
} = {
  'user add': async ({ users }, { name, password, tags }) => {
    await users.add(name, password, tags);
    return NOTHING;
  },
  'user password': async ({ users }, { name, password }) => {
    await users.setPassword(name, password);
    return NOTHING;
  },
  'user remove': (broker, { name }) => {
    broker.removeUser(name);
    return NOTHING;
  },
  'user list': ({ users }) => users.list().map(({ name, tags }) => ({ name, tags })),
  'permission set': (broker, { user, virtualHost, configure, write, read }) => {
    broker.setPermissions(user, virtualHost, { configure, write, read });
    return NOTHING;
  },
  'permission remove': (broker, { user, virtualHost }) => {
    broker.removePermissions(user, virtualHost);
    return NOTHING;
  },
  'permission list': (broker, { user }) =>
    broker.permissions(user).map(({ virtualHost, configure, write, read, ...permissions }) => ({
      user: permissions.user,
      vhost: virtualHost,
      configure,
      write,
      read,
    })),
  'vhost add': (broker, { name }) => {
    broker.addVirtualHost(name);
    return NOTHING;
  },
  'vhost remove': (broker, { name }) => {
    broker.removeVirtualHost(name);
    return NOTHING;
  },
  'vhost list': (broker) => broker.virtualHostNames.map((name) => ({ name })),
};

/** The arguments of each command that must be texts. */
const TEXTS: { readonly [C in Command]: readonly (keyof Arguments<C>)[] } = {
  'user add': ['name', 'password'],
  'user password': ['name', 'password'],
  'user remove': ['name'],
  'user list': [],
  'permission set': ['user', 'virtualHost', 'configure', 'write', 'read'],
  'permission remove': ['user', 'virtualHost'],
  'permission list': [],
  'vhost add': ['name'],
  'vhost remove': ['name'],
  'vhost list': [],
};

/** Does what is asked, and comes back when that is safe. @throws BrokerError for what is refused */
export async function execute(node: Administered, request: ControlRequest): Promise<ControlResult> {
  return isSpaceRequest(request) ? executeSpaceRequest(node.spaces, request) : executeOnKept(node, request);
}

/** The same for what needs no running node. */
export async function executeOnKept({ broker, grants }: Kept, request: KeptRequest): Promise<Rows> {
  if (isGrantRequest(request)) return executeGrantRequest(grants, request);
  const run = COMMANDS[request.command] as (broker: Broker, request: BrokerRequest) => Promise<Rows>;
  const result = await run(broker, request);
  await broker.settled();
  return result;
}

/** @throws BrokerError where it is no request. Its values are not shown: there may be a password among them. */
export function parseRequest(line: string): ControlRequest {
  const request = jsonIn(line);
  const { command } = request;
  if (typeof command === 'string' && isGrantRequest({ command })) {
    checkGrantRequest({ ...request, command });
    return request as unknown as GrantRequest;
  }
  if (typeof command === 'string' && isSpaceRequest({ command })) {
    checkSpaceRequest({ ...request, command });
    return request as unknown as SpaceRequest;
  }
  if (typeof command !== 'string' || !Object.hasOwn(COMMANDS, command)) {
    const all = [...Object.keys(COMMANDS), ...GRANT_COMMANDS, ...SPACE_COMMANDS];
    throw malformed(`command: expected one of ${all.join(', ')}`);
  }
  for (const field of TEXTS[command as Command]) {
    if (typeof request[field] !== 'string') throw malformed(`${command}: ${field}: expected a text`);
  }
  const { tags, user } = request;
  if (command === 'user add' && !(Array.isArray(tags) && tags.every((tag) => typeof tag === 'string'))) {
    throw malformed(`${command}: tags: expected a list of texts`);
  }
  if (command === 'permission list' && user !== undefined && typeof user !== 'string') {
    throw malformed(`${command}: user: expected a text`);
  }
  return request as unknown as ControlRequest;
}

function jsonIn(line: string): { readonly [field: string]: unknown } {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === 'object' && value !== null) return value as { [field: string]: unknown };
  } catch {
    // JSON.parse shows in its text what it was given.
  }
  throw malformed('expected a JSON object');
}

function malformed(text: string): BrokerError {
  return new BrokerError('precondition-failed', `request: ${text}`);
}
