import type { Method } from '../amqp-codec/index.js';
import {
  CodecError,
  decodeMethod,
  describeFrame,
  erlangBinary,
  FRAME_BODY,
  FRAME_HEADER,
  FRAME_HEARTBEAT,
  FRAME_METHOD,
  MALFORMED_UTF8,
} from '../amqp-codec/index.js';
import { ConnectionError } from './reply-code.js';

/* What is said about frames that should not be: RabbitMQ's codes and texts. */

/** Class id and method id. */
const METHOD_ID_BYTES = 4;
/** Class id, weight and body size. */
export const HEADER_OPENING_BYTES = 12;
/** Such an error is not about a method. */
const NO_METHOD = { methodId: 0 };

/** Whether a frame can be one of its type. */
function isFrame(type: number, payloadBytes: number): boolean {
  switch (type) {
    case FRAME_METHOD:
      return payloadBytes >= METHOD_ID_BYTES;
    case FRAME_HEADER:
      return payloadBytes >= HEADER_OPENING_BYTES;
    case FRAME_BODY:
      return true;
    case FRAME_HEARTBEAT:
      return payloadBytes === 0;
    default:
      return false;
  }
}

/**
 * A frame in the wrong place: where it is none at all, that is said about it, and otherwise `text` (by default what it is).
 * `methodId`: of the method whose content is due.
 */
export function misplacedFrame(
  type: number,
  bytes: Buffer,
  start: number,
  end: number,
  text?: string,
  methodId = 0,
): ConnectionError {
  const frame = describeFrame(type, bytes, start, end);
  if (!isFrame(type, end - start))
    return new ConnectionError('frame-error', `${frame}: unknown_frame`, NO_METHOD);
  // AMQP 0-9-1 §4.2.7: heartbeats travel on channel 0 only.
  if (type === FRAME_HEARTBEAT || text === undefined)
    return new ConnectionError('unexpected-frame', frame, NO_METHOD);
  return new ConnectionError('unexpected-frame', text, { methodId });
}

/** Decodes the payload of a method frame. @throws ConnectionError */
export function readMethod(bytes: Buffer, start: number, end: number): Method {
  if (end - start < METHOD_ID_BYTES) throw misplacedFrame(FRAME_METHOD, bytes, start, end);
  try {
    return decodeMethod(bytes, start, end);
  } catch (cause) {
    if (!(cause instanceof CodecError) || cause.code !== 'syntax-error') throw cause;
    if (cause.message.endsWith(MALFORMED_UTF8)) {
      throw new ConnectionError('frame-error', MALFORMED_UTF8, { cause, ...NO_METHOD });
    }
    const text = `cannot decode ${erlangBinary(bytes.subarray(start + METHOD_ID_BYTES, end))}`;
    throw new ConnectionError('frame-error', text, { cause, methodId: bytes.readUInt32BE(start) });
  }
}
