import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { generateKeyPair, privateKeyToProtobuf } from '@libp2p/crypto/keys';
import { describe, expect, it } from 'vitest';
import { exportIdentity, identityIn, importIdentity, loadIdentity } from '../../src/dht-space/identity.js';
import { OverlayStore } from '../../src/dht-space/overlay-store.js';
import { teardown } from '../support/teardown.js';
import { newFolder } from './data-folder.js';
import { LogStub } from './log-stub.js';

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

describe('a key that moves', () => {
  async function files() {
    const folder = join(await newFolder(), 'data');
    return { identityFile: join(folder, 'identity.key'), storeFolder: join(folder, 'overlay') };
  }

  it('is PEM that OpenSSL reads, and makes another node the same one', async () => {
    const [one, other] = [await files(), await files()];
    await loadIdentity(one.identityFile);
    const pem = await exportIdentity(one.identityFile);
    expect(createPublicKey(pem).asymmetricKeyType).toBe('ed25519');
    const { peerId, replaced } = await importIdentity(other, pem, { force: false });
    expect(peerId).toBe(await identityIn(one.identityFile));
    expect(replaced).toBeUndefined();
    expect((await loadIdentity(other.identityFile)).equals(await loadIdentity(one.identityFile))).toBe(true);
    expect((await stat(other.identityFile)).mode & 0o777).toBe(0o600);
    expect(await importIdentity(other, pem, { force: false })).toEqual({ peerId });
  });

  it('is the one of RFC 8410: the same secret is the same text everywhere', async () => {
    const { identityFile, ...rest } = await files();
    // RFC 8410 §10.3
    const pem = [
      '-----BEGIN PRIVATE KEY-----',
      'MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC',
      '-----END PRIVATE KEY-----\n',
    ].join('\n');
    await importIdentity({ identityFile, ...rest }, pem, { force: false });
    expect(await exportIdentity(identityFile)).toBe(pem);
  });

  it('takes the place of another one by force only, and that one is kept', async () => {
    const [one, other] = [await files(), await files()];
    await loadIdentity(one.identityFile);
    const before = await loadIdentity(other.identityFile);
    const [id, otherId] = [await identityIn(one.identityFile), await identityIn(other.identityFile)];
    const pem = await exportIdentity(one.identityFile);
    await expect(importIdentity(other, pem, { force: false })).rejects.toThrow(
      `the node is ${otherId}, and the key is that of ${id}: --force exchanges them`,
    );
    expect((await loadIdentity(other.identityFile)).equals(before)).toBe(true);
    const { replaced = '' } = await importIdentity(other, pem, { force: true });
    expect(await identityIn(other.identityFile)).toBe(id);
    expect((await loadIdentity(replaced)).equals(before)).toBe(true);
    expect((await readdir(dirname(replaced))).sort()).toEqual([
      'identity.key',
      `identity.key.${otherId}`,
      'overlay',
    ]);
  });

  it('is not imported while the node runs', async () => {
    const [one, other] = [await files(), await files()];
    await loadIdentity(one.identityFile);
    const running = await OverlayStore.open(other.storeFolder, new LogStub());
    teardown(() => running.close());
    const pem = await exportIdentity(one.identityFile);
    await expect(importIdentity(other, pem, { force: true })).rejects.toThrow('another process has it');
    expect(await readdir(dirname(other.identityFile))).toEqual(['overlay']);
  });

  it.each([
    ['no PEM', () => 'hunter2', 'none that can be read without a passphrase'],
    ['a public key', () => pemOf('ed25519', 'public'), 'none that can be read without a passphrase'],
    ['an encrypted key', () => pemOf('ed25519', 'encrypted'), 'none that can be read without a passphrase'],
    ['a key of another type', () => pemOf('x25519', 'plain'), 'a key of type x25519'],
  ])('%s is refused without being shown', async (_, make, found) => {
    const other = await files();
    await expect(importIdentity(other, make(), { force: true })).rejects.toThrow(
      `expected an unencrypted Ed25519 private key in PEM (PKCS #8), found ${found}`,
    );
  });

  it('is missing where no node was ever started', async () => {
    const { identityFile } = await files();
    for (const command of [identityIn, exportIdentity])
      await expect(command(identityFile)).rejects.toThrow(`there is no key of a node in '${identityFile}'`);
  });
});

function pemOf(type: 'ed25519' | 'x25519', form: 'public' | 'plain' | 'encrypted'): string {
  const { privateKey, publicKey } =
    type === 'ed25519' ? generateKeyPairSync(type) : generateKeyPairSync(type);
  if (form === 'public') return publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const encryption = form === 'encrypted' && { cipher: 'aes-256-cbc', passphrase: 'secret' };
  return privateKey.export({ type: 'pkcs8', format: 'pem', ...encryption }).toString();
}
