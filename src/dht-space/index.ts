export { startDht } from './dht-spaces.js';
export { parseSeeds } from './seeds.js';
