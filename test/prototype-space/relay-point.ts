import type { Content, Interest, Pattern } from '../../src/overlay/index.js';
import { interestKey } from '../../src/overlay/index.js';
import type { RelayPoint, RelayReader } from '../../src/prototype-space/relay-link.js';
import { eventually } from '../support/eventually.js';

export interface Message {
  readonly routingKey: string;
  readonly header: Buffer;
  readonly body: Buffer;
}

/** What a message consists of, kept. */
export function kept({ routingKey, bytes, headerStart, headerEnd, bodyStart, bodyEnd }: Content): Message {
  const header = Buffer.from(bytes.subarray(headerStart, headerEnd));
  return { routingKey, header, body: Buffer.from(bytes.subarray(bodyStart, bodyEnd)) };
}

export function pattern(routingKey: string, args: Pattern['arguments'] = {}): Pattern {
  return { routingKey, arguments: args };
}

/** A point as its links see it: what it wants, and what came. */
export class PointStub implements RelayPoint {
  readonly outlet = { number: 7, exchange: 'outlet', everything: 'outlet-all' };
  readonly wanted = new Map<string, Interest>();
  readonly received: Message[] = [];
  changes = 0;

  constructor(...wanted: readonly Interest[]) {
    for (const interest of wanted) this.want(interest);
  }

  want(interest: Interest): void {
    this.wanted.set(interestKey(interest), interest);
  }

  forget(interest: Interest): void {
    this.wanted.delete(interestKey(interest));
  }

  interest(): Iterable<Interest> {
    return this.wanted.values();
  }

  receive(content: Content): void {
    this.received.push(kept(content));
  }

  changed(): void {
    this.changes++;
  }

  get bodies(): readonly string[] {
    return this.received.map(({ body }) => body.toString());
  }
}

export function linked(reader: RelayReader): Promise<void> {
  return eventually(() => reader.state === 'linked');
}

export function down(reader: RelayReader): Promise<void> {
  return eventually(() => reader.state === 'down');
}
