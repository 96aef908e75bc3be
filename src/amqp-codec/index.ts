export {
  decodeHeader,
  decodeProperties,
  encodeHeader,
  PROPERTY_FLAGS,
} from './content-header.js';
export { erlangBinary, erlangString } from './erlang-term.js';
export { CodecError } from './errors.js';
export type { FieldTable, FieldValue } from './field-table.js';
export { Decimal, FIELD_TYPE } from './field-table.js';
export type { FrameSink } from './frame-parser.js';
export {
  describeFrame,
  FRAME_BODY,
  FRAME_END,
  FRAME_HEADER,
  FRAME_HEARTBEAT,
  FRAME_METHOD,
  FRAME_OVERHEAD_BYTES,
  FrameParser,
  PROTOCOL_HEADER,
} from './frame-parser.js';
export {
  BASIC_CLASS_ID,
  BASIC_PUBLISH_ID,
  CHANNEL_CLOSE_ID,
  CHANNEL_CLOSE_OK_ID,
  CHANNEL_OPEN_ID,
  CONNECTION_CLOSE_ID,
  CONNECTION_CLOSE_OK_ID,
  CONNECTION_OPEN_ID,
  FRAME_END_BYTES,
  FRAME_HEAD_BYTES,
  HEARTBEAT_FRAME,
  methodFrame,
} from './frames.js';
export { MAX_SHORT_STRING_BYTES } from './limits.js';
export { decodeMethod, encodeMethod } from './method-codec.js';
export type { Method, MethodArguments, MethodName } from './methods.js';
export type { Properties, PropertyName } from './properties.js';
export { editHeader, propertyEnd, propertyStart } from './property-octets.js';
export type { RawField } from './raw-fields.js';
export { rawFields } from './raw-fields.js';
export { decodeTable, encodeRevisedTable, encodeShortString, encodeTable } from './table.js';
export { MALFORMED_UTF8 } from './text.js';
