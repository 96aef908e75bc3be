import type { Domain, TypeOf } from './domains.js';

/** The content properties of class basic, in the order of their flags: the first is bit 15 (AMQP 0-9-1 §4.2.6.1). */
export const PROPERTIES = {
  contentType: 'lenientShortstr',
  contentEncoding: 'lenientShortstr',
  headers: 'table',
  deliveryMode: 'octet',
  priority: 'octet',
  correlationId: 'lenientShortstr',
  replyTo: 'lenientShortstr',
  expiration: 'lenientShortstr',
  messageId: 'lenientShortstr',
  timestamp: 'timestamp',
  type: 'lenientShortstr',
  userId: 'lenientShortstr',
  appId: 'lenientShortstr',
  clusterId: 'lenientShortstr',
} as const satisfies { readonly [name: string]: Exclude<Domain, 'bit'> };

export type PropertyName = keyof typeof PROPERTIES;

export type Properties = { readonly [P in PropertyName]?: TypeOf<(typeof PROPERTIES)[P]> };
