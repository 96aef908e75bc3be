import { describe, expect, it } from 'vitest';
import type { PointReceiver, PointSession } from '../../src/overlay/index.js';
import { createMemoryImplementation, MemoryNetwork } from '../../src/overlay/index.js';
import { describeImplementation } from './contract.js';

describeImplementation('memory', async () => {
  const network = new MemoryNetwork();
  return {
    createNode: async () => {
      const implementation = createMemoryImplementation(network);
      const stop = (): Promise<void> => implementation.close();
      // Within one process nobody can tell a node that died from one that left.
      return { implementation, settings: () => ({}), stop, kill: stop };
    },
  };
});

describe('implementation memory, in addition', () => {
  it('gives a new point to a receiver that joins again from within the call of its deletion', async () => {
    const memory = createMemoryImplementation(new MemoryNetwork());
    await memory.declareSpace({ space: 'market', settings: {} });
    const request = {
      space: 'market',
      point: { name: 'bids', type: 'topic', arguments: {} },
      settings: {},
    } as const;
    const rejoined: Promise<PointSession>[] = [];
    const receiver: PointReceiver = {
      receive: () => {},
      deleted: () => rejoined.push(memory.join(request, receiver)),
    };
    const session = await memory.join(request, receiver);
    await session.delete();
    const states = (await Promise.all([session, ...rejoined])).map((each) => each.status().state);
    expect(states).toEqual(['left', 'joined']);
  });

  it('carries nothing between networks', async () => {
    const [one, other] = [new MemoryNetwork(), new MemoryNetwork()].map(createMemoryImplementation);
    await one?.declareSpace({ space: 'market', settings: {} });
    const point = { name: 'bids', type: 'topic', arguments: {} } as const;
    const join = other?.join(
      { space: 'market', point, settings: {} },
      { receive: () => {}, deleted: () => {} },
    );
    await expect(join).rejects.toMatchObject({ code: 'not-found' });
  });
});
