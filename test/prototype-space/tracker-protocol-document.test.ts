import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as limits from '../../src/prototype-space/limits.js';
import { parseEvent, parseReply, parseRequest } from '../../src/prototype-space/parse-messages.js';
import { relayPassword } from '../../src/prototype-space/relay-password.js';

const text = readFileSync(new URL('../../docs/prototype-protocol.md', import.meta.url), 'utf8');
const parsers = { request: parseRequest, reply: parseReply, event: parseEvent };
const examples = [...text.matchAll(/^```json (request|reply|event)\n([\s\S]*?)^```$/gm)].map(
  ([, kind = '', json = '']) => ({ kind: kind as keyof typeof parsers, json }),
);

describe('docs/prototype-protocol.md', () => {
  it.each(examples)('has a $kind that is one: $json', ({ kind, json }) => {
    const { version, ...message } = JSON.parse(json);
    expect(version).toBe(1);
    expect(parsers[kind](Buffer.from(json))).toEqual(message);
  });

  it('has an example of each message, and no other blocks of JSON', () => {
    const words = examples.map(({ kind, json }) => JSON.parse(json)[kind] as string);
    const requests = ['register', 'renew', 'join', 'leave', 'delete-point', 'unregister'];
    const events = ['joined', 'left', 'gone', 'password', 'point-deleted', 'space-deleted', 'dropped'];
    expect(words).toEqual([...requests, 'ok', 'error', ...events]);
    expect(text.match(/```json/g)?.length).toBe(examples.length);
  });

  it('derives the password of its test vector', () => {
    const [, key = '', relay = '', password = ''] =
      /With relay key\s+`([0-9a-f]{64})` the password of the relay of member\s+`([0-9a-f]{32})` is `(.{43})`/.exec(
        text,
      ) ?? [];
    expect(relayPassword(key, relay)).toBe(password);
  });

  const count = (value: number) => value.toLocaleString('en');
  const mebibytes = (value: number) => `${value / 2 ** 20} MiB`;
  it.each([
    `| members, points of a space | ${count(limits.MAX_MEMBERS)}, ${count(limits.MAX_POINTS)} |`,
    `| points of a member | ${count(limits.MAX_POINTS_PER_MEMBER)} |`,
    `in all | ${mebibytes(limits.MAX_SPACE_BYTES)} of JSON |`,
    `| request | ${mebibytes(limits.MAX_REQUEST_BYTES)} |`,
    `| reply, event | ${mebibytes(limits.MAX_REPLY_BYTES)} |`,
    `| texts and reasons | ${count(limits.MAX_TEXT_BYTES)} octets |`,
    `| ${count(limits.REQUEST_BURST)} at once, ${limits.REQUESTS_PER_SECOND} a second; each`,
    `each ${limits.OCTETS_PER_REQUEST / 1024} KiB of requests, replies and events`,
    `| replies that the broker does not take | ${mebibytes(limits.MAX_UNSENT_REPLY_BYTES)} |`,
    `\`x-max-length\` ${count(limits.MAX_WAITING_REQUESTS)} and`,
    `\`x-max-length-bytes\` ${mebibytes(limits.MAX_WAITING_REQUEST_BYTES)}`,
    `an expiration of ${limits.REPLY_EXPIRATION_MS / 1000} s`,
    `| each ${limits.RENEW_INTERVAL_MS / 1000} s |`,
    `| lease | ${limits.LEASE_MS / 1000} s from`,
    `| grace | ${limits.GRACE_MS / 1000} s:`,
    `below ${limits.RETRY_FIRST_MS} ms · 2^n, at most below ${limits.RETRY_CAP_MS / 1000} s`,
    `| ${limits.HEARTBEAT_SECONDS} s on every connection`,
    `without reply within ${limits.REQUEST_TIMEOUT_MS / 1000} s`,
    `A content header and body of ${count(limits.MAX_CONTENT_BYTES)} octets`,
  ])('names what is kept: %s', (words) => {
    expect(text.replaceAll(/\s+/g, ' ')).toContain(words);
  });
});
