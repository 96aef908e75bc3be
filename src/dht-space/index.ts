export type { Right } from './grant-claims.js';
export { GrantError } from './grant-claims.js';
export type { GrantDesk } from './grant-desk.js';
export { openGrantDesk } from './grant-desk.js';
export { exportIdentity, identityIn, importIdentity } from './identity.js';
export type { ReachabilityOptions, ToldAddress } from './reachability.js';
export { parseSeeds } from './seeds.js';
export type { SpaceStatus } from './space-status.js';
export { startDht } from './start-dht.js';
