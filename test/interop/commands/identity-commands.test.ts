import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { startNode } from '../../support/start-node.js';
import { teardown } from '../../support/teardown.js';

const CLI = fileURLToPath(new URL('../../../dist/cli.js', import.meta.url));

// Each command is a process of its own.
vi.setConfig({ testTimeout: 60_000 });

let folder: string;
let dataDir: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'xspace-identity-'));
  teardown(() => rm(folder, { recursive: true, force: true }));
  dataDir = join(folder, 'data');
});

/** Runs `xspace identity` with `input` at its standard input. */
async function identity(args: readonly string[], input = '', of = dataDir) {
  const child = spawn(process.execPath, [CLI, 'identity', ...args, '--data-dir', of], { stdio: 'pipe' });
  child.stdin.on('error', () => {}); // it may not read
  child.stdin.end(input);
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { code: await exited, stdout, stderr };
}

/** A node's key, as it is handed to another directory. */
async function exportedKey(): Promise<{ readonly peerId: string; readonly pem: string }> {
  const node = await startNode({ flags: ['--data-dir', dataDir] });
  const { stdout: pem } = await identity(['export']);
  await node.stop();
  return { peerId: node.peerId, pem };
}

describe('xspace identity', () => {
  it('shows and exports the key of a node that runs, and of one that does not', async () => {
    const node = await startNode({ flags: ['--data-dir', dataDir] });
    const shown = { code: 0, stdout: `${node.peerId}\n`, stderr: '' };
    expect(await identity(['show'])).toEqual(shown);
    const exported = await identity(['export']);
    expect(exported).toMatchObject({ code: 0, stderr: '' });
    expect(exported.stdout).toMatch(
      /^-----BEGIN PRIVATE KEY-----\n[\w+/=]{64}\n-----END PRIVATE KEY-----\n$/,
    );
    await node.stop();
    expect(await identity(['show'])).toEqual(shown);
    expect(await identity(['export'])).toEqual(exported);
  });

  it('exports to a new file that only its owner can read, and to no other', async () => {
    const { pem } = await exportedKey();
    const file = join(folder, 'key.pem');
    expect(await identity(['export', '--output', file])).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(await readFile(file, 'utf8')).toBe(pem);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await identity(['export', '--output', file])).toMatchObject({ code: 1, stdout: '' });
  });

  it('imports a key, from a file or standard input, and a node started there is the one that had it', async () => {
    const { peerId, pem } = await exportedKey();
    const [file, fromFile, fromInput] = ['key.pem', 'from file', 'from input'].map((name) =>
      join(folder, name),
    ) as [string, string, string];
    await writeFile(file, pem);
    const imported = { code: 0, stdout: `${peerId}\n`, stderr: '' };
    expect(await identity(['import', file], '', fromFile)).toEqual(imported);
    expect(await identity(['import', '-'], pem, fromInput)).toEqual(imported);
    const node = await startNode({ flags: ['--data-dir', fromFile] });
    expect(node.peerId).toBe(peerId);
  });

  it('exchanges the key of a stopped node only, by force, and says where the old one is', async () => {
    const { peerId, pem } = await exportedKey();
    const other = join(folder, 'other');
    const node = await startNode({ flags: ['--data-dir', other] });
    expect(await identity(['import', '-', '--force'], pem, other)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('in use: another process has it'),
    });
    await node.stop();
    expect(await identity(['import', '-'], pem, other)).toEqual({
      code: 1,
      stdout: '',
      stderr: `xspace: the node is ${node.peerId}, and the key is that of ${peerId}: --force exchanges them\n`,
    });
    expect(await identity(['import', '-', '--force'], pem, other)).toEqual({
      code: 0,
      stdout: `${peerId}\n`,
      stderr: `the key that was there is kept as '${join(other, 'identity.key')}.${node.peerId}'\n`,
    });
    expect((await identity(['show'], '', other)).stdout).toBe(`${peerId}\n`);
  });

  it('says so where there is no node, and no key', async () => {
    expect((await identity(['show'])).stderr).toBe(
      `xspace: data-dir: no node has its data in '${dataDir}'\n`,
    );
    expect((await identity(['import', '-'], 'no key')).stderr).toContain('expected an unencrypted Ed25519');
    expect((await identity(['show'], '', folder)).stderr).toContain('there is no key of a node in');
  });
});
