import { createHash } from 'node:crypto';
import * as varint from 'uint8-varint';
import { frame } from './stranger.js';

/** The protocol of the DHT, octet by octet as libp2p's specification of Kademlia says. */
export const DHT_PROTOCOL = '/xspace/kad/1.0.0';

/** What members of a space of this name provide, as a multihash. */
export function membersKey(space: string): Buffer {
  const digest = createHash('sha256').update('xspace-members').update(space).digest();
  return Buffer.concat([Buffer.from([0x12, digest.length]), digest]);
}

/** A request to keep a value; the record is not signed. */
export function putValue(key: string, value: Uint8Array): Buffer {
  const record = Buffer.concat([
    field(1, Buffer.from(key)),
    field(2, value),
    field(5, Buffer.from(new Date().toISOString())),
  ]);
  return frame(Buffer.concat([type(0), field(2, Buffer.from(key)), field(3, record)]));
}

/** A request to keep it that a peer, by its multihash, provides something. */
export function addProvider(key: Uint8Array, peer: Uint8Array, address: Uint8Array): Buffer {
  const provider = Buffer.concat([field(1, peer), field(2, address)]);
  return frame(Buffer.concat([type(2), field(2, key), field(9, provider)]));
}

function type(number: number): Buffer {
  return Buffer.from([0x08, number]);
}

function field(number: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([(number << 3) | 2]), varint.encode(bytes.length), bytes]);
}
