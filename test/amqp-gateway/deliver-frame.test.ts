import { describe, expect, it } from 'vitest';
import { DeliverFrame } from '../../src/amqp-gateway/deliver-frame.js';
import { methodFrame } from '../support/amqp-raw-client.js';

describe('a basic.deliver frame', () => {
  it.each([
    [1, false, 'x', 'k'],
    [2, true, 'x', 'k'],
    [3, false, 'x', 'a longer key'],
    [4, true, 'another exchange', ''],
    [5, false, '', 'ä'.repeat(127)],
    [2 ** 32 - 1, false, 'x', 'k'],
    [2 ** 32, false, 'x', 'k'],
    [Number.MAX_SAFE_INTEGER, true, 'x'.repeat(255), 'k'.repeat(255)],
  ])(
    'made from the one before has tag %d, redelivered %s and address %s %s',
    (deliveryTag, redelivered, exchange, routingKey) => {
      for (const consumerTag of ['c', 'c'.repeat(255)]) {
        const frame = new DeliverFrame(2047, consumerTag);
        frame.for(77, !redelivered, 'before', 'this');
        const expected = methodFrame(2047, 'basic.deliver', {
          consumerTag,
          deliveryTag,
          redelivered,
          exchange,
          routingKey,
        });
        expect(Buffer.from(frame.for(deliveryTag, redelivered, exchange, routingKey)).equals(expected)).toBe(
          true,
        );
      }
    },
  );
});
