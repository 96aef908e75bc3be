export { ask } from './client.js';
export type { ControlRequest, ControlResult } from './commands.js';
export { execute } from './commands.js';
export type { GrantAdministration } from './grant-commands.js';
export { ControlServer } from './server.js';
