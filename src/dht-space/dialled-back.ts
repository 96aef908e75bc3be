import type { AutoNATv2Components } from '@libp2p/autonat-v2';
import { autoNATv2 } from '@libp2p/autonat-v2';
import type { StreamHandler } from '@libp2p/interface';
import type { Multiaddr } from '@multiformats/multiaddr';
import { MAX_DIALS_BACK } from './limits.js';

/** By this one peer has another dial it. */
const REQUEST_PROTOCOL = '/libp2p/autonat/2/dial-request';

/** What comes of it for an address of this node. */
export interface DialBackResults {
  /** Others have dialled it there. */
  confirmed(address: Multiaddr): void;
  /** Others could not. */
  refuted(address: Multiaddr): void;
}

/**
 * Has other nodes dial this one at its public addresses, and does the same for them, by libp2p's AutoNAT v2: who was dialled
 * at an address knows that others can. An address where eight others, each of another network, have failed is told to
 * nobody for five minutes; then it may be tried again. Of AutoNAT, the version before it breaks live connections
 * of who asks in js-libp2p.
 */
export function dialledBack(results: DialBackResults): (components: AutoNATv2Components) => unknown {
  return (components) => {
    const { addressManager, connectionManager, logger, randomWalk, peerStore, registrar } = components;
    let dials = 0;
    const bounded = (handler: StreamHandler): StreamHandler => {
      return async (stream, connection) => {
        if (dials >= MAX_DIALS_BACK) return stream.abort(new Error('busy'));
        dials += 1;
        try {
          await handler(stream, connection);
        } finally {
          dials -= 1;
        }
      };
    };
    const boundedRegistrar: Pick<typeof registrar, 'handle' | 'unhandle' | 'register'> = {
      handle: (protocol, handler: StreamHandler, options) =>
        registrar.handle(protocol, protocol === REQUEST_PROTOCOL ? bounded(handler) : handler, options),
      unhandle: (protocols, options) => registrar.unhandle(protocols, options),
      register: (protocol, topology, options) => registrar.register(protocol, topology, options),
    };
    const toldAddresses: Pick<
      typeof addressManager,
      'getAddressesWithMetadata' | 'confirmObservedAddr' | 'removeObservedAddr'
    > = {
      getAddressesWithMetadata: () => addressManager.getAddressesWithMetadata(),
      confirmObservedAddr: (address) => {
        results.confirmed(address);
        addressManager.confirmObservedAddr(address);
      },
      removeObservedAddr: (address) => {
        results.refuted(address);
        addressManager.removeObservedAddr(address);
      },
    };
    return autoNATv2()({
      ...{ connectionManager, logger, randomWalk, peerStore },
      addressManager: toldAddresses as typeof addressManager,
      registrar: boundedRegistrar as typeof registrar,
    });
  };
}
