import { setImmediate as turn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { interestDigest } from '../../src/dht-space/interest-wire.js';
import {
  CREDIT_WINDOW_BYTES,
  MAX_POINTS_PER_LINK,
  MAX_RECORD_BYTES,
  MAX_TOLD_PATTERNS,
} from '../../src/dht-space/limits.js';
import { MESSAGES_PROTOCOL } from '../../src/dht-space/protocol.js';
import type { Control, Pattern } from '../../src/dht-space/wire/control.js';
import { eventually } from '../support/eventually.js';
import { heldMemory } from './collect-garbage.js';
import type { FakeStream } from './fake-stream.js';
import type { Identity } from './fixtures.js';
import { manifest, member, point } from './fixtures.js';
import { framed, HELLO, people, Scene, times } from './stranger.js';
import { messageRecord, namingRecord, preambleBytes, record, u32 } from './wire-records.js';

const SESSION = 7;
const ELSEWHERE = Buffer.alloc(32, 9);
const content = (bodyBytes: number) => ({
  routingKey: 'key',
  header: Buffer.alloc(14),
  body: Buffer.alloc(bodyBytes),
});
const bare: Pattern = { routingKey: '', arguments: '', token: new Uint8Array(0), everything: false };

type Attack = (scene: Scene, control: FakeStream) => Promise<void> | void;

/** Sends control messages one by one, until the stream takes no more. */
function says(...messages: readonly Control[]): Attack {
  return (_, control) => sendAll(control, messages);
}

async function sendAll(control: FakeStream, messages: Iterable<Control>): Promise<void> {
  for (const message of messages) {
    if (control.writeStatus !== 'writable') return;
    control.send(framed(message));
    if (control.writeBufferLength > 100_000) await turn();
  }
}

/** Sends on a message stream that belongs to the session, until it takes no more. */
function writes(pieces: () => Iterable<Buffer>, start = preambleBytes(SESSION, 0)): Attack {
  return async (scene) => {
    const stream = await scene.stream(MESSAGES_PROTOCOL);
    if (stream.writeStatus === 'writable') stream.send(start);
    for (const piece of pieces()) {
      if (stream.writeStatus !== 'writable') return;
      stream.send(piece);
      if (stream.writeBufferLength > 100_000) await turn();
    }
  };
}

function* repeated<T>(count: number, make: (i: number) => T): Iterable<T> {
  for (let i = 0; i < count; i += 1) yield make(i);
}

const attach = (i: number, changes: object = {}): Control => ({
  attach: { number: i, id: i, spaceId: ELSEWHERE, point: `point ${i}`, type: 'topic', ...changes },
});
const interest = (changes: object): Control => ({
  interest: { number: 1, id: 1, snapshot: true, added: [], removed: [], digest: 0n, ...changes },
});

const attacks: readonly (readonly [string, Attack, RegExp])[] = [
  ['greets twice', says({ hello: HELLO }), /a second greeting/],
  [
    'acknowledges what was never sent',
    says({ progress: { consumed: 1, limit: 1 } }),
    /offset 1 was acknowledged/,
  ],
  [
    'acknowledges what no number can hold',
    (_, control) => void control.send(Buffer.from('0c4a0a08808080808080808010', 'hex')),
    /Could not decode varint/,
  ],
  [
    'settles what was never changed',
    says({ settled: { number: 4_000_000_000 } }),
    /change 4000000000 was acknowledged/,
  ],
  [
    'changes interest in what it has not attached',
    says(interest({ id: 5 })),
    /interest in point 5, which is not attached/,
  ],
  [
    'changes interest in what it has left',
    says(attach(1), { detach: { number: 2, id: 1 } }, interest({})),
    /interest in point 1/,
  ],
  [
    'tells of a digest that does not fit',
    says(attach(1), interest({ digest: 1n })),
    /has digest 0, not 1 as told/,
  ],
  ['attaches to a type that there is not', says(attach(1, { type: 'x-random' })), /is of no known type/],
  [
    'attaches to a point of a very long name',
    says(attach(1, { point: 'x'.repeat(1_000_000) })),
    /has 1000000 bytes/,
  ],
  [
    'attaches in a space that is none',
    says(attach(1, { spaceId: Buffer.alloc(5) })),
    /a space id has 32 bytes, not 5/,
  ],
  [
    'attaches to more points than there may be',
    (_, control) => sendAll(control, repeated(2 * MAX_POINTS_PER_LINK, attach)),
    /more than 4096 points/,
  ],
  [
    'tells of more patterns than there may be',
    (_, control) =>
      sendAll(control, [
        attach(1),
        ...repeated(MAX_TOLD_PATTERNS, (i) =>
          interest({
            snapshot: false,
            added: [
              { ...bare, routingKey: `k${i}` },
              { ...bare, routingKey: `l${i}` },
            ],
          }),
        ),
      ]),
    /digest|more than 2000 patterns/,
  ],
  [
    'tells of a million patterns at once',
    says(attach(1), interest({ added: Array.from({ length: 200_000 }, () => bare) })),
    /too many elements/,
  ],
  [
    'asks for routing keys longer than there are',
    says(attach(1), interest({ added: [{ ...bare, routingKey: 'x.'.repeat(400_000) }] })),
    /a routing key of 800000 bytes/,
  ],
  [
    'asks for headers that cannot be',
    says(attach(1, { type: 'headers' }), interest({ added: [{ ...bare, arguments: '{"a":[1]}' }] })),
    /canonical/,
  ],
  [
    'asks for tokens of no length',
    says(attach(1, { type: 'direct' }), interest({ added: [bare] })),
    /a token of 0 bytes/,
  ],
  [
    'sends a control message that is too large',
    (_, control) => void control.send(u32(0xffffff7f)),
    /the limit is|not a varint/,
  ],
  ['writes a record of no length', writes(() => [u32(0)]), /an empty record/],
  ['writes a record of the greatest length', writes(() => [u32(0xffffffff)]), /a record of 4294967299 bytes/],
  [
    'writes of a point that it has not named',
    writes(() => [messageRecord(5, 1, content(0))]),
    /point 5 was not named/,
  ],
  ['writes of kinds that there are not', writes(() => [record(77)]), /unknown kind of record: 77/],
  [
    'names a point by a very long name',
    writes(() => [namingRecord(1, ELSEWHERE, 'x'.repeat(1_000_000))]),
    /has 1000000 bytes/,
  ],
  [
    'begins at an offset that no number can hold',
    writes(() => [], Buffer.concat([u32(SESSION), Buffer.alloc(8, 0xff)])),
    /cannot be/,
  ],
  [
    'writes more than it has credit for',
    async (scene, control) => {
      scene.victim.memory.high = true;
      const count = (MAX_RECORD_BYTES + 2 * CREDIT_WINDOW_BYTES) / 500_000;
      await writes(() => [
        namingRecord(1, ELSEWHERE, 'p'),
        ...repeated(count, (i) => messageRecord(1, i, content(500_000))),
      ])(scene, control);
    },
    /more was sent than there was credit for/,
  ],
  [
    'hands over a record that nobody signed',
    (scene, control) =>
      sendAll(control, [
        { members: { spaceId: spaceOf(scene), records: [Buffer.alloc(50)], digest: [], wanted: [] } },
      ]),
    /envelope/,
  ],
  [
    'hands over a record of another space',
    (scene, control) => {
      const records = [member(stranger(), { ...times(), spaceId: '09'.repeat(32) }).bytes];
      return sendAll(control, [{ members: { spaceId: spaceOf(scene), records, digest: [], wanted: [] } }]);
    },
    /a member record of another space/,
  ],
  [
    'hands over a point of another space',
    (scene, control) => {
      const points = [point(stranger(), { ...times(), spaceId: '09'.repeat(32) }).bytes];
      return sendAll(control, [
        { definitions: { spaceId: spaceOf(scene), points, manifest: new Uint8Array(0) } },
      ]);
    },
    /a point of another space/,
  ],
  [
    'claims to own the space',
    (scene, control) => {
      const forged = manifest(stranger(), { ...times(), sequence: 99, deleted: true }).bytes;
      return sendAll(control, [{ definitions: { spaceId: spaceOf(scene), points: [], manifest: forged } }]);
    },
    /a manifest of another space/,
  ],
  [
    'writes of a sequence that no number can hold',
    async (scene, control) => {
      const spaceId = spaceOf(scene);
      await sendAll(control, [attach(1, { spaceId, point: 'bids' })]);
      await writes(() => [
        namingRecord(1, spaceId, 'bids'),
        record(1, u32(1), Buffer.alloc(8, 0xff), Buffer.alloc(5)),
      ])(scene, control);
    },
    /is not a whole number/,
  ],
  ['closes its side', (_, control) => control.close(), /closed by the other side/],
  [
    'asks without end and does not read the answers',
    (scene, control) => {
      control.reads = false;
      const ask = { spaceId: spaceOf(scene), records: [], digest: [], wanted: [scene.victim.node.id] };
      return sendAll(
        control,
        repeated(200_000, () => ({ members: ask })),
      );
    },
    /control messages were not read/,
  ],
  [
    'tells of more interest than anybody can have',
    (_, control) => {
      const large = (i: number): Control => {
        const table = { i, text: 'x'.repeat(60_000) };
        const digest = interestDigest({ routingKey: '', arguments: table });
        return interest({ id: i, digest, added: [{ ...bare, arguments: JSON.stringify(table) }] });
      };
      return sendAll(control, [...repeated(1000, (i) => [attach(i, { type: 'headers' }), large(i)])].flat());
    },
    /bytes of interest/,
  ],
];

function stranger(): Identity {
  return people[2] as Identity;
}

function spaceOf(scene: Scene): Buffer {
  return Buffer.from(scene.victim.space.spaceId, 'hex');
}

it.each(attacks)(
  'a stranger that %s loses its own link, counted and with a cause in the log, and nobody else notices',
  async (name, attack, cause) => {
    const scene = await Scene.open();
    const control = await scene.greeted(SESSION);
    scene.talk();
    await attack(scene, control);
    await eventually(() => expect(scene.log.lastCause).toMatch(cause));
    const { outdated: _, ...counts } = scene.victim.node.refusals.counts;
    expect(Object.values(counts)).toEqual(name === 'closes its side' ? [] : [1]);
    scene.victim.memory.high = false;
    scene.talk();
    await scene.expectHarmless();
  },
);

const tolerated: readonly (readonly [string, Attack])[] = [
  [
    'names points',
    writes(() => repeated(10_000, (i) => namingRecord(i, ELSEWHERE, `${i}`.padStart(255, '.')))),
  ],
  [
    'comes and goes',
    (_, control) =>
      sendAll(
        control,
        [
          ...repeated(10_000, (i) => [
            attach(i, { point: `${i}`.padStart(255, '.') }),
            { detach: { number: i, id: i } },
          ]),
        ].flat(),
      ),
  ],
  [
    'tells that it has told all',
    (_, control) =>
      sendAll(
        control,
        repeated(10_000, (i) => ({ synced: { number: i, spaceId: Buffer.alloc(32, `${i} `) } })),
      ),
  ],
  [
    'asks for spaces that there are not',
    (_, control) =>
      sendAll(
        control,
        repeated(10_000, (i) => ({
          members: { spaceId: Buffer.alloc(32, `${i} `), records: [], digest: [], wanted: [] },
        })),
      ),
  ],
  [
    'writes to points that nobody is in',
    writes(() => [
      namingRecord(1, ELSEWHERE, 'p'),
      ...repeated(10_000, (i) => messageRecord(1, i, content(10))),
    ]),
  ],
  ['repeats itself', (_, control) => sendAll(control, [attach(1), ...repeated(10_000, () => interest({}))])],
];

it.each(tolerated)('a stranger that %s without end costs no memory', async (_, attack) => {
  const scene = await Scene.open();
  const control = await scene.greeted(SESSION);
  await attack(scene, control);
  await settled(scene, control);
  const before = await heldMemory();
  await attack(scene, await scene.greeted(SESSION + 1).then(() => control));
  await settled(scene, control);
  const after = await heldMemory();
  expect(after.heapBytes - before.heapBytes).toBeLessThan(4_000_000);
  scene.talk();
  await scene.expectHarmless();
});

/** Resolves when all that was sent was handled. */
async function settled(_: Scene, control: FakeStream): Promise<void> {
  for (let turns = 0; turns < 100 || control.writeBufferLength > 0; turns += 1) await turn();
}
