import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readFile, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys';
import type { Ed25519PrivateKey } from '@libp2p/interface';

/**
 * The node's key, which its peer id and all its authority follow from. Made at the first start; in the file as libp2p's
 * protobuf of a private key, readable by the owner of the process only.
 *
 * @throws Error that names the file when it cannot be read or written, or holds no such key
 */
export async function loadIdentity(file: string): Promise<Ed25519PrivateKey> {
  const existing = await read(file);
  if (existing !== undefined) return parse(file, existing);
  const key = await generateKeyPair('Ed25519');
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await create(file, privateKeyToProtobuf(key));
  return key;
}

async function read(file: string): Promise<Buffer | undefined> {
  try {
    return await readFile(file);
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
    throw new Error(`the node's key ${file} cannot be read: ${cause}`, { cause });
  }
}

/** All of it or nothing, also when the power goes; never over a file that is there. */
async function create(file: string, bytes: Uint8Array): Promise<void> {
  const draft = `${file}.${randomBytes(6).toString('hex')}`;
  const handle = await open(draft, 'wx', 0o600);
  try {
    await handle.writeFile(bytes);
    await handle.sync();
    await link(draft, file);
  } finally {
    await handle.close();
    await unlink(draft);
  }
}

function parse(file: string, bytes: Buffer): Ed25519PrivateKey {
  let cause: unknown = 'another type of key';
  try {
    const key = privateKeyFromProtobuf(bytes);
    if (key.type === 'Ed25519') return key;
  } catch (error) {
    cause = error;
  }
  throw new Error(
    `the node's key ${file} is no Ed25519 private key: restore it from a copy, or move it away to start with a new identity`,
    { cause },
  );
}
