import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateKeyPair, privateKeyToProtobuf } from '@libp2p/crypto/keys';
import { expect, it } from 'vitest';
import { loadIdentity } from '../../src/dht-space/identity.js';
import { teardown } from '../support/teardown.js';

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'xspace-identity-'));
  teardown(() => rm(folder, { recursive: true }));
  return folder;
}

it('the key that the first start made is the one of all later ones', async () => {
  const file = join(await newFolder(), 'data', 'identity.key');
  const first = await loadIdentity(file);
  const second = await loadIdentity(file);
  expect(second.equals(first)).toBe(true);
});

it('two nodes have different keys', async () => {
  const folder = await newFolder();
  const [one, other] = [await loadIdentity(join(folder, 'one')), await loadIdentity(join(folder, 'other'))];
  expect(one.equals(other)).toBe(false);
});

it('only the owner of the process can read the key, and no draft of it stays', async () => {
  const folder = join(await newFolder(), 'data');
  await loadIdentity(join(folder, 'identity.key'));
  expect((await stat(folder)).mode & 0o777).toBe(0o700);
  expect((await stat(join(folder, 'identity.key'))).mode & 0o777).toBe(0o600);
  expect(await readdir(folder)).toEqual(['identity.key']);
});

it.each([
  ['no key', () => Buffer.from('not a key')],
  ['an empty file', () => Buffer.alloc(0)],
  ['a key of another type', async () => privateKeyToProtobuf(await generateKeyPair('secp256k1'))],
])('%s is refused with the name of the file, and stays as it is', async (_, make) => {
  const file = join(await newFolder(), 'identity.key');
  const bytes = Buffer.from(await make());
  await writeFile(file, bytes);
  await expect(loadIdentity(file)).rejects.toThrow(`the node's key ${file} is no Ed25519 private key`);
  expect(await readFile(file)).toEqual(bytes);
});

it('a file that cannot be read is an error that says so', async () => {
  const folder = await newFolder();
  await expect(loadIdentity(folder)).rejects.toThrow(`the node's key ${folder} cannot be read`);
});
