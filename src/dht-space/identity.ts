import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readFile, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys';
import type { Ed25519PrivateKey } from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { OverlayStore } from './overlay-store.js';
import { fromPem, toPem } from './pem.js';

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

/** The peer id of the node that has its key in this file, running or not. @throws Error when there is none */
export async function identityIn(file: string): Promise<string> {
  return idOf(await existing(file));
}

/** The key in this file as PEM. @throws Error when there is none */
export async function exportIdentity(file: string): Promise<string> {
  return toPem(await existing(file));
}

export interface ImportedIdentity {
  readonly peerId: string;
  /** Where the key is now that was there before, and is another one. */
  readonly replaced?: string;
}

/**
 * Makes a key, in PEM, the one of a node that does not run.
 *
 * @throws Error when the node runs, when the text is no key, and, unless `force` is set, when the node has another key
 */
export async function importIdentity(
  { identityFile, storeFolder }: { readonly identityFile: string; readonly storeFolder: string },
  pem: string,
  { force }: { readonly force: boolean },
): Promise<ImportedIdentity> {
  const key = fromPem(pem);
  const peerId = idOf(key);
  // A node has this from before it reads its key until after it has stopped.
  const store = await OverlayStore.open(storeFolder, silent);
  try {
    const bytes = await read(identityFile);
    if (bytes === undefined) {
      await create(identityFile, privateKeyToProtobuf(key));
      return { peerId };
    }
    const before = idOf(parse(identityFile, bytes));
    if (before === peerId) return { peerId };
    if (!force)
      throw new Error(`the node is ${before}, and the key is that of ${peerId}: --force exchanges them`);
    const replaced = `${identityFile}.${before}`;
    await keep(replaced, bytes);
    await replace(identityFile, privateKeyToProtobuf(key));
    return { peerId, replaced };
  } finally {
    await store.close();
  }
}

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

function idOf(key: Ed25519PrivateKey): string {
  return peerIdFromPrivateKey(key).toString();
}

async function existing(file: string): Promise<Ed25519PrivateKey> {
  const bytes = await read(file);
  if (bytes === undefined)
    throw new Error(`there is no key of a node in '${file}': its first start makes it, or an import`);
  return parse(file, bytes);
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
  const draft = await drafted(file, bytes);
  try {
    await link(draft, file);
  } finally {
    await unlink(draft);
  }
}

/** The same over the file that is there. */
async function replace(file: string, bytes: Uint8Array): Promise<void> {
  await rename(await drafted(file, bytes), file);
}

/** Its name tells what is in it. */
async function keep(file: string, bytes: Uint8Array): Promise<void> {
  if ((await read(file)) === undefined) await create(file, bytes);
}

/** Readable by the owner of the process only. */
async function drafted(file: string, bytes: Uint8Array): Promise<string> {
  const draft = `${file}.${randomBytes(6).toString('hex')}`;
  const handle = await open(draft, 'wx', 0o600);
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
  return draft;
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
