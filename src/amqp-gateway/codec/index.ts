export {
  decodeHeader,
  decodeProperties,
  encodeHeader,
  PROPERTY_FLAGS,
  withoutProperty,
} from './content-header.js';
export { CodecError } from './errors.js';
export type { FieldTable, FieldValue } from './field-table.js';
export { Decimal } from './field-table.js';
export type { FrameSink } from './frame-parser.js';
export {
  FRAME_BODY,
  FRAME_END,
  FRAME_HEADER,
  FRAME_HEARTBEAT,
  FRAME_METHOD,
  FRAME_OVERHEAD_BYTES,
  FrameParser,
  PROTOCOL_HEADER,
} from './frame-parser.js';
export { MAX_SHORT_STRING_BYTES } from './limits.js';
export { decodeMethod, encodeMethod } from './method-codec.js';
export type { Method, MethodArguments, MethodName } from './methods.js';
export type { Properties, PropertyName } from './properties.js';
export { decodeTable, encodeTable } from './table.js';
