import type { MethodName } from '../../../src/amqp-codec/index.js';
import { methodFrame } from '../../support/amqp-raw-client.js';

/** A field: its name, the letter of its type, and the octets of its value in hexadecimal. */
export type FieldOctets = readonly [name: string, type: string, octets: string];

/** A field table of values that the codec would write in other types. */
export function table(...fields: readonly FieldOctets[]): Buffer {
  const parts = fields.flatMap(([name, type, octets]) => [
    Buffer.from([name.length]),
    Buffer.from(name + type),
    Buffer.from(octets, 'hex'),
  ]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(parts.reduce((sum, part) => sum + part.length, 0));
  return Buffer.concat([length, ...parts]);
}

/** A method on channel 1 whose last argument is a table: this one. */
export function methodWith<N extends MethodName>(
  name: N,
  args: Parameters<typeof methodFrame<N>>[2],
  ...fields: readonly FieldOctets[]
): Buffer {
  const whole = methodFrame(1, name, args);
  // The empty table that it ends with is its length alone; the frame end follows.
  const fieldTable = table(...fields);
  const octets = Buffer.concat([whole.subarray(0, -5), fieldTable, whole.subarray(-1)]);
  octets.writeUInt32BE(octets.length - 8, 3);
  return octets;
}
