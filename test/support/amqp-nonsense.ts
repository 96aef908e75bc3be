import type { MethodName } from '../../src/amqp-codec/index.js';
import { encodeHeader, FRAME_BODY, FRAME_HEADER } from '../../src/amqp-codec/index.js';
import { frame, methodFrame, publication } from './amqp-raw-client.js';
import type { Random } from './random.js';

const METHODS: readonly MethodName[] = [
  'channel.open',
  'channel.close',
  'channel.close-ok',
  'channel.flow',
  'exchange.declare',
  'exchange.delete',
  'exchange.bind',
  'exchange.unbind',
  'queue.declare',
  'queue.bind',
  'queue.purge',
  'queue.delete',
  'queue.unbind',
  'basic.qos',
  'basic.consume',
  'basic.cancel',
  'basic.publish',
  'basic.get',
  'basic.ack',
  'basic.nack',
  'basic.reject',
  'basic.recover',
  'tx.select',
  'tx.commit',
  'tx.rollback',
  'confirm.select',
  'connection.close',
  'connection.open',
];

/** A frame that a client could send in some state: most of them in the wrong one. */
export function anyFrame(random: Random): Buffer {
  const channel = random.int(4);
  switch (random.int(8)) {
    case 0:
      return frame(FRAME_HEADER, channel, encodeHeader(random.int(40), { headers: { a: 1 } }));
    case 1:
      return frame(FRAME_BODY, channel, Buffer.alloc(random.int(20)));
    case 2:
      return publication(channel, { exchange: random.pick(['', 'amq.fanout', 'x']), routingKey: 'q' }, [
        Buffer.from('body'),
      ]);
    case 3:
      return methodFrame(channel, 'channel.open');
    default: {
      const name = random.pick(METHODS);
      const names = {
        queue: random.pick(['', 'q']),
        exchange: random.pick(['', 'amq.fanout', 'x']),
        source: 'x',
        destination: 'x',
      };
      const flags = {
        multiple: random.int(2) === 0,
        requeue: random.int(2) === 0,
        passive: random.int(4) === 0,
        mandatory: true,
      };
      return methodFrame(channel, name, { ...names, ...flags, deliveryTag: random.int(3), active: true });
    }
  }
}

/** Changes, drops or adds a few octets. */
export function mutated(octets: Buffer, random: Random): Buffer {
  const result = [...octets];
  for (let times = 1 + random.int(3); times > 0; times--) {
    const at = random.int(result.length);
    const choice = random.int(4);
    if (choice === 0) result[at] = random.int(256);
    else if (choice === 1) result.splice(at, 1);
    else if (choice === 2) result.splice(at, 0, random.int(256));
    else result[at] = [0, 0xff, 0x7f, 0x80, 0xce][random.int(5)] ?? 0;
    if (result.length === 0) break;
  }
  return Buffer.from(result);
}
