export type { AliasDeclaration, AliasHandler } from './alias-handler.js';
export type { Gateway, GatewayStatus } from './gateway.js';
export { createGateway } from './gateway.js';
export { leavingMessage } from './message.js';
export { contentFormat } from './message-format.js';
export type { AliasStatus } from './space-exchange.js';
export { SpaceExchanges } from './space-exchange.js';
export type { TlsMaterial } from './tls-front.js';
