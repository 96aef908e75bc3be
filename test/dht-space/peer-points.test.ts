import { beforeEach, describe, expect, it } from 'vitest';
import { interestDigest } from '../../src/dht-space/interest-wire.js';
import {
  MAX_INTEREST_BYTES_PER_LINK,
  MAX_POINTS_PER_LINK,
  MAX_SECRET_KEYS,
  MAX_TOLD_PATTERNS,
} from '../../src/dht-space/limits.js';
import type { Link } from '../../src/dht-space/link.js';
import type { LinkSession } from '../../src/dht-space/link-session.js';
import type { InterestUpdate, Participant } from '../../src/dht-space/participant.js';
import { PeerPoints } from '../../src/dht-space/peer-points.js';
import type { DhtPoint } from '../../src/dht-space/point.js';
import type { Interest } from '../../src/overlay/index.js';
import { pattern } from '../overlay/messages.js';

const SPACE_ID = Buffer.alloc(32, 7);
const session = {} as LinkSession;
const names = (count: number): string[] => Array.from({ length: count }, (_, i) => `point ${i}`);

let points: PeerPoints;

beforeEach(() => {
  const link = { peer: 'peer' } as { peer: string; points?: PeerPoints };
  points = new PeerPoints(link as Link);
  link.points = points;
});

function update(added: readonly Interest[], changes: Partial<InterestUpdate> = {}): InterestUpdate {
  const digest = added.reduce((all, interest) => all ^ interestDigest(interest), 0n);
  return { snapshot: true, added, removed: [], digest, ...changes };
}

describe('the points of a peer', () => {
  it('are known by space and name, and by the number of its messages', () => {
    const bids = points.obtain(SPACE_ID, 'bids');
    expect(points.obtain(SPACE_ID, 'bids')).toBe(bids);
    expect(points.get('07'.repeat(32), 'bids')).toBe(bids);
    expect(points.obtain(Buffer.alloc(32, 8), 'bids')).not.toBe(bids);
    points.number(5, SPACE_ID, 'bids');
    expect([points.byNumber(5), points.byNumber(6)]).toEqual([bids, undefined]);
  });

  it('have names as short as AMQP names, in spaces that have ids', () => {
    expect(() => points.obtain(SPACE_ID, 'é'.repeat(128))).toThrow('the name of a point has 256 bytes');
    expect(() => points.number(1, SPACE_ID, 'x'.repeat(1_000_000))).toThrow('1000000 bytes');
    expect(() => points.obtain(Buffer.alloc(31), 'bids')).toThrow('32 bytes');
    expect([...points]).toEqual([]);
  });

  it('are so many, and those that it has left make room for others', () => {
    for (const name of names(MAX_POINTS_PER_LINK)) points.obtain(SPACE_ID, name).attach(session, 'topic');
    expect(() => points.obtain(SPACE_ID, 'one more')).toThrow(`more than ${MAX_POINTS_PER_LINK} points`);
    points.obtain(SPACE_ID, 'point 7').detach();
    points.obtain(SPACE_ID, 'one more').attach(session, 'topic');
    expect(points.get('07'.repeat(32), 'point 7')).toBeUndefined();
    expect(() => points.obtain(SPACE_ID, 'two more')).toThrow('more than');
  });

  it('can be left and joined again for ever, under another number each time', () => {
    for (let number = 1; number <= 3 * MAX_POINTS_PER_LINK; number += 1) {
      points.number(number, SPACE_ID, `point ${number % 5}`);
      const participant = points.byNumber(number) as Participant;
      participant.attach(session, 'topic');
      participant.detach();
    }
    expect([...points].length).toBeLessThanOrEqual(5);
  });

  it('cannot be numbered without end while it stays in them', () => {
    points.obtain(SPACE_ID, 'bids').attach(session, 'topic');
    for (let number = 0; number < MAX_POINTS_PER_LINK; number += 1) points.number(number, SPACE_ID, 'bids');
    points.number(0, SPACE_ID, 'bids');
    expect(() => points.number(MAX_POINTS_PER_LINK, SPACE_ID, 'bids')).toThrow('more than');
  });

  it('hold so much interest in all, and no more', () => {
    const large = (i: number): Interest => pattern('', { i, text: 'x'.repeat(60_000) });
    const tell = (): void => {
      for (const [i, name] of names(1000).entries()) {
        const participant = points.obtain(SPACE_ID, name);
        participant.attach(session, 'headers');
        participant.changeInterest(update([large(i)]));
      }
    };
    expect(tell).toThrow(`more than ${MAX_INTEREST_BYTES_PER_LINK} bytes of interest`);
    // What goes makes room, whichever way it goes.
    const [first, second, third, fourth] = [...points] as [
      Participant,
      Participant,
      Participant,
      Participant,
    ];
    const one = (participant: Participant, i: number) => participant.changeInterest(update([large(i)]));
    one(first, 5000);
    expect(() => one(points.obtain(SPACE_ID, 'other'), 1)).toThrow('bytes of interest');
    second.detach();
    one(first, 6000);
    third.changeInterest(update([], { snapshot: false, removed: [large(2)] }));
    fourth.changeInterest(update([]));
    points.obtain(SPACE_ID, 'other').attach(session, 'headers');
    one(points.obtain(SPACE_ID, 'other'), 1);
    points.clear();
    points.holdInterest(MAX_INTEREST_BYTES_PER_LINK);
  });

  it('are given up with the link: its participants leave the points of this node', () => {
    const dismissed: Participant[] = [];
    const point = {
      learnInterest: () => {},
      forgetInterest: () => {},
      dismiss: (p: Participant) => dismissed.push(p),
    };
    const participant = points.obtain(SPACE_ID, 'bids');
    points.number(1, SPACE_ID, 'bids');
    participant.attach(session, 'topic');
    participant.point = point as unknown as DhtPoint;
    points.detach();
    expect([dismissed, participant.type, points.byNumber(1)]).toEqual([[], undefined, participant]);
    points.clear();
    expect([dismissed, points.byNumber(1), [...points]]).toEqual([[participant], undefined, []]);
  });
});

describe('a participant', () => {
  it('keeps its interest when it attaches again, until the snapshot that follows', () => {
    const participant = points.obtain(SPACE_ID, 'bids');
    participant.attach(session, 'topic');
    participant.changeInterest(update([pattern('a'), pattern('b')]));
    participant.attach({} as LinkSession, 'topic');
    expect([...participant.interest]).toEqual([pattern('a'), pattern('b')]);
    participant.changeInterest(update([pattern('c')]));
    expect([...participant.interest]).toEqual([pattern('c')]);
    participant.attach(session, 'fanout');
    expect([...participant.interest]).toEqual([]);
  });

  it('adds and removes, whatever was there, and must agree on what is held then', () => {
    const participant = points.obtain(SPACE_ID, 'bids');
    participant.attach(session, 'topic');
    participant.changeInterest(update([pattern('a'), pattern('b')]));
    const digest = interestDigest(pattern('b')) ^ interestDigest(pattern('c'));
    const change = {
      snapshot: false,
      added: [pattern('b'), pattern('c')],
      removed: [pattern('a'), pattern('z')],
    };
    participant.changeInterest({ ...change, digest });
    expect([...participant.interest]).toEqual([pattern('b'), pattern('c')]);
    expect(() => participant.changeInterest({ ...change, digest: digest ^ 1n })).toThrow('digest');
  });

  it.each([
    ['topic', MAX_TOLD_PATTERNS],
    ['direct', MAX_SECRET_KEYS],
  ] as const)('of a %s point tells of %i patterns, and no more', (type, limit) => {
    const participant = points.obtain(SPACE_ID, 'bids');
    participant.attach(session, type);
    const all = Array.from({ length: limit + 1 }, (_, i) => pattern(`p.${i}`));
    participant.changeInterest(update(all.slice(1)));
    expect(() => participant.changeInterest(update(all))).toThrow(`more than ${limit} patterns`);
  });
});
