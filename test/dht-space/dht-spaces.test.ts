import { DhtSpaces } from '../../src/dht-space/dht-spaces.js';
import { startOverlayNode } from '../../src/dht-space/node.js';
import { describeImplementation } from '../overlay/contract.js';
import { quietLogger, unlimitedMemory } from './environment.js';

describeImplementation('dht', async () => {
  // The first node that is up is everybody's seed: the others know nobody else.
  const up: { addresses: readonly string[] }[] = [];
  return {
    createNode: async () => {
      const environment = { logger: quietLogger, memory: unlimitedMemory, listen: ['/ip4/127.0.0.1/tcp/0'] };
      const node = await startOverlayNode(environment);
      const implementation = new DhtSpaces(node, { ...environment, name: 'contract' });
      await implementation.start();
      const self = { addresses: implementation.addresses };
      up.push(self);
      const gone = () => {
        if (up.includes(self)) up.splice(up.indexOf(self), 1);
      };
      let stopped: Promise<void> | undefined;
      return {
        implementation,
        settings: () => ({ seeds: up.flatMap(({ addresses }) => addresses) }),
        stop: () => {
          gone();
          stopped ??= implementation.close();
          return stopped;
        },
        kill: async () => {
          gone();
          // Connections break without a word; what is left of it is cleared up by `stop`.
          await node.stop();
        },
      };
    },
  };
});
