import { peerIdFromString } from '@libp2p/peer-id';
import { describe, expect, it, vi } from 'vitest';
import { ControlStream } from '../../src/dht-space/control-stream.js';
import { HELLO_TIMEOUT_MS } from '../../src/dht-space/limits.js';
import { CONTROL_PROTOCOL, MESSAGES_PROTOCOL, PROTOCOL_VERSION } from '../../src/dht-space/protocol.js';
import type { Control } from '../../src/dht-space/wire/control.js';
import { eventually } from '../support/eventually.js';
import type { FakeOverlay } from './fake-overlay.js';
import type { Peer } from './fake-peer.js';
import { peerIds, SPACE, settle, startLinked, startPair } from './fake-peer.js';

/** Opens a control stream to a peer by hand. */
async function intrude(
  overlay: FakeOverlay,
  victim: Peer,
): Promise<{ send(...messages: readonly Control[]): void; received: Control[] }> {
  const intruder = overlay.start(peerIds[2] as string);
  const { libp2p } = intruder.asOverlayNode;
  intruder.handlers.set(MESSAGES_PROTOCOL, () => {});
  const connection = await libp2p.dial(peerIdFromString(victim.node.id), {
    signal: AbortSignal.timeout(1000),
  });
  const stream = await connection.newStream(CONTROL_PROTOCOL);
  const received: Control[] = [];
  const control = new ControlStream(stream);
  control.onMessage = (message) => received.push(message);
  control.start();
  const send = (...messages: readonly Control[]): void => {
    for (const message of messages) control.send(message);
  };
  return { received, send };
}

const hello = {
  versions: [PROTOCOL_VERSION],
  capabilities: ['something new'],
  epoch: 5n,
  name: 'intruder'.repeat(100),
  link: 6n,
  knownLink: 0n,
  consumed: 0,
  credit: 1000,
  session: 7,
};

describe('a greeting', () => {
  it.each<[string, Control[], RegExp]>([
    [
      'of another version',
      [{ hello: { ...hello, versions: [2, 3] } }],
      /no common version: the other side speaks 2, 3, this one 1/,
    ],
    [
      'of no version',
      [{ hello: { ...hello, versions: [] } }],
      /no common version: the other side speaks none, this one 1/,
    ],
    ['that is none', [{ ping: { nonce: 1 } }], /the first control message is no greeting/],
    ['that is empty', [{}], /the first control message is no greeting/],
  ])('%s is refused with a reason in the log', async (_, messages, text) => {
    const [a, , overlay] = await startPair();
    const intruder = await intrude(overlay, a);
    intruder.send(...messages);
    await eventually(() => expect(a.log.about('refused')).toHaveLength(1));
    expect(a.log.about('refused')[0]?.fields).toMatchObject({ refused: 'greeting', peer: peerIds[2] });
    expect(a.log.about('refused')[0]?.fields.cause).toMatch(text);
    expect([...a.links].every(({ session }) => session === undefined)).toBe(true);
  });

  it('of another version tells the other side which one is spoken here', async () => {
    const [a, , overlay] = await startPair();
    const intruder = await intrude(overlay, a);
    intruder.send({ hello: { ...hello, versions: [9] } });
    await eventually(() =>
      expect(intruder.received.map(({ goodbye }) => goodbye?.reason)).toContainEqual(
        expect.stringContaining('this side speaks 1, yours 9'),
      ),
    );
  });

  it.each<[string, Control, RegExp]>([
    ['a second one', { hello }, /a second greeting/],
    [
      'an acknowledgement of what was never sent',
      { progress: { consumed: 1, limit: 0 } },
      /offset 1 was acknowledged/,
    ],
    ['a change acknowledged that was never made', { settled: { number: 99 } }, /change 99 was acknowledged/],
    [
      'interest in what is not attached',
      { interest: { number: 1, id: 5, snapshot: true, added: [], removed: [], digest: 0n } },
      /not attached/,
    ],
    [
      'a type that is none',
      { attach: { number: 1, id: 5, spaceId: Buffer.alloc(32), point: 'p', type: 'x' } },
      /no known type/,
    ],
    [
      'a space id that is none',
      { attach: { number: 1, id: 5, spaceId: Buffer.alloc(31), point: 'p', type: 'topic' } },
      /32 bytes/,
    ],
    ['a goodbye', { goodbye: { reason: 'x'.repeat(100_000) } }, /^the peer ended it: x{255}$/],
  ])(
    'followed by %s ends the link with a cause in the log, and no more than that',
    async (_, message, text) => {
      const [a, b, overlay] = await startLinked();
      const intruder = await intrude(overlay, a);
      intruder.send({ hello }, message);
      await eventually(() => expect(a.log.about('link lost')).toHaveLength(1));
      expect(a.log.about('link lost')[0]?.fields.cause).toMatch(text);
      expect(a.log.entries.filter(({ text }) => text === 'linked').at(-1)?.fields.name).toHaveLength(255);
      b.publish(a, 'others go on');
      await eventually(() => expect(a.received).toEqual(['others go on']));
    },
  );

  it('that does not come in time ends the attempt', async () => {
    vi.useRealTimers();
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout'] });
    const [a, , overlay] = await startPair();
    await intrude(overlay, a);
    await settle();
    vi.advanceTimersByTime(HELLO_TIMEOUT_MS);
    await settle();
    expect(a.log.about('refused')[0]?.fields.cause).toMatch(/no greeting within 5000 ms/);
  });

  it('of a dialled peer that does not speak the same is logged once, though it is tried for ever', async () => {
    const [a, , overlay] = await startPair();
    const other = overlay.start(peerIds[2] as string);
    let greetings = 0;
    other.handlers.set(CONTROL_PROTOCOL, (stream) => {
      greetings += 1;
      const control = new ControlStream(stream);
      control.start();
      control.send({ hello: { ...hello, versions: [7] } });
    });
    a.links.share(other.id, SPACE);
    await eventually(() => expect(greetings).toBeGreaterThan(2));
    const causes = a.log.about('could not link').map(({ level, fields }) => `${level} ${fields.cause}`);
    expect(causes[0]).toBe('info no common version: the other side speaks 7, this one 1');
    expect(causes.slice(1).every((cause) => cause.startsWith('debug'))).toBe(true);
    a.links.unshare(other.id, SPACE);
  });
});
