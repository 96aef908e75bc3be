// A node in a process of its own that tells what it sees: its parent asks over the channel of `fork`, and gets an answer
// of the same id. It has an app too, whose queue is bound to all of the point.
import { connect } from 'amqplib';
import { createNode } from '../../dist/index.js';

const node = await createNode({
  name: process.argv[2],
  amqpListen: ['127.0.0.1:0'],
  overlayListen: ['/ip4/127.0.0.1/tcp/0'],
  managementListen: 'off',
  inMemory: true,
  logLevel: 'error',
});
const connection = await connect(node.amqp[0]);
const channel = await connection.createChannel();
/** How often each text arrived. */
const arrived = new Map();

const requests = {
  async join({ space, seeds, declare }) {
    if (declare) {
      await channel.assertExchange(space, 'x-exchangespace', { arguments: { implementation: 'dht' } });
    }
    const exchangespace = { implementation: 'dht', space, seeds };
    const args = { exchangespace, exchangename: 'talk', exchangetype: 'fanout' };
    await channel.assertExchange('talk', 'x-exchange', { arguments: args });
    const { queue } = await channel.assertQueue('', { exclusive: true });
    const count = (message) => {
      const text = message.content.toString();
      arrived.set(text, (arrived.get(text) ?? 0) + 1);
    };
    await channel.consume(queue, count, { noAck: true });
    await channel.bindQueue(queue, 'talk', '');
  },
  publish: ({ text }) => void channel.publish('talk', '', Buffer.from(text)),
  async leave() {
    await channel.deleteExchange('talk');
    await node.stop();
    setImmediate(() => process.disconnect());
  },
  status: () => ({ aliases: node.status().aliases, arrived: [...arrived], heapBytes: heapBytes() }),
};

function heapBytes() {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

process.on('message', async ({ id, request, ...options }) => {
  try {
    process.send({ id, result: (await requests[request](options)) ?? null });
  } catch (error) {
    process.send({ id, error: error.message });
  }
});
process.send({ ready: { peerId: node.peerId, overlay: node.overlay } });
