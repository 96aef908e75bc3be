import { beforeEach, describe, expect, it } from 'vitest';
import type { Content, PointDefinition, PointSession } from '../../src/overlay/index.js';
import { bodyText, outgoing, pattern } from '../overlay/messages.js';
import { CertificateAuthority } from '../support/certificates.js';
import { eventually } from '../support/eventually.js';
import { teardown } from '../support/teardown.js';
import type { NodeSettings, Places } from './prototype-node.js';
import { PrototypeNode } from './prototype-node.js';

const SPACE = 'market';
const POINT: PointDefinition = { name: 'bids', type: 'topic', arguments: {} };

let places: Places;

beforeEach(() => {
  places = new Map();
});

async function start(settings?: NodeSettings): Promise<PrototypeNode> {
  const node = await PrototypeNode.start(places, settings);
  teardown(() => node.stop());
  return node;
}

/** A node that holds the space, and is in no point itself. */
async function startTracker(): Promise<PrototypeNode> {
  const tracker = await start();
  await tracker.implementation.declareSpace({ space: SPACE, settings: {} });
  return tracker;
}

/** A participant and the texts that came in. */
interface Participant {
  readonly node: PrototypeNode;
  readonly session: PointSession;
  readonly received: readonly string[];
}

async function join(
  settings: Record<string, unknown> = {},
  { point = POINT, ...nodeSettings }: NodeSettings & { readonly point?: PointDefinition } = {},
): Promise<Participant> {
  const node = await start(nodeSettings);
  const received: string[] = [];
  const receiver = {
    receive: (content: Content) => void received.push(bodyText(content)),
    deleted: () => {},
  };
  const session = await node.implementation.join({ space: SPACE, point, settings }, receiver);
  await session.addInterest(pattern('#'));
  return { node, session, received };
}

async function publish({ session }: Participant, texts: readonly string[]): Promise<void> {
  for (const text of texts) await session.publish(outgoing('a', text));
}

describe('the members of a space', () => {
  it('get what each of six publishes, once and in order, and the tracker sees none of it', async () => {
    const tracker = await startTracker();
    const members = [];
    for (let index = 0; index < 6; index++) members.push(await join());
    const before = tracker.gateway.status();
    const texts = (of: number) => Array.from({ length: 500 }, (_, number) => `${of}: ${number}`);

    await Promise.all(members.map((member, index) => publish(member, texts(index))));

    for (const [index, { received }] of members.entries()) {
      await eventually(() => expect(received).toHaveLength(5 * 500));
      for (const of of members.keys()) {
        const got = received.filter((text) => text.startsWith(`${of}:`));
        expect(got).toEqual(of === index ? [] : texts(of));
      }
    }
    // Renewals come by now and then.
    const { publishedMessages, deliveredMessages } = tracker.gateway.status();
    expect(publishedMessages - before.publishedMessages).toBeLessThan(50);
    expect(deliveredMessages - before.deliveredMessages).toBeLessThan(50);
  });

  it('are sent what was published right before its publisher left', async () => {
    await startTracker();
    const [leaves, stays] = [await join(), await join()];
    const texts = Array.from({ length: 5_000 }, (_, number) => `${number}`);
    await publish(leaves, texts);
    await leaves.session.leave();
    await eventually(() => expect(stays.received).toEqual(texts));
  });

  it('can join again while they are still leaving', async () => {
    await startTracker();
    const [leaves, stays] = [await join(), await join()];
    await publish(leaves, ['before']);
    const leaving = leaves.session.leave();
    const again = await leaves.node.implementation.join(
      { space: SPACE, point: POINT, settings: {} },
      { receive: () => {}, deleted: () => {} },
    );
    await leaving;
    await again.publish(outgoing('a', 'after'));
    await eventually(() => expect(stays.received).toEqual(['before', 'after']));
  });

  it('go on without their tracker', async () => {
    const tracker = await startTracker();
    const [one, other] = [await join(), await join()];
    await tracker.stop();
    await publish(one, ['carries on']);
    await publish(other, ['here too']);
    await eventually(() => expect([one.received, other.received]).toEqual([['here too'], ['carries on']]));
  });

  it('let nobody wait who joins after one of them has died', async () => {
    await startTracker();
    const [dies, stays] = [await join(), await join()];
    await dies.node.vanish();
    const startedAt = performance.now();
    const late = await join();
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    await publish(late, ['hello']);
    await eventually(() => expect(stays.received).toEqual(['hello']));
  });
});

describe('members whose brokers are reached by TLS', () => {
  const authority = new CertificateAuthority();

  it('log in at the tracker and at each other by it, where an authority vouches for them', async () => {
    const tls = { own: authority.issue('localhost'), authority };
    const tracker = await start({ tls });
    await tracker.implementation.declareSpace({ space: SPACE, settings: {} });
    expect(tracker.place.tls).toBe(true);
    const [one, other] = [await join({}, { tls }), await join({}, { tls })];
    await publish(one, ['in secret']);
    await eventually(() => expect(other.received).toEqual(['in secret']));
  });

  it('do not trust a tracker that nobody vouches for', async () => {
    const tls = { own: authority.issue('localhost'), authority };
    const tracker = await start({ tls });
    await tracker.implementation.declareSpace({ space: SPACE, settings: {} });
    await expect(join()).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringMatching(/localhost:\d+ cannot be reached: .*certificate/),
    });
  });
});

describe('a tracker that comes back with nothing', () => {
  /** Waits as long as it may, and tells how often it has. */
  class Patience {
    waits = 0;

    readonly random = (): number => {
      this.waits += 1;
      return 0.99;
    };
  }

  /** A tracker where there was one, after the member has waited so often that it will not be the first to come. */
  async function replace(tracker: PrototypeNode, patience: Patience): Promise<void> {
    await tracker.stop();
    const { waits } = patience;
    await eventually(() => expect(patience.waits - waits).toBeGreaterThan(4));
    places.delete(SPACE);
    const again = await start({ port: tracker.place.port });
    await again.implementation.declareSpace({ space: SPACE, settings: {} });
  }

  it('has its members back, each with what it wants', async () => {
    const patience = new Patience();
    const tracker = await startTracker();
    const [one, other] = [await join({}, patience), await join({}, patience)];
    await replace(tracker, patience);
    const late = await join();
    await eventually(() => {
      for (const { session } of [one, other, late])
        expect(session.status().participants).toMatchObject([{ linked: true }, { linked: true }]);
    });
    for (const [index, member] of [one, other, late].entries()) await publish(member, [`${index}`]);
    await eventually(() => expect([...one.received].sort()).toEqual(['1', '2']));
    await eventually(() => expect([...other.received].sort()).toEqual(['0', '2']));
    await eventually(() => expect([...late.received].sort()).toEqual(['0', '1']));
  });

  it('has the point as who came first says, and the others learn that theirs is in conflict', async () => {
    const patience = new Patience();
    const tracker = await startTracker();
    const loser = await join({}, patience);
    await replace(tracker, patience);
    const winner = await join({}, { point: { ...POINT, type: 'direct' } });
    await eventually(() => expect(loser.session.status().state).toBe('conflicted'));
    expect(() => loser.session.publish(outgoing('a'))).toThrow(expect.objectContaining({ code: 'conflict' }));
    expect(winner.session.status()).toMatchObject({ state: 'joined', participants: [] });
  });
});

describe('somebody who may not be in a space', () => {
  const refusal = (settings: Record<string, unknown>) =>
    join(settings).then(
      () => undefined,
      (error: unknown) => error,
    );

  it('is told that the login was refused, for a wrong password and for a missing user', async () => {
    const tracker = await startTracker();
    await tracker.broker.users.add('alice', '41iC3', []);
    for (const username of ['alice', 'nobody']) {
      expect(await refusal({ username, password: 'wrong' })).toMatchObject({
        code: 'refused',
        message: expect.stringContaining(`login of user '${username}' was refused`),
      });
    }
  });

  it.each([
    ['nothing in the virtual host', undefined, "user 'alice' may not enter vhost '/'"],
    ['no write permission', { configure: '.*', write: '^$', read: '.*' }, /alice.*no.*'?write'?.*market/],
    ['no read permission', { configure: '.*', write: '.*', read: '^$' }, /alice.*no.*'?read'?.*market/],
  ])('is told what is missing: %s', async (_, patterns, text) => {
    const tracker = await startTracker();
    await tracker.broker.users.add('alice', '41iC3', []);
    if (patterns !== undefined) tracker.broker.setPermissions('alice', '/', patterns);
    const error = await refusal({ username: 'alice', password: '41iC3' });
    expect(error).toMatchObject({ code: 'refused' });
    expect((error as Error).message).toMatch(text);
  });

  it('is let in with write and read for the exchange of the space, and nothing else', async () => {
    const tracker = await startTracker();
    await tracker.broker.users.add('alice', '41iC3', []);
    tracker.broker.setPermissions('alice', '/', { configure: '^$', write: '^market$', read: '^market$' });
    const [alice, guest] = [await join({ username: 'alice', password: '41iC3' }), await join()];
    await publish(alice, ['from alice']);
    await publish(guest, ['from guest']);
    await eventually(() =>
      expect([alice.received, guest.received]).toEqual([['from guest'], ['from alice']]),
    );
    await expect(alice.session.delete()).rejects.toMatchObject({
      code: 'refused',
      message: expect.stringContaining('configure'),
    });
  });

  it('has no link any more when the permission is taken away, and has again when it is back', async () => {
    const tracker = await startTracker();
    await tracker.broker.users.add('alice', '41iC3', []);
    const permit = (read: string) =>
      tracker.broker.setPermissions('alice', '/', { configure: '^$', write: '^market$', read });
    permit('^market$');
    const [alice, guest] = [await join({ username: 'alice', password: '41iC3' }), await join()];

    permit('^$');
    await eventually(() => {
      expect(guest.session.status().participants).toEqual([]);
      expect(alice.session.status().participants).toEqual([]);
    });
    await publish(alice, ['unheard']);
    await publish(guest, ['not for her']);

    permit('^market$');
    await eventually(
      () => expect(guest.session.status().participants).toMatchObject([{ linked: true, interest: 1 }]),
      30_000,
    );
    await eventually(() =>
      expect(alice.session.status().participants).toMatchObject([{ linked: true, interest: 1 }]),
    );
    await publish(alice, ['heard']);
    await eventually(() => expect(guest.received).toEqual(['heard']));
    expect(alice.received).toEqual([]);
  });
});
