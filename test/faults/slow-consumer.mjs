// An app of its own process, so that it can be stopped by SIGSTOP: it consumes a queue and says when it has begun.
// usage: slow-consumer.mjs URL QUEUE no-ack|ack     ("ack" asks for acknowledgements and never gives any)
import { connect } from 'amqplib';

const [url, queue, mode] = process.argv.slice(2);
const channel = await (await connect(url)).createChannel();
await channel.consume(queue, () => {}, { noAck: mode === 'no-ack' });
console.log('consuming');
