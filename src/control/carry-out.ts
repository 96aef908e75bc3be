import { BrokerError } from '../broker/index.js';
import type { Administered, ControlResult } from './commands.js';
import { execute, parseRequest } from './commands.js';

export interface ControlLogger {
  info(fields: object, text: string): void;
  error(fields: object, text: string): void;
}

/** What goes back for a request, as JSON. */
export type ControlAnswer = { readonly result: ControlResult } | { readonly error: string };

/** `refused`: the request is at fault; `failed`: the node is. */
export type ControlOutcome =
  | { readonly status: 'done'; readonly result: ControlResult }
  | { readonly status: 'refused' | 'failed'; readonly error: string };

/**
 * Carries out a request that came to a running node, whichever way, and logs what was changed. `by`: who asked, for the
 * log.
 */
export async function carryOut(
  text: string,
  node: Administered,
  logger: ControlLogger,
  by: object = {},
): Promise<ControlOutcome> {
  try {
    const request = parseRequest(text);
    const result = await execute(node, request);
    const { command } = request;
    const changesSomething = !command.endsWith(' list') && command !== 'status';
    if (changesSomething) logger.info({ request: shown(request), ...by }, command);
    return { status: 'done', result };
  } catch (error) {
    if (error instanceof BrokerError) return { status: 'refused', error: error.message };
    logger.error({ err: error, ...by }, 'a command failed');
    return { status: 'failed', error: 'the command failed inside the node: see its log' };
  }
}

/** Everything about a request that may be logged: a bearer grant is as good as a password. */
function shown(request: object): object {
  return Object.fromEntries(
    Object.entries(request).filter(
      ([field]) => field !== 'password' && field !== 'grant' && field !== 'command',
    ),
  );
}
