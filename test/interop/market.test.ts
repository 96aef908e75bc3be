import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { projectRoot } from '../support/node-process.js';
import { IMPLEMENTATIONS } from '../support/space-arguments.js';

const run = promisify(execFile);
const program = join(projectRoot, 'dist', 'tools', 'examples', 'market', 'main.js');

it.each(IMPLEMENTATIONS)(
  'the market of the example, held with %s, survives the loss of its founder, and closes with every message seen once',
  async (implementation) => {
    const { stdout } = await run(process.execPath, [program, '--implementation', implementation]);
    const sentences = stdout.trim().split('\n');
    expect(sentences).toContainEqual(expect.stringContaining("Margaret's node is killed"));
    expect(sentences.at(-1)).toMatch(/each exactly once/);
    const refusals = sentences.filter((sentence) => sentence.includes('is refused: ACCESS_REFUSED'));
    expect(refusals).toHaveLength(implementation === 'prototype' ? 1 : 0);
  },
  60_000,
);

it('the market refuses an implementation that it does not know, by name', async () => {
  const refusal = await run(process.execPath, [program, '--implementation', 'pigeons']).catch(
    (error) => error,
  );
  expect(refusal).toMatchObject({ code: 1, stderr: expect.stringContaining('pigeons') });
});
