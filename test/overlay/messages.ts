import type { Content, FieldTable, OutgoingMessage, Pattern, Routable } from '../../src/overlay/index.js';

/** The payload of a content header frame of a message without properties (AMQP 0-9-1 §4.2.6.1). */
function headerPayload(bodyBytes: number): Buffer {
  const payload = Buffer.alloc(14);
  payload.writeUInt16BE(60, 0);
  payload.writeBigUInt64BE(BigInt(bodyBytes), 4);
  return payload;
}

export function outgoing(
  routingKey: string,
  body: string | Buffer = '',
  headers: FieldTable = {},
): OutgoingMessage {
  const bodyBytes = Buffer.from(body);
  const header = headerPayload(bodyBytes.length);
  const bytes = Buffer.concat([header, bodyBytes]);
  return {
    routingKey,
    bytes,
    headerStart: 0,
    headerEnd: header.length,
    bodyStart: header.length,
    bodyEnd: bytes.length,
    headers: () => headers,
  };
}

export function routable(routingKey: string, headers: FieldTable = {}): Routable {
  return { routingKey, headers: () => headers };
}

export function pattern(routingKey: string, table: FieldTable = {}): Pattern {
  return { routingKey, arguments: table };
}

export function bodyText(content: Content): string {
  return Buffer.from(content.bytes.subarray(content.bodyStart, content.bodyEnd)).toString();
}
