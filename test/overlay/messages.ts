import { encodeHeader } from '../../src/amqp-codec/index.js';
import type { Properties } from '../../src/amqp-codec/properties.js';
import type { Content, FieldTable, OutgoingMessage, Pattern, Routable } from '../../src/overlay/index.js';

type FieldValues = NonNullable<Properties['headers']>;

/** A publication with these headers among its properties. */
export function outgoing(
  routingKey: string,
  body: string | Buffer = '',
  headers: FieldTable = {},
): OutgoingMessage {
  const bodyBytes = Buffer.from(body);
  const properties = Object.keys(headers).length === 0 ? {} : { headers: headers as FieldValues };
  const header = encodeHeader(bodyBytes.length, properties);
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
