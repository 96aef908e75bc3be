import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as limits from '../../src/dht-space/limits.js';
import { golden, hex } from './golden.js';

const text = readFileSync(new URL('../../docs/wire.md', import.meta.url), 'utf8');
const examples = [...text.matchAll(/^```octets (.*)\n([\da-f]+)\n```$/gm)].map(
  ([, what = '', octets = '']) => ({
    what,
    octets,
  }),
);

describe('docs/wire.md', () => {
  it.each(examples)('shows the octets of $what as the golden vectors have them', ({ what, octets }) => {
    const all = ['control', 'messages'].flatMap((name) =>
      golden<{ readonly what: string; readonly octets?: Buffer }>(name),
    );
    expect(
      all.filter((vector) => vector.what === what).map((vector) => hex(vector.octets as Buffer)),
    ).toEqual([octets]);
  });

  it('has examples, names every file of golden vectors, and links to what there is', () => {
    expect(text.match(/^```octets/gm)).toHaveLength(examples.length);
    expect(examples.length).toBeGreaterThan(1);
    const files = readdirSync(new URL('golden/', import.meta.url)).sort();
    const named = [...text.matchAll(/^\| `(\w+\.json)` \|/gm)].map(([, name]) => name);
    expect(named.toSorted()).toEqual(files);
    const paths = [...text.matchAll(/\]\((\.\.\/[^)]+)\)/g)].map(([, path = '']) => path);
    for (const path of paths) expect(() => readOf(path), path).not.toThrow();
    const headings = [...text.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) => anchorOf(title));
    const anchors = [...text.matchAll(/\]\(#([^)]+)\)/g)].map(([, anchor]) => anchor);
    for (const anchor of anchors) expect(headings).toContain(anchor);
  });

  const count = (value: number) => value.toLocaleString('en');
  const mebibytes = (value: number) => `${value / 2 ** 20} MiB`;
  const kibibytes = (value: number) => `${value / 2 ** 10} KiB`;
  const seconds = (value: number) => `${value / 1000} s`;
  it.each([
    `| control message | ${mebibytes(limits.MAX_CONTROL_BYTES)} |`,
    `| control messages that the other side does not read | ${mebibytes(limits.CONTROL_BACKLOG_BYTES)} |`,
    `| header and body of a message | ${count(limits.MAX_CONTENT_BYTES)} octets |`,
    `| record of the message stream | ${count(limits.MAX_RECORD_BYTES)} octets |`,
    `| patterns told of a point; in one \`Interest\` | ${count(limits.MAX_TOLD_PATTERNS)} |`,
    `| tokens told of a direct point | ${count(limits.MAX_SECRET_KEYS)} |`,
    `| what interest takes in memory, per peer | ${mebibytes(limits.MAX_INTEREST_BYTES_PER_LINK)} |`,
    `| points that a peer is attached to, or has numbered | ${count(limits.MAX_POINTS_PER_LINK)} |`,
    `| \`Members\`: records, digest, wanted | ${count(limits.MAX_MEMBERS + limits.MAX_DEPARTED)} each |`,
    `| envelope | ${kibibytes(limits.MAX_SIGNED_RECORD_BYTES)} |`,
    `| addresses, points in a member record | ${limits.MAX_ADDRESSES_PER_MEMBER}, ${count(limits.MAX_POINTS_PER_MEMBER)} |`,
    `| live members of a space | ${count(limits.MAX_MEMBERS)} |`,
    `| points of a space | ${count(limits.MAX_POINTS_PER_SPACE)} |`,
    `| claims of a name | ${limits.MAX_CLAIMS}, ${kibibytes(limits.MAX_CLAIMS_BYTES)} |`,
    `| request, reply of a lookup | ${count(limits.MAX_GRANT_BYTES + 1024)} octets, ${mebibytes(limits.MAX_LOOKUP_BYTES)} |`,
    `| replication, width of a query (k) | ${limits.K_BUCKET_SIZE} |`,
    `| requests at a time (α), disjoint paths | ${limits.QUERY_CONCURRENCY}, 1 |`,
    `after ${seconds(limits.PROVIDER_VALIDITY_MS)}, looked for each ${seconds(limits.PROVIDER_SWEEP_MS)}`,
    `renews its own each ${(limits.ANNOUNCE_PERIOD_MS * 3) / 4000} to ${seconds(limits.ANNOUNCE_PERIOD_MS)}`,
    `| the owner | ${limits.MANIFEST_VALIDITY_MS / (365 * 86_400_000)} years |`,
    `the id of one of the ${limits.MAX_EARLIER_GENERATIONS} before`,
    `| a member, the *author* | ${limits.POINT_VALIDITY_MS / 60_000} min; ${limits.POINT_TOMBSTONE_VALIDITY_MS / 86_400_000} days where `,
    `the ${limits.MAX_POINT_TOMBSTONES.toLocaleString('en')} latest, and tell each other of them`,
    `| the member | ${limits.MEMBER_VALIDITY_MS / 60_000} min |`,
    `Clocks may be ${seconds(limits.MAX_CLOCK_SKEW_MS)} apart`,
    `then one that comes more than ${seconds(limits.DOUBLE_DIAL_WINDOW_MS)}`,
    `no space is shared is ended after ${seconds(limits.UNSHARED_LIMIT_MS)}`,
    `each ${seconds(limits.ANTI_ENTROPY_INTERVAL_MS)} a member sends one random other`,
    `A peer without a session for ${seconds(limits.DEAD_AFTER_MS)} is *dead*`,
    `each ${kibibytes(limits.PROGRESS_STEP_BYTES)}, or ${limits.PROGRESS_DELAY_MS} ms after`,
    `\`consumed\` + ${mebibytes(limits.CREDIT_WINDOW_BYTES)}`,
    `| dialling, greeting | ${seconds(limits.DIAL_TIMEOUT_MS)} each |`,
    `| ping | each ${seconds(limits.PING_INTERVAL_MS)}.`,
    `random time below ${limits.RETRY_FIRST_MS} ms · 2^n, at most below ${seconds(limits.RETRY_CAP_MS)}. A session that is ended within ${seconds(limits.PING_INTERVAL_MS)}`,
    `| lookup | ${seconds(limits.LOOKUP_TIMEOUT_MS)} |`,
    `takes nothing for ${seconds(limits.STALL_LIMIT_MS)} while ${mebibytes(limits.OUTBOX_LIMIT_BYTES)} wait`,
    `dialled for ${limits.LOST_PEER_RETENTION_MS / 3_600_000} h`,
  ])('states what is so: %s', (statement) => {
    expect(text.replace(/\s+/g, ' ').includes(statement)).toBe(true);
  });
});

/** Reads what a link of the document leads to. */
function readOf(path: string): unknown {
  const url = new URL(path, new URL('../../docs/', import.meta.url));
  return path.includes('.proto') ? readFileSync(url) : readdirSync(url);
}

function anchorOf(title: string): string {
  return title
    .toLowerCase()
    .replace(/[^\w -]/g, '')
    .replaceAll(' ', '-');
}
