import { once } from 'node:events';
import type { Message } from 'amqplib';
import { expect, it } from 'vitest';
import { drain, openChannel, openConfirmChannel, ownExchange, ownQueue, take, unique } from './app.js';
import { expectRefusal } from './refusal.js';
import { onEachServer } from './server.js';

onEachServer('the headers CC and BCC', (server) => {
  it('are further keys; CC is delivered and BCC is not', async () => {
    const channel = await openChannel(server);
    const [to, copy, blind] = [await ownQueue(channel), await ownQueue(channel), await ownQueue(channel)];
    channel.sendToQueue(to, Buffer.from('x'), { CC: [copy], BCC: [blind], headers: { mine: 1 } });
    for (const queue of [to, copy, blind]) {
      const message = await take(channel, queue);
      expect(message.properties.headers).toEqual({ mine: 1, CC: [copy] });
      expect(message.fields).toMatchObject({ exchange: '', routingKey: to });
      expect(await drain(channel, queue)).toEqual([]);
    }
  });

  it('give a queue one copy, however many of the keys lead there', async () => {
    const channel = await openChannel(server);
    const [exchange, queue] = [await ownExchange(channel, 'topic'), await ownQueue(channel)];
    await channel.bindQueue(queue, exchange, '#');
    channel.publish(exchange, 'one', Buffer.from('x'), { CC: ['two'], BCC: ['three'] });
    expect(await drain(channel, queue)).toEqual(['x']);
  });

  it('route a message whose own key leads nowhere', async () => {
    const channel = await openConfirmChannel(server);
    const queue = await ownQueue(channel);
    const returned: unknown[] = [];
    channel.on('return', (message) => returned.push(message));
    channel.sendToQueue(unique('missing'), Buffer.from('x'), { CC: [queue], mandatory: true });
    await channel.waitForConfirms();
    expect(returned).toEqual([]);
    expect(await drain(channel, queue)).toEqual(['x']);
  });

  it.each(['CC', 'BCC'])('refuse %s that is no list with 406', async (header) => {
    await expectRefusal(
      server,
      (channel) => channel.publish('amq.direct', 'x', Buffer.from('x'), { headers: { [header]: 'text' } }),
      'channel',
      406,
      `PRECONDITION_FAILED - invalid message: {unacceptable_type_in_header,"${header}",longstr}`,
    );
  });

  it('are left as they are in a message that is returned, but BCC', async () => {
    const channel = await openChannel(server);
    const returned = once(channel, 'return');
    const options = { CC: [unique('missing')], BCC: [unique('missing')], mandatory: true };
    channel.sendToQueue(unique('missing'), Buffer.from('x'), options);
    const [message] = (await returned) as [Message];
    expect(message.properties.headers).toEqual({ CC: options.CC });
  });
});
