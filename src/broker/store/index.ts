export type { LevelStoreOptions } from './level-store.js';
export { LevelStore } from './level-store.js';
