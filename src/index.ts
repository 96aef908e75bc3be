// What programs that embed a node are given.

export type { NodeOptions } from './create-node.js';
export { createNode } from './create-node.js';
export type { Node } from './node.js';
export { ConfigError } from './settings.js';

// What an implementation of exchange spaces is, and what it can be made of.

export type {
  CallOptions,
  Content,
  ExchangeType,
  FieldTable,
  Interest,
  InterestChange,
  JoinRequest,
  Logger,
  OutgoingMessage,
  Outward,
  ParticipantStatus,
  Pattern,
  PatternTable,
  PointDefinition,
  PointReceiver,
  PointSession,
  PointStatus,
  PointType,
  Routable,
  SpaceDeclaration,
  SpaceErrorCode,
  SpaceHandle,
  SpaceImplementation,
} from './overlay/index.js';
export {
  AdvertisedInterest,
  assertSamePoint,
  CountedInterest,
  canonicalTable,
  createMemoryImplementation,
  EVERYTHING,
  equalTables,
  exchangeType,
  InterestTable,
  interestKey,
  LocalPoint,
  MemoryNetwork,
  parseCanonicalTable,
  SeenMessages,
  SpaceError,
} from './overlay/index.js';
