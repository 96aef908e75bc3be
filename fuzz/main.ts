/**
 * Feeds the codec, the gateway with its broker, the overlay's wire format and its grants what nobody would send, for a while.
 *
 *   npm run fuzz [-- options]
 *
 *   --seconds 60         for how long, all targets together
 *   --seed 1             the same numbers as an earlier run; printed at the start
 *   --only connection    one of the targets, or several: codec,wire,grants,connection,octets,interleaved
 *
 * What is found is made as short as possible, printed, and written to fuzz/corpus, which `npm test` replays.
 */
import { parseArgs } from 'node:util';
import { Random } from '../test/support/random.js';
import { codec } from './codec.js';
import { addToCorpus } from './corpus.js';
import { grants } from './grants.js';
import { scriptTargets } from './scripts.js';
import { inOwnFolder } from './server.js';
import { startServerProcess } from './server-process.js';
import { shrink } from './shrink.js';
import type { AnyTarget } from './target.js';
import { wire } from './wire.js';

const SHRINK_ATTEMPTS = 400;
/** Targets take turns of this length, so that a short run has some of each. */
const TURN_MS = 2_000;
const MAX_FINDINGS = 10;

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 32)) },
    only: { type: 'string' },
  },
});

async function fuzz(): Promise<void> {
  const targets = chosenTargets();
  const random = new Random(Number(options.seed));
  console.log(`seed ${options.seed}, ${options.seconds} s, ${targets.map(({ name }) => name).join(', ')}`);
  const cases = new Map<string, number>();
  const problems = new Set<string>();
  for (const deadline = performance.now() + Number(options.seconds) * 1_000; performance.now() < deadline; ) {
    for (const target of targets) {
      const turnEnd = Math.min(deadline, performance.now() + TURN_MS);
      const count = await turn(target, random, turnEnd, problems);
      cases.set(target.name, (cases.get(target.name) ?? 0) + count);
    }
    if (problems.size >= MAX_FINDINGS) break;
  }
  for (const target of targets) await target.close?.();
  const counts = [...cases].map(([name, count]) => `${name} ${count}`).join(', ');
  console.log(`${counts}; ${problems.size} ${problems.size === 1 ? 'finding' : 'findings'}`);
  process.exitCode = problems.size > 0 ? 1 : 0;
}

function chosenTargets(): readonly AnyTarget[] {
  const all: readonly AnyTarget[] = [
    codec,
    wire,
    grants,
    ...scriptTargets(() => inOwnFolder(startServerProcess)),
  ];
  const names = options.only?.split(',') ?? all.map(({ name }) => name);
  return names.map((name) => {
    const target = all.find((one) => one.name === name);
    if (target !== undefined) return target;
    throw new Error(`--only ${name}: there are ${all.map((one) => one.name).join(', ')}`);
  });
}

/** Returns how many cases there were. */
async function turn(target: AnyTarget, random: Random, end: number, problems: Set<string>): Promise<number> {
  let count = 0;
  for (; performance.now() < end; count++) {
    const testCase = target.generate(random);
    const problem = await target.run(testCase);
    if (problem === undefined || problems.has(kindOf(problem))) continue;
    problems.add(kindOf(problem));
    await report(target, testCase, problem);
  }
  const growth = await target.growth?.();
  if (growth !== undefined) {
    problems.add(growth);
    console.log(`\n${target.name}: ${growth}`);
  }
  return count;
}

/** Different numbers and places in the code's output do not make another problem. */
function kindOf(problem: string): string {
  return problem.replaceAll(/\d+/g, 'N');
}

async function report(target: AnyTarget, testCase: unknown, problem: string): Promise<void> {
  console.log(`\n${target.name}: ${problem}`);
  const stillFails = async (parts: readonly unknown[]) => {
    const found = await target.run(target.parts.toCase(parts, testCase));
    return found !== undefined && kindOf(found) === kindOf(problem);
  };
  const parts = target.parts.of(testCase);
  if (!(await stillFails(parts))) {
    console.log(`it did not happen again; the case: ${JSON.stringify(testCase)}`);
    return;
  }
  const shortest = target.parts.toCase(await shrink(parts, stillFails, SHRINK_ATTEMPTS), testCase);
  console.log(JSON.stringify(shortest));
  console.log(`kept as ${addToCorpus({ target: target.name, problem, case: shortest })}`);
}

fuzz().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
