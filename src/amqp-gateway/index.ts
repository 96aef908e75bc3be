export type { AliasDeclaration, AliasHandler } from './alias-handler.js';
export type { Gateway } from './gateway.js';
export { createGateway } from './gateway.js';
export { contentFormat } from './message-format.js';
export { SpaceExchanges } from './space-exchange.js';
export type { TlsMaterial } from './tls-front.js';
