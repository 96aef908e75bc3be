export { exportIdentity, identityIn, importIdentity } from './identity.js';
export type { ReachabilityOptions } from './reachability.js';
export { parseSeeds } from './seeds.js';
export { startDht } from './start-dht.js';
