import { describe, expect, it } from 'vitest';
import { MAX_REQUEST_BYTES } from '../../src/prototype-space/limits.js';
import { MessageError } from '../../src/prototype-space/parse-fields.js';
import {
  encodeMessage,
  parseEvent,
  parseReply,
  parseRequest,
} from '../../src/prototype-space/parse-messages.js';
import type { TrackerEvent, TrackerReply, TrackerRequest } from '../../src/prototype-space/protocol.js';
import { encodeSnapshot, parseSnapshot } from '../../src/prototype-space/tracker-snapshot.js';
import { Random, seed } from '../support/random.js';
import { hex, offer, record, registration } from './tracker-messages.js';

const from = { member: hex('a'), sequence: 7 };

const requests: readonly TrackerRequest[] = [
  registration('a', [offer('bids'), offer('mail', { type: 'direct', arguments: '{"a":["list",1]}' })]),
  registration('a', [], { instance: hex('1') }),
  { request: 'renew', ...from },
  { request: 'renew', ...from, relayKey: hex('c', 64) },
  { request: 'join', ...from, point: offer('bids') },
  { request: 'leave', ...from, point: 'bids' },
  { request: 'unregister', ...from },
  { request: 'delete-point', ...from, point: 'bids' },
];

const replies: readonly TrackerReply[] = [
  { reply: 'ok' },
  {
    reply: 'ok',
    points: [
      { point: 'bids', participants: [record] },
      { point: 'mail', participants: [] },
    ],
  },
  { reply: 'error', code: 'invalid', text: '' },
  { reply: 'error', code: 'conflict', text: 'other type', point: 'bids' },
];

const events: readonly TrackerEvent[] = [
  { event: 'joined', point: 'bids', participant: record },
  { event: 'left', point: 'bids', member: hex('b') },
  { event: 'gone', member: hex('b'), reason: 'lease' },
  { event: 'password', member: hex('b'), password: record.password },
  { event: 'point-deleted', point: 'bids', reason: 'by alice' },
  { event: 'space-deleted', reason: '' },
  { event: 'dropped', reason: 'no permission' },
];

const kinds = [
  { kind: 'request', messages: requests, parse: parseRequest },
  { kind: 'reply', messages: replies, parse: parseReply },
  { kind: 'event', messages: events, parse: parseEvent },
] as const;

const samples = kinds.flatMap(({ kind, messages, parse }) =>
  messages.map((message) => ({
    title: `${kind} ${JSON.stringify(message).slice(0, 60)}`,
    octets: encodeMessage(message),
    message,
    parse,
  })),
);

const stored = [
  { user: 'alice', sequence: 9, member: hex('a'), relayKey: hex('a', 64), points: [offer('bids')] },
  { user: 'bob', sequence: 0, member: hex('b'), instance: hex('1'), relayKey: hex('b', 64), points: [] },
].map((member) => ({ ...member, endpoint: record.endpoint }));

/** Each field in each object of a message, as a path and as what it would be called in a text. */
function fieldsOf(value: unknown, path: readonly (string | number)[] = []): (string | number)[][] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) => {
    const key = Array.isArray(value) ? Number(name) : name;
    return [[...path, key], ...fieldsOf(inner, [...path, key])];
  });
}

function spoken(path: readonly (string | number)[]): string {
  return path.reduce<string>(
    (text, key) => (typeof key === 'number' ? `${text}[${key}]` : text === '' ? key : `${text}.${key}`),
    '',
  );
}

/** The message with another value at one place; undefined takes the field away. */
function changed(octets: Buffer, path: readonly (string | number)[], value: unknown): Buffer {
  const message = JSON.parse(octets.toString());
  let inner = message;
  for (const key of path.slice(0, -1)) inner = inner[key];
  inner[path.at(-1) ?? ''] = value;
  return Buffer.from(JSON.stringify(message));
}

function problemOf(parse: (octets: Buffer) => unknown, octets: Buffer): string {
  try {
    parse(octets);
  } catch (error) {
    expect(error).toBeInstanceOf(MessageError);
    return (error as Error).message;
  }
  return 'none';
}

const OPTIONAL = /(^|\.)(instance|points|point|relayKey)$/;
const all = [
  ...samples,
  { title: 'the stored state', octets: encodeSnapshot(stored), message: stored, parse: parseSnapshot },
];

describe.each(all)('$title', ({ octets, message, parse }) => {
  it('is read as what was written, and fields that nobody knows are skipped', () => {
    expect(parse(octets)).toEqual(message);
    expect(parse(changed(octets, ['later'], { any: 'thing' }))).toEqual(message);
  });

  it.each(fieldsOf(JSON.parse(octets.toString())).map((path) => [spoken(path), path] as const))(
    'names the field %s when it is wrong or missing',
    (name, path) => {
      for (const wrong of [null, -1, 1.5, [1], { a: { b: 1 } }]) {
        expect(problemOf(parse, changed(octets, path, wrong)), JSON.stringify(wrong)).toContain(`'${name}`);
      }
      if (typeof path.at(-1) === 'number') return;
      const missing = problemOf(parse, changed(octets, path, undefined));
      if (missing === 'none') expect(name).toMatch(OPTIONAL);
      else expect(missing).toMatch(new RegExp(`'${name.replace(/[[\]]/g, '\\$&')}': .*found nothing`));
    },
  );
});

it.each<[string, object, string]>([
  ['another version', { version: 2 }, "field 'version': expected an integer from 1 to 1, found 2"],
  ['an unknown request', { request: 'dance' }, "field 'request': expected 'register' or 'renew' or"],
  ['a member id in capitals', { member: hex('A') }, "field 'member': expected 32 lower-case"],
  ['a member id that is too long', { member: `${hex('a')}0` }, 'expected 32 lower-case'],
  ['a sequence that is not exact', { sequence: 2 ** 53 }, "field 'sequence': expected an integer from 0"],
  [
    'a short relay key',
    { relayKey: 'ab' },
    "field 'relayKey': expected 64 lower-case hexadecimal digits, found",
  ],
  ['a host with a space', { endpoint: { ...record.endpoint, host: 'a b' } }, "field 'endpoint.host'"],
  ['port 0', { endpoint: { ...record.endpoint, port: 0 } }, "'endpoint.port': expected an integer from 1 to"],
  [
    'an empty name',
    { points: [offer('')] },
    "'points[0].name': expected a string of 1 to 255 octets of UTF-8",
  ],
  ['a name of 256 octets', { points: [offer('ä'.repeat(128))] }, "field 'points[0].name'"],
  ['half a character', { points: [offer('\ud800')] }, "field 'points[0].name'"],
  ['a point twice', { points: [offer('a'), offer('a')] }, "field 'points[1].name': expected each point once"],
  ['a fifth type', { points: [offer('a', { type: 'x' as 'topic' })] }, "expected 'direct' or 'fanout'"],
  ['no canonical arguments', { points: [offer('a', { arguments: '{ }' })] }, "'points[0].arguments'"],
  ['deep arguments', { points: [offer('a', { arguments: '{"a":'.repeat(40) })] }, 'arguments'],
])('refuses %s, and says what it expects', (_, wrong, text) => {
  const octets = Buffer.from(JSON.stringify({ version: 1, ...registration('a'), ...wrong }));
  expect(problemOf(parseRequest, octets)).toContain(text);
});

it.each<[string, Buffer, string]>([
  ['nothing', Buffer.alloc(0), 'message: expected JSON in UTF-8'],
  ['no UTF-8', Buffer.from([0x22, 0xff, 0x22]), 'message: expected JSON in UTF-8'],
  ['a list', Buffer.from('[]'), 'message: expected an object, found an array'],
  ['many brackets', Buffer.alloc(1_000_000, '['), 'message: expected JSON in UTF-8'],
  [
    'too much',
    Buffer.alloc(MAX_REQUEST_BYTES + 1, ' '),
    `at most ${MAX_REQUEST_BYTES} octets, found ${MAX_REQUEST_BYTES + 1}`,
  ],
])('refuses %s', (_, octets, text) => {
  expect(problemOf(parseRequest, octets)).toContain(text);
});

it('cuts a long value in its text', () => {
  const octets = encodeMessage({ request: 'leave', ...from, point: 'x'.repeat(100_000) });
  expect(problemOf(parseRequest, octets).length).toBeLessThan(200);
});

it(`reads damaged messages or refuses them, and nothing else happens (SEED=${seed})`, () => {
  const random = new Random(seed);
  let refused = 0;
  for (let round = 0; round < 20_000; round++) {
    const { octets, parse } = random.pick(all);
    const damaged = Buffer.from(octets);
    for (let damage = random.int(4); damage >= 0; damage--) {
      damaged[random.int(damaged.length)] =
        random.int(4) === 0 ? random.int(256) : random.pick(octets.toJSON().data);
    }
    if (problemOf(parse, damaged.subarray(0, damaged.length - random.int(2))) !== 'none') refused += 1;
  }
  expect(refused).toBeGreaterThan(10_000);
});
