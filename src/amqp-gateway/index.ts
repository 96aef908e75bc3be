export type { AliasDeclaration, AliasHandler } from './alias-handler.js';
export type { Gateway } from './gateway.js';
export { createGateway } from './gateway.js';
export { SpaceExchanges } from './space-exchange.js';
