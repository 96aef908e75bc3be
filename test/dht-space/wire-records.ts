import type { Content } from '../../src/overlay/index.js';

/** A record of the message stream, octet by octet as docs and record-format.ts say; nothing here is the product's. */
export function messageRecord(
  point: number,
  sequence: number,
  { routingKey, header, body }: { routingKey: string; header: Buffer; body: Buffer },
): Buffer {
  const key = Buffer.from(routingKey);
  return record(
    1,
    u32(point),
    u64(sequence),
    Buffer.from([key.length]),
    key,
    u32(header.length),
    header,
    body,
  );
}

export function namingRecord(point: number, spaceId: Buffer, name: string): Buffer {
  return record(0, u32(point), spaceId, Buffer.from(name));
}

/** Any record: its length and kind, then what follows. */
export function record(kind: number, ...parts: readonly Buffer[]): Buffer {
  const rest = Buffer.concat([Buffer.from([kind]), ...parts]);
  return Buffer.concat([u32(rest.length), rest]);
}

export function preambleBytes(session: number, offset: number): Buffer {
  return Buffer.concat([u32(session), u64(offset)]);
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

/** Header and body as ranges of one buffer, with other octets around them. */
export function contentOf(routingKey: string, header: Buffer, body: Buffer): Content {
  const bytes = Buffer.concat([
    Buffer.from('before'),
    header,
    Buffer.from('between'),
    body,
    Buffer.from('after'),
  ]);
  const headerStart = 6;
  const bodyStart = headerStart + header.length + 7;
  return {
    routingKey,
    bytes,
    headerStart,
    headerEnd: headerStart + header.length,
    bodyStart,
    bodyEnd: bodyStart + body.length,
  };
}
