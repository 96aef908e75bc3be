import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/** Where a node of this name keeps what it has to keep, unless it is told another place. */
export function defaultDataDir(name: string): string {
  const state = process.env.XDG_STATE_HOME || join(homedir(), '.local', 'state');
  // A name is any text, and must not lead out of the folder.
  return resolve(state, 'xspace', /^\.*$/.test(name) ? `_${name}` : name.replaceAll('/', '_'));
}

/** The socket in it where a running node takes commands. */
export const CONTROL_SOCKET = 'control.sock';

/** The folder in it for what the node knows of other nodes. */
export const OVERLAY_FOLDER = 'overlay';

/** The grants that the node has signed, holds and has revoked. */
export const GRANTS_FILE = 'grants.json';

/** The node's key in it. */
export const IDENTITY_FILE = 'identity.key';
