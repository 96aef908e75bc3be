import type { Channel } from 'amqplib';
import { expect, it } from 'vitest';
import { channelOf, connectTo } from './app.js';
import type { Granted } from './name-patterns.js';
import { granted } from './name-patterns.js';
import { onEachServer } from './server.js';

const ACCESS_REFUSED = 403;
const NOT_FOUND = 404;

/** Nothing of these names is there, which only who has the permission is told. */
const attempts: Readonly<Record<Granted['role'], (channel: Channel, name: string) => Promise<unknown>>> = {
  configure: (channel, name) => channel.deleteQueue(name),
  write: (channel, name) => {
    channel.publish(name, 'key', Buffer.from('x'));
    return channel.checkExchange('amq.direct');
  },
  read: (channel, name) => channel.get(name),
};

onEachServer('a permission whose pattern is', (server) => {
  it.each(granted)('$pattern, to $role, is for the names that it matches', async (grant) => {
    const { account, role, allowed, refused } = grant;
    const connection = await connectTo(server, { account });
    const codes: Record<string, unknown> = {};
    for (const name of [...allowed, ...refused]) {
      const outcome = attempts[role](await channelOf(connection), name);
      codes[name] = await outcome.then(
        () => undefined,
        ({ code }) => code,
      );
    }
    for (const name of allowed) expect([undefined, NOT_FOUND], name).toContain(codes[name]);
    for (const name of refused) expect(codes[name], name).toBe(ACCESS_REFUSED);
  });
});
