import { describeImplementation } from '../overlay/contract.js';
import type { Places } from './prototype-node.js';
import { PrototypeNode } from './prototype-node.js';

describeImplementation('prototype', async () => {
  const places: Places = new Map();
  return {
    createNode: () => PrototypeNode.start(places),
    exceptions: {
      'when the node that declared the space dies, the others carry on and newcomers can join':
        'newcomers need the tracker, which dies with its node; that the others carry on is tested beside this',
    },
  };
});
