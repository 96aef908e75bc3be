import { afterAll, describe, expect, it } from 'vitest';
import { codec } from '../../fuzz/codec.js';
import { readCorpus } from '../../fuzz/corpus.js';
import { grants } from '../../fuzz/grants.js';
import { scriptTargets } from '../../fuzz/scripts.js';
import { inOwnFolder, startServer } from '../../fuzz/server.js';
import type { AnyTarget } from '../../fuzz/target.js';
import { wire } from '../../fuzz/wire.js';
import { Random, seed } from '../support/random.js';

const targets: readonly AnyTarget[] = [codec, wire, grants, ...scriptTargets(() => inOwnFolder(startServer))];
const GENERATED_MS = 500;

afterAll(async () => {
  for (const target of targets) await target.close?.();
});

describe('what fuzzing has found', () => {
  it.each(readCorpus())('$file is right now: "$problem"', async ({ target: name, case: testCase }) => {
    const target = targets.find((one) => one.name === name);
    expect(target, `no target is called ${name}`).toBeDefined();
    expect(await target?.run(testCase)).toBeUndefined();
  });
});

describe('fuzzing for a moment', () => {
  it.each(targets)(`finds nothing: $name (SEED=${seed})`, async (target) => {
    const random = new Random(seed);
    for (const end = performance.now() + GENERATED_MS; performance.now() < end; ) {
      const testCase = target.generate(random);
      const problem = await target.run(testCase);
      expect(problem, JSON.stringify(testCase)).toBeUndefined();
    }
  });
});
