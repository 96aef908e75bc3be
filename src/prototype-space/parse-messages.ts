import { parseCanonicalTable, SpaceError } from '../overlay/index.js';
import type { Endpoint } from './home-broker.js';
import { MAX_NAME_BYTES, MAX_REPLY_BYTES, MAX_REQUEST_BYTES, MAX_TEXT_BYTES } from './limits.js';
import type { Fields } from './parse-fields.js';
import { parseObject } from './parse-fields.js';
import type {
  OutletOffer,
  ParticipantRecord,
  PointOffer,
  TrackerErrorCode,
  TrackerEvent,
  TrackerReply,
  TrackerRequest,
} from './protocol.js';
import { PROTOCOL_VERSION } from './protocol.js';

const REQUESTS = ['register', 'renew', 'join', 'leave', 'unregister', 'delete-point'] as const;
const EVENTS = ['joined', 'left', 'gone', 'password', 'point-deleted', 'space-deleted', 'dropped'] as const;
const POINT_TYPES = ['direct', 'fanout', 'topic', 'headers'] as const;
const ERROR_CODES: readonly TrackerErrorCode[] = [
  'invalid',
  'refused',
  'conflict',
  'unknown-member',
  'replayed',
  'limit',
];

const MEMBER_ID = /^[0-9a-f]{32}$/;
const RELAY_KEY = /^[0-9a-f]{64}$/;
const PASSWORD = /^[\w-]{43}$/;
/** A name, or an address of either version of IP, with its zone; the resolver knows the rest. */
const HOST = /^[\w.:%-]{1,255}$/;
const MAX_PORT = 65_535;

/** The octets of any message of the protocol. */
export function encodeMessage(message: TrackerRequest | TrackerReply | TrackerEvent): Buffer {
  return Buffer.from(JSON.stringify({ version: PROTOCOL_VERSION, ...message }));
}

/** @throws MessageError */
export function parseRequest(octets: Uint8Array): TrackerRequest {
  const fields = parseMessage(octets, MAX_REQUEST_BYTES);
  const request = fields.oneOf('request', REQUESTS);
  const from = {
    member: memberId(fields, 'member'),
    sequence: fields.integer('sequence', 0, Number.MAX_SAFE_INTEGER),
  };
  switch (request) {
    case 'register': {
      const instance = fields.optional('instance', (name) => memberId(fields, name));
      return {
        ...from,
        request,
        ...(instance !== undefined && { instance }),
        ...parseRegistration(fields),
      };
    }
    case 'renew': {
      const key = fields.optional('relayKey', (name) => relayKey(fields, name));
      return key === undefined ? { ...from, request } : { ...from, request, relayKey: key };
    }
    case 'join':
      return { ...from, request, point: pointOffer(fields.object('point')) };
    case 'leave':
    case 'delete-point':
      return { ...from, request, point: fields.text('point', MAX_NAME_BYTES) };
    case 'unregister':
      return { ...from, request };
    default:
      return request satisfies never;
  }
}

/** @throws MessageError */
export function parseReply(octets: Uint8Array): TrackerReply {
  const fields = parseMessage(octets, MAX_REPLY_BYTES);
  const reply = fields.oneOf('reply', ['ok', 'error']);
  if (reply === 'error') {
    const point = fields.optional('point', (name) => fields.text(name, MAX_NAME_BYTES));
    return {
      reply,
      code: fields.oneOf('code', ERROR_CODES),
      text: fields.text('text', MAX_TEXT_BYTES, 0),
      ...(point !== undefined && { point }),
    };
  }
  const points = fields.optional('points', (name) => fields.objects(name).map(pointParticipants));
  return points === undefined ? { reply } : { reply, points };
}

/** @throws MessageError */
export function parseEvent(octets: Uint8Array): TrackerEvent {
  const fields = parseMessage(octets, MAX_REPLY_BYTES);
  const event = fields.oneOf('event', EVENTS);
  const point = () => fields.text('point', MAX_NAME_BYTES);
  const member = () => memberId(fields, 'member');
  const reason = () => fields.text('reason', MAX_TEXT_BYTES, 0);
  switch (event) {
    case 'joined':
      return { event, point: point(), participant: participant(fields.object('participant')) };
    case 'left':
      return { event, point: point(), member: member() };
    case 'gone':
      return { event, member: member(), reason: reason() };
    case 'password':
      return { event, member: member(), password: password(fields) };
    case 'point-deleted':
      return { event, point: point(), reason: reason() };
    case 'space-deleted':
    case 'dropped':
      return { event, reason: reason() };
    default:
      return event satisfies never;
  }
}

/** What a member states of itself, in a registration and in the stored state. */
export function parseRegistration(fields: Fields): {
  readonly endpoint: Endpoint;
  readonly relayKey: string;
  readonly points: readonly PointOffer[];
} {
  const offers = fields.objects('points');
  const points = offers.map(pointOffer);
  const names = new Set<string>();
  for (const [index, { name }] of points.entries()) {
    if (names.has(name)) throw offers[index]?.mismatch('name', 'each point once');
    names.add(name);
  }
  return { endpoint: endpoint(fields.object('endpoint')), relayKey: relayKey(fields, 'relayKey'), points };
}

export function memberId(fields: Fields, name: string): string {
  return fields.matching(name, MEMBER_ID, '32 lower-case hexadecimal digits');
}

function parseMessage(octets: Uint8Array, maxBytes: number): Fields {
  const fields = parseObject(octets, maxBytes);
  fields.integer('version', PROTOCOL_VERSION, PROTOCOL_VERSION);
  return fields;
}

function relayKey(fields: Fields, name: string): string {
  return fields.matching(name, RELAY_KEY, '64 lower-case hexadecimal digits');
}

function password(fields: Fields): string {
  return fields.matching('password', PASSWORD, '32 octets in base64url without padding');
}

function endpoint(fields: Fields): Endpoint {
  return {
    host: fields.matching('host', HOST, 'the name or the address of a host'),
    port: fields.integer('port', 1, MAX_PORT),
    tls: fields.boolean('tls'),
    virtualHost: fields.text('virtualHost', MAX_NAME_BYTES),
  };
}

function outlet(fields: Fields): OutletOffer {
  return {
    number: fields.integer('number', 0, Number.MAX_SAFE_INTEGER),
    exchange: fields.text('exchange', MAX_NAME_BYTES),
    everything: fields.text('everything', MAX_NAME_BYTES),
  };
}

function pointOffer(fields: Fields): PointOffer {
  return {
    name: fields.text('name', MAX_NAME_BYTES),
    type: fields.oneOf('type', POINT_TYPES),
    arguments: canonicalArguments(fields),
    outlet: outlet(fields.object('outlet')),
  };
}

function canonicalArguments(fields: Fields): string {
  const text = fields.text('arguments', MAX_REQUEST_BYTES);
  try {
    parseCanonicalTable(text);
    return text;
  } catch (error) {
    if (!(error instanceof SpaceError)) throw error;
    throw fields.mismatch('arguments', `a table as canonical JSON (${error.message})`);
  }
}

function participant(fields: Fields): ParticipantRecord {
  return {
    member: memberId(fields, 'member'),
    endpoint: endpoint(fields.object('endpoint')),
    password: password(fields),
    outlet: outlet(fields.object('outlet')),
  };
}

function pointParticipants(fields: Fields): {
  readonly point: string;
  readonly participants: readonly ParticipantRecord[];
} {
  return {
    point: fields.text('point', MAX_NAME_BYTES),
    participants: fields.objects('participants').map(participant),
  };
}
