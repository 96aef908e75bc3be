import { describe, expect, it } from 'vitest';
import { OUTBOX_LIMIT_BYTES, OUTBOX_RELIEF_BYTES } from '../../src/dht-space/limits.js';
import { Outbox } from '../../src/dht-space/outbox.js';
import { Random, seed } from '../support/random.js';
import { heldMemory } from './collect-garbage.js';
import { MemoryStub } from './memory-stub.js';
import { contentOf, messageRecord, namingRecord } from './wire-records.js';

const SPACE_ID = Buffer.alloc(32, 7);
const NO_LIMIT = Number.MAX_SAFE_INTEGER;

interface ModelRecord {
  readonly bytes: Buffer;
  readonly isMessage: boolean;
}

/** The plainest outbox there is: every record ever appended, and marks in it. */
class Model {
  readonly memory = new MemoryStub();
  readonly outbox = new Outbox(this.memory);
  readonly #random: Random;
  /** From the acknowledged offset on. */
  #records: ModelRecord[] = [];
  #acknowledged = 0;
  #sent = 0;
  #reached = 0;
  #sequence = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** One operation on both, and a comparison of all that can be seen. */
  step(): void {
    const pick = this.#random.int(100);
    if (pick < 45) this.#append();
    else if (pick < 75) this.#take();
    else if (pick < 90) this.#acknowledge();
    else if (pick < 96) this.#resume();
    else if (pick < 99) this.#dropUnsent();
    else this.#clear();
    this.#compare();
  }

  /** Sends and acknowledges all that is left. */
  drain(): void {
    while (this.#sent < this.#end) this.#take(NO_LIMIT);
    expect(this.outbox.take(NO_LIMIT)).toBeUndefined();
    expect(this.outbox.acknowledge(this.#end)).toBe(true);
    expect([this.outbox.heldBytes, this.memory.bytes]).toEqual([0, 0]);
  }

  get #end(): number {
    return this.#acknowledged + this.#records.reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  /** The offsets between records, the ends of the held ones included. */
  #boundaries(): number[] {
    let offset = this.#acknowledged;
    return [offset, ...this.#records.map(({ bytes }) => (offset += bytes.length))];
  }

  #append(): void {
    const random = this.#random;
    const point = random.int(2 ** 32);
    if (random.int(10) === 0) {
      const name = 'é'.repeat(random.int(100));
      this.outbox.appendPoint(point, SPACE_ID, name);
      this.#records.push({ bytes: namingRecord(point, SPACE_ID, name), isMessage: false });
      return;
    }
    this.#sequence += 1 + random.int(2 ** 40);
    const routingKey = random.pick(['', 'a', 'ünicode.key', 'k'.repeat(255)]);
    const header = Buffer.alloc(random.int(60), 'h');
    const bodyBytes = random.pick([
      0,
      random.int(300),
      random.int(300),
      random.int(20_000),
      random.int(200_000),
    ]);
    const body = Buffer.alloc(bodyBytes, `${this.#sequence}`);
    this.outbox.appendMessage(point, this.#sequence, contentOf(routingKey, header, body));
    const bytes = messageRecord(point, this.#sequence, { routingKey, header, body });
    this.#records.push({ bytes, isMessage: true });
  }

  #take(
    limit = this.#sent + this.#random.pick([0, 1, this.#random.int(1000), this.#random.int(300_000)]),
  ): void {
    const taken = this.outbox.take(limit);
    expect(taken === undefined).toBe(this.#sent >= limit || this.#sent === this.#end);
    for (let rest = taken; rest !== undefined && rest.length > 0; ) {
      const record = this.#records[this.#boundaries().indexOf(this.#sent)];
      expect(this.#sent, 'records start below the limit').toBeLessThan(limit);
      expect(record?.bytes.equals(rest.subarray(0, record.bytes.length)), 'whole records, in order').toBe(
        true,
      );
      this.#sent += record?.bytes.length ?? 0;
      rest = rest.subarray(record?.bytes.length);
    }
    this.#reached = Math.max(this.#reached, this.#sent);
  }

  #acknowledge(): void {
    const [offset, isKnown] = this.#claim(this.#sent);
    expect(this.outbox.acknowledge(offset)).toBe(isKnown);
    if (isKnown) this.#forget(offset);
  }

  #resume(): void {
    const [offset, isKnown] = this.#claim(this.#reached);
    expect(this.outbox.resume(offset)).toBe(isKnown);
    if (!isKnown) return;
    this.#forget(offset);
    this.#sent = this.#acknowledged;
  }

  /** Some offset, right or wrong, and whether a record that was sent ends there or was acknowledged long ago. */
  #claim(limit: number): [offset: number, isKnown: boolean] {
    const boundaries = this.#boundaries();
    const offset = Math.max(0, this.#random.pick(boundaries) + this.#random.pick([0, 0, 0, -1, 1, -40_000]));
    const isKnown = offset <= this.#acknowledged || (boundaries.includes(offset) && offset <= limit);
    return [offset, isKnown];
  }

  #forget(offset: number): void {
    while (this.#acknowledged < offset) this.#acknowledged += this.#records.shift()?.bytes.length ?? 0;
  }

  #dropUnsent(): void {
    const kept = this.#boundaries().indexOf(this.#reached);
    const dropped = this.#records.splice(kept);
    expect(this.outbox.dropUnsent()).toBe(dropped.filter(({ isMessage }) => isMessage).length);
  }

  #clear(): void {
    expect(this.outbox.clear()).toBe(this.#records.filter(({ isMessage }) => isMessage).length);
    this.#acknowledged = this.#end;
    this.#records = [];
    this.#sent = this.#acknowledged;
    this.#reached = this.#acknowledged;
  }

  #compare(): void {
    const { acknowledged, heldBytes, unsentBytes } = this.outbox;
    expect({ acknowledged, heldBytes, unsentBytes, booked: this.memory.bytes }).toEqual({
      acknowledged: this.#acknowledged,
      heldBytes: this.#end - this.#acknowledged,
      unsentBytes: this.#end - this.#sent,
      booked: this.#end - this.#acknowledged,
    });
  }
}

function outboxWith(...bodies: readonly string[]): { outbox: Outbox; memory: MemoryStub; sizes: number[] } {
  const memory = new MemoryStub();
  const outbox = new Outbox(memory);
  const header = Buffer.alloc(14);
  const sizes = bodies.map((body, index) => {
    outbox.appendMessage(1, index + 1, contentOf('k', header, Buffer.from(body)));
    return messageRecord(1, index + 1, { routingKey: 'k', header, body: Buffer.from(body) }).length;
  });
  return { outbox, memory, sizes };
}

describe('an outbox', () => {
  it(`does what a plain list of records does (SEED=${seed})`, () => {
    const random = new Random(seed);
    for (let round = 0; round < 30; round += 1) {
      const model = new Model(random);
      for (let step = 0; step < 150; step += 1) model.step();
      model.drain();
    }
  });

  it('writes a message as the format says, octet by octet', () => {
    const outbox = new Outbox(new MemoryStub());
    outbox.appendPoint(0x01020304, SPACE_ID, 'é');
    outbox.appendMessage(0x01020304, 2 ** 33 + 5, contentOf('a.b', Buffer.from('HH'), Buffer.from('body')));
    const naming = `00000027${'00'}01020304${'07'.repeat(32)}c3a9`;
    const message = `0000001b${'01'}01020304${'0000000200000005'}${'03'}612e62${'00000002'}4848${'626f6479'}`;
    expect(outbox.take(NO_LIMIT)?.toString('hex')).toBe(naming + message);
  });

  it('lets the last record go past the limit, so that one larger than the whole credit gets through', () => {
    const { outbox, sizes } = outboxWith('x'.repeat(300_000), 'next');
    expect(outbox.take(1)?.length).toBe(sizes[0]);
    expect(outbox.take(1)).toBeUndefined();
    expect(outbox.take((sizes[0] as number) + 1)?.length).toBe(sizes[1]);
  });

  it('takes no acknowledgement of what was not sent, nor of half a record', () => {
    const { outbox, memory, sizes } = outboxWith('one', 'two', 'three');
    const [first, second] = sizes as [number, number];
    outbox.take(first + 1);
    for (const offset of [1, first - 1, first + 1, first + second + 1, 2 ** 53]) {
      expect(outbox.acknowledge(offset), `${offset}`).toBe(false);
    }
    expect(memory.bytes).toBe(outbox.heldBytes);
    expect(outbox.acknowledge(first)).toBe(true);
    expect(outbox.acknowledge(0)).toBe(true);
    expect(outbox.resume(first + second - 1)).toBe(false);
    expect(outbox.acknowledged).toBe(first);
  });

  it('gives no offset to another octet once it was sent: an acknowledgement that comes late means what it meant', () => {
    const { outbox, sizes } = outboxWith('seen', 'sent, and lost with its stream', 'not sent');
    const sent = (sizes[0] as number) + (sizes[1] as number);
    outbox.take(sent);
    outbox.resume(0);
    expect(outbox.dropUnsent(), 'only what was never sent').toBe(1);
    outbox.appendMessage(1, 9, contentOf('', Buffer.alloc(0), Buffer.from('another')));
    expect(outbox.resume(sent)).toBe(true);
    expect(outbox.take(NO_LIMIT)?.includes('another')).toBe(true);

    const end = outbox.acknowledged + outbox.heldBytes;
    outbox.clear();
    outbox.appendMessage(1, 10, contentOf('', Buffer.alloc(0), Buffer.from('after a clear')));
    expect(outbox.acknowledged).toBe(end);
  });

  it('holds no chunk of a large record back once it was acknowledged', async () => {
    const body = Buffer.alloc(4 * 1_048_576);
    const outboxes: Outbox[] = [];
    const before = await heldMemory();
    for (let i = 0; i < 16; i += 1) {
      const outbox = new Outbox(new MemoryStub());
      outbox.appendMessage(1, i, contentOf('', Buffer.alloc(0), body));
      outbox.take(NO_LIMIT);
      outbox.acknowledge(outbox.heldBytes);
      outboxes.push(outbox);
    }
    expect((await heldMemory()).bufferBytes - before.bufferBytes).toBeLessThan(body.length);
    expect(outboxes.map(({ heldBytes }) => heldBytes)).toEqual(outboxes.map(() => 0));
  });

  describe('uses the memory of what was taken in again,', () => {
    const body = Buffer.alloc(50_000);
    const memory = new MemoryStub();

    /** Sends a message, and has it taken in. The memory that it was in. */
    function exchanged(outbox: Outbox): ArrayBufferLike | undefined {
      outbox.appendMessage(1, 1, contentOf('', Buffer.alloc(0), body));
      const sent = outbox.take(NO_LIMIT)?.buffer;
      outbox.acknowledge(outbox.acknowledged + outbox.heldBytes);
      return sent;
    }

    it('for the same participant alone', () => {
      const [outbox, other] = [new Outbox(memory), new Outbox(memory)];
      const first = exchanged(outbox);
      expect(exchanged(other)).not.toBe(first);
      expect(exchanged(outbox)).toBe(first);
    });

    it('until nothing has waited for a second', () => {
      const outbox = new Outbox(memory);
      const first = exchanged(outbox);
      outbox.tick();
      expect(exchanged(outbox)).not.toBe(first);
    });

    it('but not while memory is short', () => {
      const outbox = new Outbox(memory);
      memory.high = true;
      const first = exchanged(outbox);
      memory.high = false;
      expect(exchanged(outbox)).not.toBe(first);
    });

    it('and keeps no more of it than may leave a full one', async () => {
      const outbox = new Outbox(memory);
      const before = await heldMemory();
      for (let count = 0; count < OUTBOX_LIMIT_BYTES / body.length; count += 1) {
        outbox.appendMessage(1, 1, contentOf('', Buffer.alloc(0), body));
      }
      while (outbox.take(NO_LIMIT) !== undefined);
      outbox.acknowledge(outbox.heldBytes);
      const keptBytes = (await heldMemory()).bufferBytes - before.bufferBytes;
      expect(keptBytes).toBeLessThanOrEqual(OUTBOX_LIMIT_BYTES - OUTBOX_RELIEF_BYTES + body.length);
      expect(outbox.heldBytes).toBe(0);
    });
  });
});
