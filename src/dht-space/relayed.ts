import type { Multiaddr } from '@multiformats/multiaddr';
import { CODE_P2P, CODE_P2P_CIRCUIT } from '@multiformats/multiaddr';

/** The peer id of the relay that the address leads through; undefined for a direct address. */
export function relayOf(address: Multiaddr): string | undefined {
  const components = address.getComponents();
  const circuit = components.findIndex(({ code }) => code === CODE_P2P_CIRCUIT);
  return circuit < 0 ? undefined : (components[circuit - 1]?.value ?? '');
}

/** The address with this peer id at its end. */
export function withPeer(address: Multiaddr, peer: string): Multiaddr {
  const last = address.getComponents().at(-1);
  return last?.code === CODE_P2P && last.value === peer ? address : address.encapsulate(`/p2p/${peer}`);
}
