import { expect, it } from 'vitest';
import { impersonator } from './accounts.js';
import { openChannel, ownQueue, take } from './app.js';
import { expectRefusal } from './refusal.js';
import { onEachServer } from './server.js';

onEachServer('the property user-id', (server) => {
  it('may be the user who is logged in', async () => {
    const channel = await openChannel(server);
    const queue = await ownQueue(channel);
    channel.sendToQueue(queue, Buffer.from('x'), { userId: 'guest' });
    expect((await take(channel, queue)).properties.userId).toBe('guest');
  });

  it('of somebody else is refused with 406', () =>
    expectRefusal(
      server,
      (channel) => channel.publish('amq.fanout', '', Buffer.from('x'), { userId: 'clerk' }),
      'channel',
      406,
      "PRECONDITION_FAILED - user_id property set to 'clerk' but authenticated user was 'guest'",
    ));

  it('may be anybody for a user with the tag impersonator', async () => {
    const channel = await openChannel(server, { account: impersonator });
    const queue = await ownQueue(channel);
    channel.sendToQueue(queue, Buffer.from('x'), { userId: 'guest' });
    expect((await take(channel, queue)).properties.userId).toBe('guest');
  });
});
