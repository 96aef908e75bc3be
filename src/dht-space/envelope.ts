import { publicKeyFromRaw } from '@libp2p/crypto/keys';
import type { Ed25519PrivateKey } from '@libp2p/interface';
import { peerIdFromPublicKey } from '@libp2p/peer-id';
import { ED25519_BYTES, isSignedBy, signBytes } from './ed25519.js';
import { MAX_SIGNED_RECORD_BYTES } from './limits.js';
import { Envelope } from './wire/envelope.js';

/** Signatures made for anything else never pass as one of ours, nor the other way round. */
const DOMAIN = 'xspace-record';

/** The PublicKey message of an Ed25519 key: type 1, then 32 octets of data. */
const ED25519_HEADER = Buffer.from([0x08, 0x01, 0x12, 0x20]);

export type RecordErrorCode =
  | 'malformed'
  | 'too-large'
  | 'wrong-domain'
  | 'bad-signature'
  | 'foreign'
  | 'expired'
  | 'not-yet-valid'
  | 'clock-skew'
  | 'outdated'
  | 'unsupported';

/** Why a signed record is not taken. */
export class RecordError extends Error {
  override readonly name = 'RecordError';
  readonly code: RecordErrorCode;

  constructor(code: RecordErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** What an envelope says once its signature is verified. */
export interface Signed {
  readonly signer: string;
  readonly payload: Uint8Array;
}

/** Signs a payload as libp2p's signed envelope (RFC 0002). Ed25519 only, which lets both ways be synchronous. */
export function signEnvelope(payloadType: string, payload: Uint8Array, key: Ed25519PrivateKey): Uint8Array {
  const signature = signBytes(signedBytes(payloadType, payload), key);
  const bytes = Envelope.encode({
    publicKey: Uint8Array.from([...ED25519_HEADER, ...key.publicKey.raw]),
    payloadType: Uint8Array.from(Buffer.from(payloadType)),
    payload: Uint8Array.from(payload),
    signature: Uint8Array.from(signature),
  });
  assertSize(bytes);
  return bytes;
}

/** @throws RecordError */
export function verifyEnvelope(payloadType: string, bytes: Uint8Array): Signed {
  assertSize(bytes);
  const envelope = decodeEnvelope(bytes);
  const found = Buffer.from(envelope.payloadType).toString('latin1');
  if (found !== payloadType) {
    throw new RecordError(
      'wrong-domain',
      `expected a record of type ${payloadType}, found ${JSON.stringify(found)}`,
    );
  }
  const raw = rawPublicKey(envelope.publicKey);
  if (!isSignedBy(raw, signedBytes(payloadType, envelope.payload), envelope.signature)) {
    throw new RecordError('bad-signature', 'the signature does not fit the record');
  }
  return { signer: peerIdFromPublicKey(publicKeyFromRaw(raw)).toString(), payload: envelope.payload };
}

function decodeEnvelope(bytes: Uint8Array): Envelope {
  let envelope: Envelope;
  try {
    envelope = Envelope.decode(bytes);
  } catch (cause) {
    throw new RecordError('malformed', 'not a signed envelope', { cause });
  }
  // One record has one encoding, so that records can be compared as bytes.
  if (!Buffer.from(bytes).equals(Envelope.encode(envelope))) {
    throw new RecordError('malformed', 'the envelope is not in its shortest form');
  }
  return envelope;
}

function rawPublicKey(publicKey: Uint8Array): Uint8Array {
  const key = Buffer.from(publicKey);
  const header = key.subarray(0, ED25519_HEADER.length);
  if (key.length !== ED25519_HEADER.length + ED25519_BYTES || !header.equals(ED25519_HEADER)) {
    throw new RecordError('malformed', 'the public key is not an Ed25519 key');
  }
  return key.subarray(ED25519_HEADER.length);
}

/** RFC 0002: domain, payload type and payload, each preceded by its length as a varint. */
function signedBytes(payloadType: string, payload: Uint8Array): Buffer {
  const parts = [Buffer.from(DOMAIN), Buffer.from(payloadType), payload];
  return Buffer.concat(parts.flatMap((part) => [varint(part.length), part]));
}

function varint(value: number): Buffer {
  const octets: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) octets.push((rest & 0x7f) | 0x80);
  octets.push(rest);
  return Buffer.from(octets);
}

function assertSize(bytes: Uint8Array): void {
  if (bytes.length > MAX_SIGNED_RECORD_BYTES) {
    throw new RecordError('too-large', `${bytes.length} bytes, the limit is ${MAX_SIGNED_RECORD_BYTES}`);
  }
}
