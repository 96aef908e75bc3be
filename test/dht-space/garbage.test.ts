import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { CONTROL_PROTOCOL, MESSAGES_PROTOCOL } from '../../src/dht-space/protocol.js';
import { Control } from '../../src/dht-space/wire/control.js';
import { seed } from '../support/random.js';
import { heldMemory } from './collect-garbage.js';
import { frame, framed, HELLO, mutate, Scene, validMessages } from './stranger.js';
import { messageRecord, namingRecord, preambleBytes } from './wire-records.js';

const MIB = 1_048_576;

describe('a stranger', () => {
  it(`that sends mutated control messages harms nobody else, and costs no memory (SEED=${seed})`, async () => {
    const scene = await Scene.open();
    const valid = validMessages(Buffer.from(scene.victim.space.spaceId, 'hex')).map((message) =>
      Control.encode(message),
    );
    let frames = 0;
    const attack = async (until: number): Promise<void> => {
      while (frames < until) {
        const stream = await scene.stream(CONTROL_PROTOCOL);
        if (scene.random.int(20) > 0) stream.send(framed({ hello: { ...HELLO, session: frames } }));
        for (let i = 0; i < 16 && stream.writeStatus === 'writable'; i += 1, frames += 1) {
          const body = mutate(Buffer.from(scene.random.pick(valid)), scene.random);
          // Mostly behind the right length, so that it gets as far as the protobuf, and beyond.
          stream.send(scene.random.int(10) === 0 ? body : frame(body));
          if (scene.random.int(4) === 0) await turn();
        }
        scene.talk();
        await turn();
        stream.abort(new Error('next'));
      }
    };
    await attack(5000);
    const before = await heldMemory();
    await attack(65_000);
    await scene.expectHarmless();
    const after = await heldMemory();
    expect(scene.log.counts.get('link lost')).toBeGreaterThan(1000);
    expect(scene.log.shown).toBeLessThan(100);
    expect(scene.victim.node.refusals.count('greeting')).toBeGreaterThan(10);
    expect(scene.victim.node.refusals.count('protocol')).toBeGreaterThan(500);
    expect(after.heapBytes - before.heapBytes).toBeLessThan(64 * MIB);
    expect(after.bufferBytes - before.bufferBytes).toBeLessThan(64 * MIB);
  }, 60_000);

  it(`that sends mutated records harms nobody else, and costs no memory (SEED=${seed})`, async () => {
    const scene = await Scene.open();
    const spaceId = Buffer.from(scene.victim.space.spaceId, 'hex');
    const content = { routingKey: 'key', header: Buffer.alloc(14), body: Buffer.from('body') };
    const valid = [
      namingRecord(1, spaceId, 'bids'),
      messageRecord(1, 1, content),
      messageRecord(1, 2 ** 40, content),
      messageRecord(9, 1, content),
    ];
    let records = 0;
    const attack = async (until: number): Promise<void> => {
      while (records < until) {
        const control = await scene.greeted(records);
        const stream = await scene.stream(MESSAGES_PROTOCOL);
        stream.send(mutate(scene.random.int(20) > 0 ? Buffer.alloc(0) : preambleBytes(1, 1), scene.random));
        if (stream.writeStatus === 'writable') stream.send(preambleBytes(records, scene.random.int(1000)));
        for (let i = 0; i < 16 && stream.writeStatus === 'writable'; i += 1, records += 1) {
          const record = scene.random.pick(valid);
          stream.send(scene.random.int(3) === 0 ? mutate(record, scene.random) : record);
          if (scene.random.int(4) === 0) await turn();
        }
        scene.talk();
        await turn();
        control.abort(new Error('next'));
      }
    };
    await attack(3000);
    const before = await heldMemory();
    await attack(30_000);
    await scene.expectHarmless();
    const after = await heldMemory();
    expect(scene.log.counts.get('link lost')).toBeGreaterThan(1000);
    expect(scene.log.shown).toBeLessThan(100);
    expect(scene.victim.node.refusals.count('greeting')).toBeGreaterThan(10);
    expect(scene.victim.node.refusals.count('protocol')).toBeGreaterThan(500);
    expect(after.heapBytes - before.heapBytes).toBeLessThan(64 * MIB);
    expect(after.bufferBytes - before.bufferBytes).toBeLessThan(64 * MIB);
  }, 60_000);
});
