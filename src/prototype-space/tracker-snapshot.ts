import { MAX_NAME_BYTES, MAX_SNAPSHOT_BYTES } from './limits.js';
import { MessageError, parseObject } from './parse-fields.js';
import { memberId, parseRegistration } from './parse-messages.js';
import type { Registration } from './tracker-registry.js';

/** The format of the stored state, which is no part of the protocol. */
const SNAPSHOT_VERSION = 1;

/** What a member registered last, and as whom. */
export type StoredMember = Omit<Registration, 'request'> & {
  readonly user: string;
};

export function encodeSnapshot(members: readonly StoredMember[]): Buffer {
  return Buffer.from(JSON.stringify({ version: SNAPSHOT_VERSION, members }));
}

/** @throws MessageError */
export function parseSnapshot(octets: Uint8Array): readonly StoredMember[] {
  const fields = parseObject(octets, MAX_SNAPSHOT_BYTES);
  fields.integer('version', SNAPSHOT_VERSION, SNAPSHOT_VERSION);
  const members = fields.objects('members').map((member) => {
    const instance = member.optional('instance', (name) => memberId(member, name));
    return {
      user: member.text('user', MAX_NAME_BYTES),
      member: memberId(member, 'member'),
      sequence: member.integer('sequence', 0, Number.MAX_SAFE_INTEGER),
      ...(instance !== undefined && { instance }),
      ...parseRegistration(member),
    };
  });
  if (new Set(members.map(({ member }) => member)).size === members.length) return members;
  throw new MessageError("field 'members': expected each member once");
}
