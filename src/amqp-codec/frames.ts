import { FRAME_END, FRAME_HEARTBEAT, FRAME_METHOD, FRAME_OVERHEAD_BYTES } from './frame-parser.js';
import { encodeMethod } from './method-codec.js';
import type { MethodArguments, MethodName } from './methods.js';

/** AMQP 0-9-1 §4.2.3: type, channel and size stand before a frame's payload, the frame-end octet after it. */
export const FRAME_HEAD_BYTES = 7;
export const FRAME_END_BYTES = 1;

/** The only class with content. */
export const BASIC_CLASS_ID = 60;

/** A method's class id and method id, as they open its frame's payload, read as one number. */
export const BASIC_PUBLISH_ID = (BASIC_CLASS_ID << 16) | 40;
export const CONNECTION_OPEN_ID = (10 << 16) | 40;
export const CONNECTION_CLOSE_ID = (10 << 16) | 50;
export const CONNECTION_CLOSE_OK_ID = (10 << 16) | 51;
export const CHANNEL_OPEN_ID = (20 << 16) | 10;
export const CHANNEL_CLOSE_ID = (20 << 16) | 40;
export const CHANNEL_CLOSE_OK_ID = (20 << 16) | 41;

/** AMQP 0-9-1 §4.2.7: heartbeats travel on channel 0 and have no payload. */
export const HEARTBEAT_FRAME = frame(FRAME_HEARTBEAT, 0, Buffer.alloc(0));

/** A complete method frame. */
export function methodFrame<N extends MethodName>(
  channel: number,
  name: N,
  args: MethodArguments<N>,
): Buffer {
  return frame(FRAME_METHOD, channel, encodeMethod(name, args));
}

function frame(type: number, channel: number, payload: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(payload.length + FRAME_OVERHEAD_BYTES);
  bytes[0] = type;
  bytes.writeUInt16BE(channel, 1);
  bytes.writeUInt32BE(payload.length, 3);
  payload.copy(bytes, FRAME_HEAD_BYTES);
  bytes[bytes.length - 1] = FRAME_END;
  return bytes;
}
