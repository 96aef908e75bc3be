// The strategy interface: what an implementation is, and what it is given.

export type { Logger, MemoryPressure } from './environment.js';
export type { SpaceErrorCode } from './errors.js';
export { SpaceError } from './errors.js';
export type { Content, FieldTable, MessageIdentity, OutgoingMessage, Routable } from './message.js';
export type {
  CallOptions,
  JoinRequest,
  ParticipantStatus,
  Pattern,
  PointDefinition,
  PointReceiver,
  PointSession,
  PointStatus,
  PointType,
  SpaceDeclaration,
  SpaceHandle,
  SpaceImplementation,
} from './space.js';

// How messages and patterns meet.

export type { ExchangeType, PatternTable } from './exchange-type.js';
export { exchangeType, exchangeTypes } from './exchange-types.js';

// What implementations are made of.

export type { InterestChange } from './advertised-interest.js';
export { AdvertisedInterest } from './advertised-interest.js';
export { assertSamePoint } from './agreement.js';
export { canonicalTable, parseCanonicalTable } from './canonical.js';
export { CountedInterest } from './counted-interest.js';
export { equalTables } from './equality.js';
export type { Interest } from './interest.js';
export { EVERYTHING, interestKey, patternKey } from './interest.js';
export { InterestTable } from './interest-table.js';
export { MAX_PATTERNS_PER_PARTICIPANT } from './limits.js';
export type { Outward } from './local-point.js';
export { LocalPoint } from './local-point.js';
export { RangeSet } from './range-set.js';
export { SeenMessages } from './seen-messages.js';
export { summarise } from './summary.js';
export { TopicTrie } from './topic-trie.js';

// The implementation within one process: the specification, and the example to start from.

export { createMemoryImplementation, MemoryNetwork } from './memory.js';
