/** Protocol ids of libp2p streams and the version that Hello negotiates; the formats are in wire/ and docs/wire.md. */
export const CONTROL_PROTOCOL = '/xspace/control/1.0.0';
export const MESSAGES_PROTOCOL = '/xspace/messages/1.0.0';
export const LOOKUP_PROTOCOL = '/xspace/lookup/1.0.0';
/** Kademlia's. */
export const DHT_PROTOCOL = '/xspace/kad/1.0.0';
export const PROTOCOL_VERSION = 1;

/** The highest version that both sides speak; undefined when there is none. */
export function commonVersion(ours: readonly number[], theirs: readonly number[]): number | undefined {
  const common = ours.filter((version) => theirs.includes(version));
  return common.length === 0 ? undefined : Math.max(...common);
}
