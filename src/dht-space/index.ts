export type { DhtOptions, DhtSpaces } from './dht-spaces.js';
export { startDht } from './dht-spaces.js';
export { parseSeeds } from './seeds.js';
